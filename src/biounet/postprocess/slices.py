"""Objects of the sections of a stack, linked to objects in three dimensions."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from biounet.errors import ConfigError, LabelError, ShapeError
from biounet.postprocess.objects import number_in_order

__all__ = ["link_slices"]


def link_slices(labels: NDArray[Any], *, least_overlap: float = 0.25) -> NDArray[np.uint32]:
    """Give one number to the objects of neighbouring sections that lie over each other.

    Parameters
    ----------
    labels : (Z, Y, X), integers
        Sections that were numbered each for itself; 0 is background, what is negative becomes background.
    least_overlap : IoU in (0, 1]
        Two objects are one if they overlap by this much, and neither overlaps more with another of that section.

    Returns
    -------
    uint32 (Z, Y, X)
        Dense numbers in the order of first pixels. In a section no two objects get one number.

    Raises
    ------
    LabelError, ShapeError, ConfigError
        If these are no sections of labels, or the overlap is no share.

    Examples
    --------
    >>> sections = np.array([[[1, 1, 0, 2]], [[0, 5, 5, 0]], [[0, 7, 7, 0]]])       # IoU 1/3, then 1
    >>> link_slices(sections)[:, 0]
    array([[1, 1, 0, 2],
           [0, 1, 1, 0],
           [0, 1, 1, 0]], dtype=uint32)
    >>> int(link_slices(sections, least_overlap=0.5).max())
    3
    """
    if labels.dtype.kind not in "iu":
        raise LabelError(f"labels must be integers, got {labels.dtype}; number the objects first")
    if labels.ndim != 3:
        raise ShapeError(f"sections must have axes ZYX, got {labels.ndim} axes; stack them first")
    if not 0 < least_overlap <= 1:
        raise ConfigError(f"least_overlap must be a share above 0, got {least_overlap}; 0.25 is a good start")
    numbered = np.zeros(labels.shape, np.uint32)
    count, pairs = 0, [np.empty((2, 0), np.int64)]
    for z, section in enumerate(labels):
        numbers, dense = np.unique(np.append(np.maximum(section, 0), section.dtype.type(0)), return_inverse=True)
        numbered[z] = np.where(section > 0, dense[:-1].reshape(section.shape) + count, 0)
        if z:
            pairs.append(_partners(numbered[z - 1], numbered[z], least_overlap))
        count += len(numbers) - 1
    one, other = np.concatenate(pairs, axis=1)
    graph = coo_array((np.ones(len(one), bool), (one, other)), shape=(count + 1, count + 1))
    component = connected_components(graph, directed=False)[1].astype(np.uint32) + np.uint32(1)
    return number_in_order(np.where(numbered > 0, component[numbered], 0).astype(np.uint32))


def _partners(above: NDArray[np.uint32], below: NDArray[np.uint32], least: float) -> NDArray[np.int64]:
    """Pairs of numbers, each the best of the other, that overlap enough; of equals the first pair."""
    both = (above > 0) & (below > 0)
    pairs, shared = np.unique(np.stack([above[both], below[both]]), axis=1, return_counts=True)
    one, other = pairs.astype(np.int64)
    iou = shared / (np.bincount(above.reshape(-1))[one] + np.bincount(below.reshape(-1))[other] - shared)
    good = np.flatnonzero(iou >= least)
    order = good[np.argsort(-iou[good], kind="stable")]
    best_of_one = order[np.unique(one[order], return_index=True)[1]]
    best_of_other = order[np.unique(other[order], return_index=True)[1]]
    return pairs[:, np.intersect1d(best_of_one, best_of_other)].astype(np.int64)
