"""Predictions of what is on the screen, as files that the process that learns writes and the server reads."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from biounet.core.atomic_files import replacing
from biounet.core.boxes import Box
from biounet.core.errors import OutputError
from biounet.core.json_file import parse_json
from biounet.core.labels import IGNORE
from biounet.core.text_file import Record, TextFile
from biounet.workspace.edit import Plane

__all__ = ["Prediction", "Predictions", "load_prediction", "save_prediction"]


Slices = tuple[slice, slice]

KEPT = 12
"""Regions of a plane whose last prediction is kept."""

APART = 1_000_000
"""Objects of different regions have numbers that differ by multiples of this."""


@dataclass(frozen=True)
class Prediction:
    """What a network says of a region of a plane.

    Parameters
    ----------
    image : name of it
    plane : Plane
    box : region
    step : updates that the network has had
    labels : (Y, X) int32, objects or classes
    foreground : (Y, X) uint8, probability of anything but background in 255ths
    doubt : mean entropy of the pixels without labels, in [0, 1]
    doubtful : regions of most entropy, with that, least certain first
    """

    image: str
    plane: Plane
    box: Box
    step: int
    labels: NDArray[np.int32]
    foreground: NDArray[np.uint8]
    doubt: float
    doubtful: tuple[tuple[Box, float], ...] = ()

    @property
    def facts(self) -> dict[str, Any]:
        """All but the pixels, for JSON."""
        region = [*self.box.start, *self.box.stop]
        doubtful = [[*box.start, *box.stop, round(doubt, 4)] for box, doubt in self.doubtful]
        facts = {"image": self.image, "plane": list(self.plane), "box": region, "step": self.step}
        return {**facts, "doubt": round(self.doubt, 4), "doubtful": doubtful}


class _Facts(Record):
    """`Prediction.facts` in a file."""

    image: str
    plane: Plane
    box: tuple[int, int, int, int]
    step: int
    doubt: float
    doubtful: tuple[tuple[int, int, int, int, float], ...]


def save_prediction(path: Path, prediction: Prediction) -> None:
    """Write a prediction; it appears whole or not at all."""
    facts = np.frombuffer(json.dumps(prediction.facts).encode(), np.uint8)
    with replacing(path, overwrite=True) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, facts=facts, labels=prediction.labels, foreground=prediction.foreground)


def load_prediction(path: Path) -> Prediction:
    """Read what `save_prediction` wrote.

    Raises
    ------
    OutputError
        If it is gone or torn, or its facts are not those of a prediction.
    """
    text = TextFile(f"{path}: facts", OutputError, "delete it; the next prediction is written anew")
    try:
        with np.load(path, allow_pickle=False) as file:
            told, labels, foreground = (file[name] for name in ("facts", "labels", "foreground"))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise OutputError(f"{path} cannot be read: {error}; the next prediction is written anew") from error
    facts = parse_json(text.decode(told.tobytes()), _Facts, text)
    box, doubtful = Box(facts.box[:2], facts.box[2:]), (((a, b), (c, d), doubt) for a, b, c, d, doubt in facts.doubtful)
    regions = tuple((Box(start, stop), doubt) for start, stop, doubt in doubtful)
    return Prediction(facts.image, facts.plane, box, facts.step, labels, foreground, facts.doubt, regions)


class Predictions:
    """The last predictions of the regions of one plane, newest on top.

    Examples
    --------
    >>> box = Box((0, 0), (1, 2))
    >>> found = Predictions()
    >>> found.add(Prediction("a", (0, 0), box, 1, np.array([[0, 5]], np.int32), np.zeros((1, 2), np.uint8), 0.1))
    >>> found.labels(Box((0, 1), (1, 3)))
    array([[ 5, -1]], dtype=int32)
    """

    def __init__(self) -> None:
        self._regions: list[Prediction] = []

    def add(self, prediction: Prediction) -> None:
        """Take in a prediction; regions that it covers are forgotten."""
        box = prediction.box

        def covered(other: Box) -> bool:
            return all(a <= b for a, b in zip(box.start, other.start, strict=True)) and all(
                a >= b for a, b in zip(box.stop, other.stop, strict=True)
            )

        left = [each for each in self._regions if not covered(each.box)]
        self._regions = [*left[-KEPT + 1 :], prediction]

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return sum(each.labels.nbytes + each.foreground.nbytes for each in self._regions)

    @property
    def step(self) -> int:
        """Updates that the network of the newest prediction had; 0 if there is none."""
        return max((each.step for each in self._regions), default=0)

    @property
    def doubtful(self) -> list[tuple[Box, float]]:
        """Regions that the newest networks were least sure of."""
        return [region for each in self._regions for region in each.doubtful]

    def labels(self, box: Box, *, step: int = 1) -> NDArray[np.int32]:
        """Predicted labels of a region, or of every `step`-th pixel; IGNORE where nothing was predicted."""
        result = np.full([-(-size // step) for size in box.shape], IGNORE, np.int32)
        for number, place, inside, part in self._parts(box, step):
            labels = part.labels[inside]
            result[place] = np.where(labels > 0, labels + APART * number, labels)
        return result

    def foreground(self, box: Box, *, step: int = 1) -> NDArray[np.uint8]:
        """Predicted probability of anything but background, in 255ths; 0 where nothing was predicted."""
        result = np.zeros([-(-size // step) for size in box.shape], np.uint8)
        for _, place, inside, part in self._parts(box, step):
            result[place] = part.foreground[inside]
        return result

    def _parts(self, box: Box, step: int) -> Iterator[tuple[int, Slices, Slices, Prediction]]:
        """Number of each prediction that a region touches, oldest first; where it goes, and what is taken of it."""
        for number, each in enumerate(self._regions):
            place, inside = [], []
            for first, last, start, stop in zip(box.start, box.stop, each.box.start, each.box.stop, strict=True):
                begin = max(0, -(-(start - first) // step))
                end = max(begin, -(-(min(stop, last) - first) // step))
                place.append(slice(begin, end))
                at = first + begin * step - start
                inside.append(slice(at, at + (end - begin) * step, step))
            if all(extent.stop > extent.start for extent in place):
                yield number, (place[0], place[1]), (inside[0], inside[1]), each
