"""The command `biounet evaluate`: a table of scores, and the same as JSON and CSV."""

import json
import math
from pathlib import Path

from rich.console import Console
from rich.table import Table

from biounet.cli.progress import progress, say
from biounet.core.atomic_files import check_absent, replacing
from biounet.core.errors import ConfigError, OutputError
from biounet.core.places import check_output, real_path
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
        Whether `json_file` and `csv_file` may be replaced.
    """
    for path in (json_file, csv_file):
        if path is not None:
            check_output(path, file=True)
            check_absent(path, overwrite=overwrite, file=True)
            if real_path(path) in {real_path(given) for given in (result, truth, groups) if given is not None}:
                raise OutputError(f"{path} is read to make the scores; choose another name for them")
    names = None if metrics is None else [name.strip() for name in metrics.split(",") if name.strip()]
    with progress("scoring") as show:
        scores = evaluate(
            result,
            truth,
            metrics=names,
            sections=read_sections(sections),
            groups=None if groups is None else read_groups(groups),
            ignore_value=ignore_value,
            progress=lambda share: show(share, ""),
        )
    for note in scores.notes:
        say(f"note: {note}")
    if json_file is not None:
        with replacing(json_file, overwrite=overwrite) as temporary:
            temporary.write_text(json.dumps(to_json(scores), indent=1) + "\n")
    if csv_file is not None:
        with replacing(csv_file, overwrite=overwrite) as temporary:
            temporary.write_text(to_csv(scores), encoding="utf-8")
    print_table(scores, printable(f"{result} against {truth}"))


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
        table.add_row(name, f"{value:.6g}", *of_groups, f"{sweep.best_threshold:.1f}" if sweep else "", spread)
    Console().print(table)


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
