"""Numbers of objects in a stack whose sections are segmented one by one."""

import numpy as np

from biounet.core.array_store import ArrayFolder
from biounet.core.errors import OutputError
from biounet.inference.tile_files import TileFiles
from biounet.segmentation import LEAST_OVERLAP, Overlaps, stack_numbers

__all__ = ["number_section"]


def number_section(section: TileFiles, objects: int, *, first: bool, link: bool = False) -> None:
    """Numbers of a stack for the objects of one section, written in place of the numbers of the section.

    Parameters
    ----------
    section : TileFiles
        Objects numbered 1..objects. The section above is the frame before; what is known of it lies in the same
        folder, so another process may go on.
    objects : int
        Number of objects in the section.
    first : bool
        Whether there is no section above.
    link : bool
        Objects that lie over an object of the section above get its number, see `biounet.segmentation.link_slices`.
        Else no number is in two sections.

    Raises
    ------
    OutputError
        If nothing is known of the section above.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sections = TileFiles(Path(folder), 0, shape=(1, 4), step=(1, 2), dtype=np.uint32)
    ...     for frame, labels in enumerate(([[1, 1, 0, 2]], [[1, 0, 2, 2]])):
    ...         section = sections.at(frame)
    ...         for box in section.boxes:
    ...             section.write(box, np.array(labels)[box.slices])
    ...         number_section(section, 2, first=frame == 0, link=True)
    ...     [section.read(box).tolist() for box in section.boxes]
    [[[1, 0]], [[2, 2]]]
    """
    above = section.at(section.frame - 1)
    count = 0 if first else _largest_number(above)
    partners = None
    if link and not first:
        shared = Overlaps.joined(Overlaps.of(above.read(box), section.read(box)) for box in section.boxes)
        partners = shared.partners(LEAST_OVERLAP)
    numbers = stack_numbers(objects, count, partners=partners)
    for box in section.boxes:
        section.write(box, numbers[section.read(box)])
    ArrayFolder(section.folder)[section.frame,] = np.maximum(count, numbers.max(keepdims=True))


def _largest_number(section: TileFiles) -> int:
    """Largest number in a stack down to a section."""
    try:
        return int(ArrayFolder(section.folder)[section.frame,][0])
    except KeyError:
        raise OutputError(
            f"{section.folder}: the numbers of section {section.frame} of an earlier run are missing; give "
            "--overwrite to begin again"
        ) from None
