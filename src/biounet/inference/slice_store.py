"""Objects of the sections of a stack on disk, while they get the numbers that they have in the stack."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.array_store import ArrayFolder
from biounet.core.boxes import Box
from biounet.core.errors import OutputError
from biounet.segmentation import LEAST_OVERLAP, Overlaps, stack_numbers

__all__ = ["Section"]


@dataclass(frozen=True)
class Section:
    """One section of a stack: a `biounet.core.boxes.Writer` of objects that are numbered 1..n in the section.

    `number` gives them the numbers of the stack, with which `read` returns them. Sections are numbered in their order;
    what is known of those above lies in the folder, so another process may go on.

    Parameters
    ----------
    folder : Path
        It must exist; the sections of all stacks of an image share it.
    frame : int
        Of the image; the section above is the frame before.
    first : bool
        Whether there is none above.
    boxes : regions that the section is written and read by

    Examples
    --------
    >>> import tempfile
    >>> boxes = [Box((0, 0), (1, 2)), Box((0, 2), (1, 4))]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for frame, labels in enumerate(([[1, 1, 0, 2]], [[1, 0, 2, 2]])):
    ...         section = Section(Path(folder), frame, frame == 0, boxes)
    ...         for box in boxes:
    ...             section.write(box, np.array(labels)[box.slices])
    ...         section.number(2, link=True)
    ...     [section.read(box).tolist() for box in boxes]
    [[[1, 0]], [[2, 2]]]
    """

    folder: Path
    frame: int
    first: bool
    boxes: Sequence[Box]

    def write(self, box: Box, array: NDArray[Any]) -> None:
        """Keep the numbers of a region."""
        ArrayFolder(self.folder)[self.frame, *box.start] = array

    def read(self, box: Box) -> NDArray[Any]:
        """Return the numbers of a region."""
        return ArrayFolder(self.folder)[self.frame, *box.start]

    def number(self, objects: int, *, link: bool = False) -> None:
        """Give the objects the numbers of the stack.

        Parameters
        ----------
        objects : how many there are
        link : bool
            Give those that lie over objects of the section above their numbers, see `biounet.segmentation.link_slices`.
            Else no section has numbers of another.

        Raises
        ------
        OutputError
            If nothing is known of the section above.
        """
        count = 0 if self.first else self._above._count()
        partners = self._overlaps().partners(LEAST_OVERLAP) if link and not self.first else None
        numbers = stack_numbers(objects, count, partners=partners)
        for box in self.boxes:
            self.write(box, numbers[self.read(box)])
        ArrayFolder(self.folder)[self.frame,] = np.maximum(count, numbers.max(keepdims=True))

    def forget_above(self) -> None:
        """Delete the regions of the frame before, when those of this one are where they belong."""
        arrays = ArrayFolder(self.folder)
        for box in self.boxes:
            arrays.pop((self.frame - 1, *box.start), None)

    @property
    def _above(self) -> "Section":
        return Section(self.folder, self.frame - 1, False, self.boxes)

    def _overlaps(self) -> Overlaps:
        """What the objects share with those of the section above."""
        return Overlaps.joined(Overlaps.of(self._above.read(box), self.read(box)) for box in self.boxes)

    def _count(self) -> int:
        """The largest number up to this section."""
        try:
            return int(ArrayFolder(self.folder)[self.frame,][0])
        except KeyError:
            raise OutputError(
                f"{self.folder}: the numbers of section {self.frame} of an earlier run are missing; give --overwrite "
                "to begin again"
            ) from None
