"""Paths of arrays inside a file of several: ``file.h5:/raw``, ``file.npz:/image``."""

import re
from collections.abc import Sequence
from pathlib import Path

from biounet.core.errors import ImageError
from biounet.io.selection import Selection

__all__ = ["SUFFIXES", "pick_array", "split_inner"]


SUFFIXES = (".h5", ".hdf5", ".hdf", ".npz")
"""Ends of the names of files that hold arrays under names."""

INNER = re.compile(rf"(.*(?:{'|'.join(map(re.escape, SUFFIXES))}))[:/\\]+(.+)", re.IGNORECASE | re.DOTALL)


def split_inner(path: Path) -> tuple[Path, str]:
    """The file of a path, and the name of an array in it, ``""`` if it names none.

    Examples
    --------
    >>> split_inner(Path("data/cells.h5:/volumes/raw"))[1], split_inner(Path("data/cells.tif"))[1]
    ('volumes/raw', '')
    """
    found = INNER.fullmatch(str(path))
    return (Path(found[1]), found[2].replace("\\", "/").strip("/")) if found else (path, "")


def pick_array(names: Sequence[str], inner: str, selection: Selection, file: Path) -> str:
    """Name of the array that is meant: the only one, or the one that a path or ``--series`` names.

    Raises
    ------
    ImageError
        If there are several and none is named, or there is none of this name, or another level is wanted.

    Examples
    --------
    >>> pick_array(["label", "raw"], "raw", Selection(), Path("a.h5"))
    'raw'
    """
    Selection(level=selection.level).check_single(file, file.suffix)
    if not names:
        raise ImageError(f"{file.name} holds no array of two axes or more; save the image into it again")
    series = selection.series
    if not inner and isinstance(series, int) and series < len(names):
        return names[series]
    wanted = inner or ("" if series is None else str(series).strip("/"))
    if wanted in names:
        return wanted
    if not wanted and len(names) == 1:
        return names[0]
    listed = ", ".join(names[:20])
    said = f"there is no {wanted} in it" if wanted else f"it holds {len(names)} arrays"
    raise ImageError(f"{file.name}: {said}; give one of {listed}, as {file.name}:/{names[0]}")
