"""How edits change labels: functions from what is there to what is there after."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from biounet.core.boxes import Box
from biounet.core.errors import LabelError
from biounet.core.labels import IGNORE
from biounet.workspace.edit import Edit
from biounet.workspace.label_tiles import SIDE, overlap

__all__ = ["EDITS", "Canvas", "Change", "filled", "object_at", "stroke"]


MOST_LOOKED_AT = 2**25
"""Pixels of a region that can be finished, or whose prediction can be taken over, at once."""

Labels = NDArray[np.int32]
Mask = NDArray[np.bool_]
Points = Sequence[tuple[float, float]]
Change = tuple[Box, Labels]
"""A region, and its labels after the edit."""


@dataclass(frozen=True)
class Canvas:
    """Labels and prediction of a plane, as an edit sees them.

    Parameters
    ----------
    shape : (Y, X) pixels
    read : region -> labels
    predicted : region -> predicted labels, IGNORE where nothing was predicted
    number : the next number that no object has
    numbered : whether labels number objects; else they are classes
    """

    shape: tuple[int, int]
    read: Callable[[Box], Labels]
    predicted: Callable[[Box], Labels]
    number: int
    numbered: bool = True

    def region(self, edit: Edit) -> Box:
        """Region of an edit, as far as it lies in the plane."""
        top, left, bottom, right = edit.box or (0, 0, *self.shape)
        box = Box((max(0, top), max(0, left)), (min(bottom, self.shape[0]), min(right, self.shape[1])))
        if min(box.shape) < 1:
            raise LabelError("the region lies outside of the image; choose one inside")
        if box.size > MOST_LOOKED_AT:
            raise LabelError(
                f"a region of {box.size:,} pixels is too large to be accepted or finished at once; zoom in"
            )
        return box

    def painted(self, edit: Edit) -> int:
        """Label that an edit paints."""
        if isinstance(edit.label, int):
            return edit.label
        y, x = (int(np.floor(at)) for at in edit.points[0])
        inside = 0 <= y < self.shape[0] and 0 <= x < self.shape[1]
        under = int(self.read(Box((y, x), (y + 1, x + 1)))[0, 0]) if edit.label == "under" and inside else 0
        return under if under > 0 else self.number

    def pixel(self, point: tuple[float, float]) -> tuple[int, int]:
        """Pixel at a point."""
        y, x = int(np.floor(point[0])), int(np.floor(point[1]))
        if not (0 <= y < self.shape[0] and 0 <= x < self.shape[1]):
            raise LabelError("the point lies outside of the image; choose one inside")
        return y, x


def stroke(
    points: Sequence[tuple[float, float]], radius: float, shape: tuple[int, int]
) -> tuple[Box, NDArray[np.bool_]]:
    """Pixels of a plane whose centres a round brush has touched; the pixel under the brush always counts.

    Returns
    -------
    region, (Y, X) bool of its size

    Examples
    --------
    >>> box, mask = stroke([(2.5, 2.5), (2.5, 4.5)], 1.0, (9, 9))
    >>> box, mask.astype(int).tolist()
    (Box(start=(1, 1), stop=(4, 6)), [[0, 1, 1, 1, 0], [1, 1, 1, 1, 1], [0, 1, 1, 1, 0]])
    """
    line = np.asarray(points, float)
    reach = max(radius, 0.5)
    low = np.clip(np.floor(line.min(0) - reach), 0, shape).astype(int)
    high = np.clip(np.ceil(line.max(0) + reach), 0, shape).astype(int)
    box = Box((int(low[0]), int(low[1])), (int(high[0]), int(high[1])))
    mask = np.zeros(tuple(max(0, size) for size in box.shape), bool)
    for first, last in zip(line, line[1:] if len(line) > 1 else line, strict=False):
        _add_segment(mask, first - box.start, last - box.start, reach)
    return box, mask


def _add_segment(mask: Mask, first: NDArray[np.float64], last: NDArray[np.float64], reach: float) -> None:
    """Mark the pixels near one straight piece of a line; in place."""
    low = np.maximum(np.floor(np.minimum(first, last) - reach), 0).astype(int)
    high = np.minimum(np.ceil(np.maximum(first, last) + reach), mask.shape).astype(int)
    if (high <= low).any():
        return
    y, x = np.ogrid[low[0] : high[0], low[1] : high[1]]
    along = last - first
    length = float(along @ along)
    y, x = y + 0.5 - first[0], x + 0.5 - first[1]
    share = np.clip((y * along[0] + x * along[1]) / length, 0, 1) if length else np.zeros(np.broadcast(y, x).shape)
    near = (y - share * along[0]) ** 2 + (x - share * along[1]) ** 2 <= reach**2
    mask[low[0] : high[0], low[1] : high[1]] |= near
    for end in (first, last):
        at = np.floor(end).astype(int)
        if (at >= 0).all() and (at < mask.shape).all():
            mask[tuple(at)] = True


def object_at(point: tuple[int, int], read: Callable[[Box], Labels], shape: tuple[int, int]) -> tuple[int, Box]:
    """Label at a pixel, and a region that the object reaches to no side of; of a label at most 0, that pixel."""
    y, x = point
    box = Box((y, x), (y + 1, x + 1))
    label = int(read(box)[0, 0])
    if label <= 0:
        return label, box
    margin = SIDE // 4
    while True:
        wider = box.grown((margin, margin), shape)
        found = np.argwhere(read(wider) == label)
        low, high = found.min(0) + wider.start, found.max(0) + 1 + wider.start
        tight = Box((int(low[0]), int(low[1])), (int(high[0]), int(high[1])))
        if tight == box or wider.shape == shape:
            return label, tight
        box, margin = tight, margin * 2


def filled(points: Points, shape: tuple[int, int]) -> tuple[Box, Mask]:
    """Pixels of a plane whose centres lie inside of a closed line; of a line that crosses itself, those inside once.

    Returns
    -------
    region, (Y, X) bool of its size

    Examples
    --------
    >>> box, mask = filled([(1, 1), (1, 3), (3, 3), (3, 1)], (9, 9))
    >>> box, mask.astype(int).tolist()
    (Box(start=(1, 1), stop=(3, 3)), [[1, 1], [1, 1]])
    """
    line = np.asarray(points, float)
    low = np.clip(np.floor(line.min(0)), 0, shape).astype(int)
    high = np.clip(np.ceil(line.max(0)), 0, shape).astype(int)
    box = Box((int(low[0]), int(low[1])), (int(high[0]), int(high[1])))
    turns = np.zeros((max(0, box.shape[0]), max(0, box.shape[1]) + 1), np.int32)
    line -= low + 0.5  # centres of pixels lie at whole numbers
    for (y0, x0), (y1, x1) in zip(line, np.roll(line, -1, axis=0), strict=True):
        first, last = (np.clip(np.ceil(y), 0, len(turns)).astype(int) for y in sorted((y0, y1)))
        if first < last:
            crossings = x0 + (np.arange(first, last) - y0) * (x1 - x0) / (y1 - y0)
            turns[np.arange(first, last), np.clip(np.ceil(crossings), 0, turns.shape[1] - 1).astype(int)] += 1
    return box, turns.cumsum(axis=1)[:, :-1] % 2 == 1


def _paint(edit: Edit, canvas: Canvas, box: Box, mask: Mask) -> list[Change]:
    """Give the pixels of a mask a label; objects do not cover other objects, unless they shall."""
    if not mask.any():
        return []
    labels = canvas.read(box)
    label = canvas.painted(edit)
    if canvas.numbered and label > 0 and not edit.over:
        mask = mask & ((labels <= 0) | (labels == label))
    return [(box, np.where(mask, np.int32(label), labels))]


def _stroke(edit: Edit, canvas: Canvas) -> list[Change]:
    return _paint(edit, canvas, *stroke(edit.points, edit.radius, canvas.shape))


def _outline(edit: Edit, canvas: Canvas) -> list[Change]:
    """Fill a closed line."""
    return _paint(edit, canvas, *filled(edit.points, canvas.shape))


def _delete(edit: Edit, canvas: Canvas) -> list[Change]:
    """Make an object background; a predicted one where none is drawn."""
    point = canvas.pixel(edit.points[0])
    label, box = object_at(point, canvas.read, canvas.shape)
    if label > 0:
        return [(box, np.where(canvas.read(box) == label, np.int32(0), canvas.read(box)))]
    label, box = object_at(point, canvas.predicted, canvas.shape)
    if label <= 0:
        raise LabelError("there is no object at this point; click on one")
    labels = canvas.read(box)
    wrong = (canvas.predicted(box) == label) & (labels <= 0)
    return [(box, np.where(wrong, np.int32(0), labels))]


def _merge(edit: Edit, canvas: Canvas) -> list[Change]:
    """Give all objects the number of the first."""
    found = [object_at(canvas.pixel(point), canvas.read, canvas.shape) for point in edit.points]
    if any(label <= 0 for label, _ in found):
        raise LabelError("a merge needs objects that are drawn; click on two of them")
    first = found[0][0]
    if all(label == first for label, _ in found):
        raise LabelError("this is one object already; click on two of them")
    changes = []
    for label, box in found:
        if label != first:
            labels = canvas.read(box)
            changes.append((box, np.where(labels == label, np.int32(first), labels)))
    return changes


def _split(edit: Edit, canvas: Canvas) -> list[Change]:
    """Cut the object that a line crosses; the largest part keeps the number, pixels of the line go to the nearest."""
    line, mask = stroke(edit.points, max(edit.radius, 0.75), canvas.shape)
    under = canvas.read(line)[mask]
    under = under[under > 0]
    if not under.size:
        raise LabelError("the line crosses no object that is drawn; draw it through one")
    label = int(np.bincount(under).argmax())
    inside = np.argwhere(mask & (canvas.read(line) == label))[0]
    _, box = object_at((int(inside[0]) + line.start[0], int(inside[1]) + line.start[1]), canvas.read, canvas.shape)
    labels = canvas.read(box)
    of_object = labels == label
    cut = np.zeros(box.shape, bool)
    common = overlap(line, box)
    cut[common.relative_to(box.start).slices] = mask[common.relative_to(line.start).slices]
    parts, count = cc3d.connected_components((of_object & ~cut).astype(np.uint8), connectivity=4, return_N=True)
    if count < 2:
        raise LabelError("the line does not cut the object in two; draw it from side to side")
    order = np.argsort(-np.bincount(parts.ravel())[1:], kind="stable") + 1
    numbers = np.zeros(count + 1, np.int32)
    numbers[order] = [label, *range(canvas.number, canvas.number + count - 1)]
    _, nearest = distance_transform_edt(parts == 0, return_indices=True)
    return [(box, np.where(of_object, numbers[parts[tuple(nearest)]], labels))]


def _right(edit: Edit, canvas: Canvas) -> list[Change]:
    """Take over the predicted object at a point."""
    label, box = object_at(canvas.pixel(edit.points[0]), canvas.predicted, canvas.shape)
    if label <= 0:
        raise LabelError("no object is predicted at this point; click on one, or wait for the prediction")
    labels = canvas.read(box)
    taken = (canvas.predicted(box) == label) & (labels <= 0)
    return [(box, np.where(taken, np.int32(canvas.number if canvas.numbered else label), labels))]


def _accept(edit: Edit, canvas: Canvas) -> list[Change]:
    """Take over all that is predicted where nothing is drawn; predicted objects that touch a drawn one are left out."""
    box = canvas.region(edit)
    labels, predicted = canvas.read(box), canvas.predicted(box)
    free = (labels == IGNORE) & (predicted != IGNORE)
    if not free.any():
        raise LabelError("there is no prediction in this region that is not taken over; wait for it")
    if not canvas.numbered:
        return [(box, np.where(free, predicted, labels))]
    numbers, dense = np.unique(np.maximum(predicted, 0), return_inverse=True)
    dense = dense.reshape(box.shape)
    pixels = np.bincount(dense.ravel(), minlength=len(numbers))
    covered = np.bincount(dense[labels > 0], minlength=len(numbers))
    taken = (numbers > 0) & (covered * 2 < pixels)
    given = np.where(taken, canvas.number + np.cumsum(taken) - 1, 0).astype(np.int32)
    return [(box, np.where(free, given[dense], labels))]


def _finish(edit: Edit, canvas: Canvas) -> list[Change]:
    """Make all that is unknown background."""
    box = canvas.region(edit)
    return [(box, np.maximum(canvas.read(box), 0))]


def _reopen(edit: Edit, canvas: Canvas) -> list[Change]:
    """Change no label: the store takes the region from the list of those that are finished."""
    return []


EDITS: Mapping[str, Callable[[Edit, Canvas], list[Change]]] = MappingProxyType(
    {
        "paint": _stroke,
        "outline": _outline,
        "delete": _delete,
        "merge": _merge,
        "split": _split,
        "right": _right,
        "accept": _accept,
        "finish": _finish,
        "reopen": _reopen,
    }
)
"""Kind of an edit -> what it does."""
