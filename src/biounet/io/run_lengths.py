"""Run lengths of COCO: how many pixels in turn are not of an object and are, column by column."""

from collections.abc import Iterator, Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from biounet.core.labels import check_labels

__all__ = ["compress", "expand", "paint_runs", "runs_of_objects"]


def runs_of_objects(labels: np.ndarray) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Run lengths of each label but 0, ascending, negative ones too.

    Parameters
    ----------
    labels : (Y, X), integers

    Yields
    ------
    label, run lengths
        Pixels outside, inside, outside, ... of the object, down the first column, then the second; the first may be
        0. Their sum is the number of pixels.

    Examples
    --------
    >>> [(label, runs.tolist()) for label, runs in runs_of_objects(np.array([[7, 0, 7], [7, 7, 0]]))]
    [(7, [0, 2, 1, 2, 1])]
    """
    check_labels(labels, axes=("YX",))
    flat = labels.T.ravel()
    places = np.flatnonzero(flat)
    order = np.argsort(flat[places], kind="stable")
    places, values = places[order], flat[places][order]
    if not len(places):
        return
    first = np.flatnonzero(np.append(True, (np.diff(values) != 0) | (np.diff(places) != 1)))
    starts, ends = places[first], places[np.append(first[1:], len(places)) - 1] + 1
    objects, at = np.unique(values[first], return_index=True)
    for label, start, stop in zip(objects.tolist(), at, np.append(at[1:], len(first)), strict=True):
        edges = np.stack([starts[start:stop], ends[start:stop]], axis=1).ravel()
        runs = np.diff(edges, prepend=0, append=flat.size)
        yield label, runs if runs[-1] else runs[:-1]


def paint_runs(labels: NDArray[np.int32], runs: Sequence[int] | NDArray[np.int64], number: int) -> tuple[int, int]:
    """Write a number into the pixels of an object.

    Parameters
    ----------
    labels : (Y, X), int32
        Is changed.
    runs : as of `runs_of_objects`
    number : int

    Returns
    -------
    painted, taken : int
        How many pixels were written, and how many of them had another number than 0 before.

    Raises
    ------
    ValueError
        If the sum of the runs is not the number of pixels, or one is negative.
    """
    lengths = np.asarray(runs, np.int64)
    if lengths.ndim != 1 or (lengths < 0).any() or (lengths > labels.size).any() or lengths.sum() != labels.size:
        raise ValueError(f"run lengths must add up to {labels.size} pixels")
    painted, taken = _paint(labels, lengths, number)
    return painted, taken


def compress(runs: Sequence[int] | NDArray[np.int64]) -> str:
    """Run lengths as COCO's text: each less the last but one, in groups of five bits.

    >>> compress([6073, 8, 119, 10, 117, 11, 117, 12, 116, 12, 117, 10, 122, 5, 9535])
    'im58g32N101O01N5KUV9'
    """
    counts, text = [int(run) for run in runs], []
    for index, count in enumerate(counts):
        left = count - counts[index - 2] if index > 2 else count
        more = True
        while more:
            group, left = left & 31, left >> 5
            more = left != (-1 if group & 16 else 0)
            text.append(chr(48 + (group | 32 * more)))
    return "".join(text)


def expand(text: str) -> list[int]:
    """Run lengths from COCO's text.

    Raises
    ------
    ValueError
        If it is none.

    Examples
    --------
    >>> expand(compress([3, 70_000, 0, 12]))
    [3, 70000, 0, 12]
    """
    counts: list[int] = []
    value = shift = 0
    for letter in text:
        group = ord(letter) - 48
        if not 0 <= group < 64 or shift > 40:
            raise ValueError(f"{letter!r} is not of run lengths")
        value |= (group & 31) << shift
        shift += 5
        if not group & 32:
            value -= (1 << shift) if group & 16 else 0
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("run lengths are cut off")
    return counts


@njit(cache=True, nogil=True)
def _paint(labels, runs, number):  # type: ignore[no-untyped-def]
    """Write a number along runs; pixels written, and pixels taken from others."""
    height = labels.shape[0]
    at = painted = taken = 0
    for index in range(len(runs)):
        if index % 2:
            for place in range(at, at + runs[index]):
                before = labels[place % height, place // height]
                painted += 1
                taken += before != 0 and before != number
                labels[place % height, place // height] = number
        at += runs[index]
    return painted, taken
