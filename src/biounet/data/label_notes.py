"""Notes on labels: what their numbers were taken for, and what a person may not expect of them."""

from collections.abc import Sequence

from biounet.config.tasks import TASKS
from biounet.data.label_kind import LabelStatistics

__all__ = ["explain_labels"]


def explain_labels(
    kind: str, values: tuple[int, ...], statistics: Sequence[LabelStatistics], *, guessed: bool
) -> list[str]:
    """Say what the labels were taken for.

    Parameters
    ----------
    kind : classes or objects
    values : of the label files, those that stand for class 0, 1, ...
    statistics : of each label image
    guessed : whether nobody said what kind it is

    Examples
    --------
    >>> from pathlib import Path
    >>> explain_labels("classes", (), [LabelStatistics(Path("a.png"), (1, 2), 3)], guessed=False)[0][:38]
    'no label is 0: numbers begin at 1, as '
    """
    notes = []
    if values:
        classes = ", ".join(str(number) for number in range(len(values)))
        notes.append(f"label values {', '.join(map(str, values))} are read as classes {classes}")
    elif statistics and not TASKS[kind].numbered and min(min(image.values, default=1) for image in statistics) > 0:
        first = min(min(image.values, default=1) for image in statistics)
        notes.append(
            f"no label is 0: numbers begin at {first}, as ilastik writes them, so there is no background to learn; "
            "results have the same numbers"
        )
    if guessed:
        notes.append(_guess(kind, sum(image.pieces for image in statistics)))
    in_pieces = [(image.path.name, *each) for image in statistics for each in image.in_pieces]
    if TASKS[kind].numbered and in_pieces:
        (name, number, pieces), images = in_pieces[0], sum(bool(image.in_pieces) for image in statistics)
        notes.append(
            f"objects in several unconnected pieces: {len(in_pieces)}, in {images} of {len(statistics)} images (number "
            f"{number} of {name} is in {pieces}); each is kept as one object, biounet measure LABELS --out FOLDER "
            "--split numbers the pieces apart"
        )
    return notes


def _guess(kind: str, pieces: int) -> str:
    """Say what numbers were taken for, and how to say otherwise."""
    taken = f"each label number is taken for {TASKS[kind].numbers} ({pieces} pieces in all)"
    if TASKS[kind].numbered:
        return f"{taken}; --classes A,B,.. (train.target=classes) says otherwise"
    return (
        f"{taken}, 0 for background; --objects (train.target={TASKS['objects'].target}) says otherwise, "
        "--ignore-value 0 that 0 is unlabelled, as with scribbles"
    )
