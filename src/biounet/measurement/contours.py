"""Contours of objects as polygons along the edges of pixels."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from biounet.core.components import number_pieces
from biounet.core.labels import check_labels

__all__ = ["outline_polygons"]


def outline_polygons(labels: np.ndarray) -> dict[int, NDArray[np.int64]]:
    """Contour of the largest piece of every object, as a polygon.

    Parameters
    ----------
    labels : (Y, X), integers
        0 is background, negative is IGNORE.

    Returns
    -------
    label -> (K, 2), int64, ascending labels
        Y, X of the corners, clockwise from the top left one. Pixel (y, x) covers y..y + 1, x..x + 1, as in ImageJ;
        corners lie between pixels. Holes are filled. Pixels that meet at a corner are connected: there the polygon
        touches itself.

    Raises
    ------
    LabelError, ShapeError
        If the array is no label image of a plane.

    Notes
    -----
    Cost: linear in the number of pixels.

    Examples
    --------
    >>> outline_polygons(np.array([[0, 4, 4]]))[4].tolist()
    [[0, 1], [0, 3], [1, 3], [1, 1]]
    """
    check_labels(labels, masks=True, axes=("YX",))
    pieces, names = number_pieces(labels)
    sizes = np.bincount(pieces.ravel(), minlength=len(names))
    order = np.lexsort((np.arange(len(names)), -sizes, names))
    largest = order[np.diff(names[order], prepend=0) > 0]  # the first of each label; background is no object
    wanted = np.zeros(len(names), bool)
    wanted[largest] = True
    corners = _trace(np.pad(pieces, 1), wanted)
    starts = np.flatnonzero(np.diff(corners[:, 0], prepend=0))
    parts = np.split(corners, starts)[1:]
    polygons = {int(names[part[0, 0]]): part[:, 1:] for part in parts}
    return dict(sorted(polygons.items()))


@njit(cache=True, nogil=True)
def _trace(framed, wanted):  # type: ignore[no-untyped-def]
    """Numbers, Y and X of the corners of each wanted piece, (K, 3), from a walk with the piece on the right."""
    # Steps east, south, west, north; the pixels ahead on the left and on the right of a corner, in that order.
    step_y, step_x = (0, 1, 0, -1), (1, 0, -1, 0)
    left_y, left_x = (-1, 0, 0, -1), (0, 0, -1, -1)
    corners = [(np.int64(0), 0, 0) for _ in range(0)]  # empty, but typed
    done = ~wanted
    for top in range(1, framed.shape[0] - 1):
        for first in range(1, framed.shape[1] - 1):
            piece = np.int64(framed[top, first])
            if piece == 0 or done[piece]:
                continue
            done[piece] = True
            y, x, heading = top, first, 0
            corners.append((piece, y - 1, x - 1))
            while True:
                y, x = y + step_y[heading], x + step_x[heading]
                if y == top and x == first:
                    break
                right = (heading + 1) % 4
                turn = 0
                if framed[y + left_y[heading], x + left_x[heading]] == piece:
                    turn = 3
                elif framed[y + left_y[right], x + left_x[right]] != piece:
                    turn = 1
                if turn:
                    heading = (heading + turn) % 4
                    corners.append((piece, y - 1, x - 1))
    found = np.empty((len(corners), 3), np.int64)
    for index, corner in enumerate(corners):
        found[index] = corner
    return found
