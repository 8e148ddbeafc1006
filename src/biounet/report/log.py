"""Log of a training run: reading it, and warnings about problems in it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from biounet.core.csv_file import read_csv
from biounet.core.errors import TrainingError
from biounet.core.text_file import Record, TextFile

__all__ = ["best_row", "health", "load_log", "lower_is_better"]


Log = Sequence[Mapping[str, float]]
Finding = tuple[str, str]


class _Row(Record, extra="allow"):
    """Row of a log; further columns are scores."""

    __pydantic_extra__: dict[str, float]
    step: float
    seconds: float
    loss: float


WORSE_BY = 0.01
"""Difference from the best validation score that counts as a fall, not as noise."""

WORSE_FOR = 3
"""Reports in a row that are worse before there is a warning."""


def load_log(path: Path) -> list[dict[str, float]]:
    r"""Rows of the ``log.csv`` of a run.

    Parameters
    ----------
    path : Path

    Returns
    -------
    list of rows, oldest first
        With ``step``, ``seconds``, ``loss``, ``learning_rate``, the validation scores, and ``best``
        (1 where the network was the best so far). Empty if nothing was reported yet.

    Raises
    ------
    TrainingError
        If the file is no such log.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "log.csv"
    >>> _ = path.write_text("step,seconds,loss,learning_rate,score,best\n50,12.5,0.4,0.003,nan,1\n")
    >>> load_log(path)
    [{'step': 50.0, 'seconds': 12.5, 'loss': 0.4, 'learning_rate': 0.003, 'score': nan, 'best': 1.0}]
    """
    if not path.exists():
        return []
    file = TextFile(str(path), TrainingError, "mend it, or delete it and go on with --resume")
    return [row.model_dump() for _, row in read_csv(path, _Row, file)]


def best_row(log: Log) -> Mapping[str, float] | None:
    """Row of the best network, which is in the model file.

    >>> best_row([{"step": 1, "best": 1}, {"step": 2, "best": 1}, {"step": 3, "best": 0}])
    {'step': 2, 'best': 1}
    """
    return next((row for row in reversed(log) if row.get("best")), None)


def lower_is_better(score: str) -> bool:
    """Whether a score counts mistakes.

    >>> lower_is_better("rand_error"), lower_is_better("dice")
    (True, False)
    """
    return any(word in score.lower() for word in ("error", "loss"))


def health(
    log: Log,
    confusion: np.ndarray | None,
    *,
    class_names: Sequence[str] = (),
    balanced: bool = False,
    late: bool = True,
) -> dict[str, str]:
    """Warnings about problems of a run: what is wrong, a likely cause, and what to try.

    Parameters
    ----------
    log : rows as of `load_log`
    confusion : (classes, classes), pixels of a true class (row) given a class (column), or None
    class_names : one per class
        Numbers are used without them.
    balanced : whether the loss balances classes already, so that this is no advice
    late : whether so much of the run is over that a class which is never predicted is worth a warning

    Returns
    -------
    finding -> sentence; empty if nothing is wrong
        A finding has the same name in later reports, where the numbers in its sentence may differ.

    Examples
    --------
    >>> for finding, sentence in health([], np.array([[90, 0], [10, 0]])).items():
    ...     print(f"{finding}: {sentence[:38]}")
    nothing else: Nothing but class 0 is ever predicted:
    """
    names = list(class_names) or [f"class {number}" for number in range(0 if confusion is None else len(confusion))]
    return dict([*_of_loss(log), *_of_scores(log), *_of_classes(confusion, names, balanced=balanced, late=late)])


def _of_loss(log: Log) -> Iterator[Finding]:
    """Warnings about a loss that is no number, or that grows."""
    losses = [row["loss"] for row in log]
    if not losses:
        return
    step, rate = log[-1]["step"], max(row.get("learning_rate", math.nan) for row in log)
    cure = f"try --set train.learning_rate={rate / 3:.1g}, or --set train.clip=1"
    if not math.isfinite(losses[-1]):
        sentence = f"The training loss is no number at step {step:.0f}: the learning rate is likely too high; {cure}."
        yield "no number", sentence
    elif len(losses) > 1 and losses[-1] > max(3 * min(losses[:-1]), 0.1):
        lowest = min(log[:-1], key=lambda row: row["loss"])
        yield (
            "loss",
            f"The training loss has grown from {lowest['loss']:.3g} at step {lowest['step']:.0f} to {losses[-1]:.3g} "
            f"at step {step:.0f}: the learning rate is likely too high; {cure}.",
        )


def _of_scores(log: Log) -> Iterator[Finding]:
    """A warning about a validation score that falls while the training loss falls, too."""
    rows = [row for row in log if math.isfinite(row.get("score", math.nan))]
    if len(rows) <= WORSE_FOR:
        return
    best = max(rows, key=lambda row: row["score"])
    since = rows[-WORSE_FOR:]
    if all(row["score"] < best["score"] - WORSE_BY for row in since) and since[-1]["loss"] < best["loss"]:
        yield (
            "overfitting",
            f"The validation score has fallen from {best['score']:.3f} at step {best['step']:.0f} to "
            f"{since[-1]['score']:.3f} while the training loss still falls: the network likely learns the training "
            "images by heart; the best model is kept, so annotate more images, train for a shorter time, or vary the "
            "images more (--set augment.scale=1.3).",
        )


def _of_classes(confusion: np.ndarray | None, names: Sequence[str], *, balanced: bool, late: bool) -> Iterator[Finding]:
    """Warnings about classes that are annotated but never predicted."""
    if confusion is None or not len(confusion):
        return
    there, given = confusion.sum(1), confusion.sum(0)
    if not there.sum():
        sentence = "No pixel of the validation images has a label, so no score means anything; label some pixels there."
        yield "unlabelled", sentence
        return
    if not late:
        return
    also = "" if balanced else ", or try --set train.class_balance=true"
    missed = np.flatnonzero((there > 0) & (given == 0)).tolist()
    if np.count_nonzero(given) == 1 and len(missed):
        yield (
            "nothing else",
            f"Nothing but {names[int(given.argmax())]} is ever predicted: the run may be too short, or the other "
            f"classes too rare; train longer{also}.",
        )
        return
    for number in missed:
        yield (
            f"without {names[number]}",
            f"{names[number]} is never predicted, though it is {there[number] / there.sum():.2%} of the labelled "
            f"pixels: it is likely too rare to pay off; label more of it{also}.",
        )
