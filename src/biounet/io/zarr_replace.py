"""OME-Zarr folders that replace others: where they are written meanwhile, and which ones may be replaced."""

from contextlib import suppress
from pathlib import Path

from biounet.core.atomic_files import is_part
from biounet.core.errors import OutputError
from biounet.core.json_file import read_json
from biounet.core.text_file import ForeignRecord, TextFile
from biounet.io.zarr_layout import OURS

__all__ = ["check_replaceable", "hidden", "place_of"]


METADATA = ("zarr.json", ".zattrs")
"""Files with the attributes of a group, by format of Zarr."""

KNOWN = {*METADATA, ".zgroup", ".zmetadata", "biounet.json", ".DS_Store"}
"""Files that biounet, other programs for Zarr, and file managers write into an image, beside its levels."""

LARGEST = 2**20
"""Bytes of metadata that biounet writes at most."""


def place_of(path: Path) -> Path:
    """The hidden folder in which an image is written that will replace another, if one was begun; else the path itself.

    >>> place_of(Path("cells.zarr")).name
    'cells.zarr'
    """
    return place if _is_ours(place := hidden(path)) else path


def hidden(path: Path) -> Path:
    """The folder in which an image is written that will replace another.

    >>> hidden(Path("out/cells.zarr")).name
    '.cells.part.zarr'
    """
    return path.with_name(f".{path.stem}.part{path.suffix}")


def check_replaceable(path: Path) -> None:
    """Refuse to replace a folder that biounet has not written, or that holds something else.

    Raises
    ------
    OutputError
        It names what would be lost.
    """
    if path.is_symlink():
        raise OutputError(f"{path} is a link to a folder, which is not replaced; give the folder itself")
    if not _is_ours(path):
        raise OutputError(
            f"{path} is a folder that biounet did not write, so it is not replaced; move it away, or choose another "
            "name"
        )
    for entry in sorted(path.iterdir()):
        is_level = entry.name.isdecimal() and entry.is_dir()
        is_torn = entry.suffix == ".partial" or is_part(entry)  # of a run that was killed
        if not (is_level or is_torn or entry.name in KNOWN):
            raise OutputError(
                f"{path} holds {entry.name} beside its pixels, which would be lost; move that away, or choose another "
                "name"
            )


def _is_ours(path: Path) -> bool:
    """Whether biounet has written or begun an image."""
    for name in METADATA:
        file = TextFile(f"{path}/{name}", OutputError, "give another name", most=LARGEST)
        with suppress(OutputError):  # not there, of another program, or torn
            found = read_json(path / name, ForeignRecord, file).model_dump()
            attributes = found.get("attributes") if name == "zarr.json" else found
            if isinstance(attributes, dict) and OURS in attributes:
                return True
    return False
