"""The command `biounet check --suspects`: labels that a run contradicts, as lines, a table and a page."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from biounet.cli.progress import progress, say
from biounet.core.atomic_files import replacing
from biounet.core.output_lock import holding
from biounet.core.overwriting import Inputs
from biounet.core.places import check_output
from biounet.core.words import counted, percent, printable
from biounet.evaluation.suspects import Suspect, Suspects, reliabilities
from biounet.report.answer import Answer
from biounet.report.suspects_report import crop_around, write_suspects_report
from biounet.report.views import Picture
from biounet.training.held_out import LARGEST, HeldOutImages

__all__ = ["run_suspects"]


LISTED, SHOWN = 10, 20
"""Suspects that are printed, and that the page shows."""

SURE = 0.5
"""Certainty from which a suspect counts; the table has all."""


@dataclass(frozen=True)
class _Found:
    """A suspect of an image in words, and the picture of it, where that may be shown."""

    image: str
    suspect: Suspect
    said: str
    crop: Picture | None = None

    @property
    def line(self) -> str:
        """The suspect and its place in words."""
        place = ", ".join(f"{axis} {at}" for axis, at in self.place.items())
        return f"{self.image} at {place}: {self.said} ({percent(self.suspect.certainty)})"

    @property
    def place(self) -> dict[str, int]:
        """The pixel in the middle, by axis."""
        at = self.suspect.place
        return dict(zip("zyx"[-len(at) :], at, strict=True))

    @property
    def row(self) -> dict[str, object]:
        """The suspect as a row of the table."""
        labels = " ".join(map(str, self.suspect.labels))
        named = {"image": self.image, **self.place, "what": self.suspect.what, "labels": labels}
        return named | {"certainty": f"{self.suspect.certainty:.4f}"}


def run_suspects(dataset: Path, run: Path, out: Path | None, *, device: str = "auto", overwrite: bool = False) -> None:
    """Predict the images that a run, or one of its folds, did not learn from, and list the labels that it contradicts.

    Parameters
    ----------
    dataset : Path
    run : model file, folder of a run, or of a cross-validation
    out : folder for ``suspects.csv`` and ``suspects.html``; None: neither is written
    device : auto, cpu, cuda or cuda:N
    overwrite : whether the two files are replaced

    Raises
    ------
    DatasetError
        If the run has learnt from all images.
    OutputError
        If a file exists, or cannot be written.
    """
    written = {} if out is None else {"table": out / "suspects.csv", "page": out / "suspects.html"}
    for path in written.values():
        check_output(path, file=True)
    with holding(written.values()):
        read = Inputs({"the run": [run], "the dataset": [dataset]})
        for kind, path in written.items():
            read.check(path, overwrite=overwrite, kind=kind)
        held_out = HeldOutImages.of(dataset, run)
        notes = _notes(held_out, run)
        for note in notes:
            say(f"note: {note}")
        found = _search(held_out, device, with_crops=bool(written))
        sure = sum(each.suspect.certainty >= SURE for each in found)
        said = f"{counted(sure, 'suspect')} in {counted(len(held_out.models), 'image')}"
        if written:
            _write_table(written["table"], found)
            _write_page(written["page"], found[: min(sure, SHOWN)], said, notes, held_out.class_names)
    typer.echo(f"{said}{', the surest first:' if sure else ''}")
    for each in found[: min(sure, LISTED)]:
        typer.echo(printable(each.line))
    if written:
        say(f"look at {written['page']}; {written['table']} has all")
    elif sure > LISTED:
        say(f"{sure - LISTED} more; --out FOLDER writes a table of all, and a page with pictures")


def _notes(held_out: HeldOutImages, run: Path) -> list[str]:
    """Say which images are not judged, and why."""
    count = len(held_out.models) + len(held_out.learnt) + len(held_out.large)
    reasons = (
        (held_out.learnt, f"since {run} has learnt from them; a run with --folds judges all"),
        (held_out.large, f"since they have more than {LARGEST:,} px; cut them into smaller ones"),
    )
    return [
        f"{len(names)} of {count} images are not judged (e.g. {names[0]}), {why}" for names, why in reasons if names
    ]


def _search(held_out: HeldOutImages, device: str, *, with_crops: bool) -> list[_Found]:
    """Suspects of all images, the surest first."""
    found: list[_Found] = []
    images: list[Suspects] = []
    with progress("predicting") as show:
        for image in held_out.predict(device=device, progress=lambda share: show(share, "")):
            images.append(image.suspects())
            crops = {each: crop_around(image, each) for each in _surest(images[-1])} if with_crops else {}
            found += [
                _Found(image.name, each, each.said(held_out.class_names), crops.get(each)) for each in images[-1].found
            ]
    share = reliabilities(images)
    weighed = [replace(each, suspect=each.suspect.weighed(share)) for each in found]
    return sorted(weighed, key=lambda each: (-each.suspect.certainty, -each.suspect.box.size))


def _surest(suspects: Suspects) -> list[Suspect]:
    """Those of an image that the page may show, whatever it will say of kinds."""
    of_kind: dict[str, list[Suspect]] = {}
    for each in sorted(suspects.found, key=lambda each: -each.certainty):
        of_kind.setdefault(each.what, []).append(each)
    return [each for kind in of_kind.values() for each in kind[:SHOWN]]


def _write_table(path: Path, found: Sequence[_Found]) -> None:
    """Write a row for each suspect."""
    rows = [each.row for each in found]
    with replacing(path, overwrite=True) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(
            stream, list(rows[0]) if rows else ["image", "what", "labels", "certainty"], lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(rows)


def _write_page(
    path: Path, found: Sequence[_Found], said: str, notes: Sequence[str], class_names: Sequence[str]
) -> None:
    """Write the page with the surest suspects."""
    if found:
        doubt = "A network that was trained briefly is often wrong itself: blue is drawn, orange is what it sees."
        answer = Answer(said, "usable", "Look at each, and correct what is wrong", doubt=doubt)
    else:
        answer = Answer(said, "good", "No label is contradicted")
    shown = [(each.line, each.crop) for each in found if each.crop is not None]
    title = "Labels that the network contradicts"
    write_suspects_report(path, shown, answer, title=title, class_names=class_names, notes=notes)
