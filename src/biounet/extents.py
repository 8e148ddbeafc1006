"""How long objects are, of labels that come in bands along Y."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from biounet.geometry import Span, hull
from biounet.targets import dense_numbers

__all__ = ["Extents"]


class Extents:
    """Boxes around the objects of an image, each found as a whole whichever bands it lies in.

    Examples
    --------
    >>> extents = Extents()
    >>> extents.add(np.array([[0, 7, 7], [0, 0, 7]]))
    >>> extents.add(np.array([[0, 0, 7], [3, 0, 7]]))
    >>> extents.longest_sides()
    [4, 1]
    """

    def __init__(self) -> None:
        self._boxes: dict[int, list[Span]] = {}  # by the number of the object
        self._rows = 0

    def add(self, objects: NDArray[Any]) -> None:
        """Find the objects in the next band, (Y, X) or (Z, Y, X): positive numbers."""
        numbers = dense_numbers(objects)  # for find_objects makes a list as long as the largest is
        names = np.zeros(1 + int(numbers.max(initial=0)), np.int64)
        names[numbers.ravel()] = objects.ravel()
        above = [0] * objects.ndim
        above[-2] = self._rows
        for name, sides in zip(names[1:].tolist(), find_objects(numbers), strict=True):
            if sides is not None:
                box = [(side.start + rows, side.stop - 1 + rows) for side, rows in zip(sides, above, strict=True)]
                self._boxes[name] = list(map(hull, box, self._boxes.get(name, box)))
        self._rows += objects.shape[-2]

    def longest_sides(self) -> list[int]:
        """Longest side of the box around each object, in pixels."""
        return [max(last - first + 1 for first, last in box) for box in self._boxes.values()]
