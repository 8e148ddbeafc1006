"""The command `biounet evaluate`: a table of scores, and the same as JSON and CSV."""

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from biounet.cli.evaluate_page import page_of, write_evaluation_page
from biounet.cli.progress import progress, say
from biounet.core.atomic_files import remove_parts, replacing
from biounet.core.errors import ConfigError, OutputError
from biounet.core.output_lock import holding
from biounet.core.overwriting import Inputs
from biounet.core.places import check_output
from biounet.core.words import printable
from biounet.evaluation import Scores, evaluate, read_groups, to_csv, to_json

__all__ = ["run_evaluation"]


def run_evaluation(
    result: Path,
    truth: Path,
    *,
    metrics: str | None = None,
    json_file: Path | None = None,
    csv_file: Path | None = None,
    sections: str | None = None,
    groups: Path | None = None,
    ignore_value: int | None = None,
    overwrite: bool = False,
    report: bool | None = None,
    images: Path | None = None,
    **reading: Any,
) -> None:
    """Score results against annotations.

    Parameters
    ----------
    result, truth : Path
    metrics : names separated by commas
        None: the metrics that suit the data.
    json_file, csv_file : files to write the scores to, too
    sections : first:stop of a stack
    groups : a table of groups, or the images, as `biounet.evaluation.read_groups` takes them
    ignore_value : number in the annotations that means unknown
    overwrite : bool
        Whether `json_file`, `csv_file` and the page may be replaced.
    report : whether a page is written; by default, of folders
    images : that the results are of, a file or folder, for the pictures of the page
    reading : axes, series, channel and level, as for `biounet.evaluation.evaluate`
    """
    page = page_of(result, report=report, overwrite=overwrite)
    written = [path for path in (json_file, csv_file, page) if path is not None]
    names = None if metrics is None else [name.strip() for name in metrics.split(",") if name.strip()]
    for each in written:
        check_output(each, file=True)
    with holding(written):
        read = Inputs({"the result": [result], "the truth": [truth], "the groups": [groups] if groups else []})
        for path, kind in ((json_file, "JSON"), (csv_file, "table"), (page, "page")):
            if path is not None:
                read.check(path, overwrite=overwrite, kind=kind)
        if json_file and csv_file and os.path.realpath(json_file) == os.path.realpath(csv_file):
            raise OutputError(
                f"{json_file} is to hold both --json and --per-image; choose another name for one of them"
            )
        remove_parts(written)
        with progress("scoring") as show:
            scores = evaluate(
                result,
                truth,
                metrics=names,
                sections=read_sections(sections),
                groups=None if groups is None else read_groups(groups),
                ignore_value=ignore_value,
                progress=lambda share: show(share, ""),
                **reading,
            )
        for note in scores.notes:
            say(f"note: {note}")
        for path, text in ((json_file, json.dumps(to_json(scores), indent=1) + "\n"), (csv_file, to_csv(scores))):
            if path is not None:
                with replacing(path, overwrite=overwrite) as temporary:
                    temporary.write_text(text, encoding="utf-8")
        print_table(scores, printable(f"{result} against {truth}"))
        if page is not None:
            given = images or (groups if groups is not None and groups.is_dir() else None)
            reading |= {"sections": read_sections(sections), "ignore_value": ignore_value}
            write_evaluation_page(page, scores, result, truth, given, **reading)


def print_table(scores: Scores, title: str) -> None:
    """Print a row per score: pooled over all images, pooled over each group of images, and the range over images."""
    table = Table(title=title, title_justify="left")
    table.add_column("score")
    table.add_column("all", justify="right")
    for group in scores.groups:
        table.add_column(group, justify="right")
    table.add_column("best threshold", justify="right")
    table.add_column(f"lowest and highest of {len(scores.images)}", justify="right")
    for name, value in scores.scores.items():
        sweep = scores.sweeps.get(name)
        single = [row[name] for row in scores.images.values() if name in row and not math.isnan(row[name])]
        spread = f"{min(single):.4f} {max(single):.4f}" if single else ""
        of_groups = [f"{row[name]:.6g}" if name in row else "" for row in scores.groups.values()]
        table.add_row(
            title_of(name, scores.class_names),
            f"{value:.6g}",
            *of_groups,
            f"{sweep.best_threshold:.1f}" if sweep else "",
            spread,
        )
    Console().print(table)


def title_of(name: str, class_names: Sequence[str]) -> str:
    """Name of a score, with that of its class.

    >>> title_of("dice_1", ["background", "nucleus"]), title_of("dice", [])
    ('dice_1 (nucleus)', 'dice')
    """
    number = name.rpartition("_")[2]
    known = number.isdecimal() and int(number) < len(class_names)
    return f"{name} ({printable(class_names[int(number)])})" if known else name


def read_sections(text: str | None) -> slice | None:
    """The slice of sections that ``20:24`` stands for.

    >>> read_sections("20:24"), read_sections(":4")
    (slice(20, 24, None), slice(None, 4, None))
    """
    if text is None:
        return None
    first, colon, stop = text.partition(":")
    if not colon or not all(part == "" or part.lstrip("-").isdecimal() for part in (first, stop)):
        raise ConfigError(f"--sections wants first:stop, as in 20:24, got {text!r}")
    return slice(int(first) if first else None, int(stop) if stop else None)
