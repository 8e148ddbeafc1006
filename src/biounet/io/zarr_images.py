"""Images inside of an OME-Zarr folder: the fields of a plate or well, and the series of a converted file."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from biounet.core.json_file import read_json
from biounet.core.text_file import ForeignRecord
from biounet.io.ome_metadata import metadata_of

__all__ = ["images_inside", "images_of_attributes"]


CONVERTED = "bioformats2raw.layout"
"""Attribute of a group whose members are the series of a converted file."""


def images_inside(path: Path) -> tuple[Path, ...]:
    """List the images of a plate, a well or a set of series.

    Parameters
    ----------
    path : folder of a Zarr group

    Returns
    -------
    Paths of the images, in the order of wells and fields; none if the folder is an image itself, or holds one series

    Raises
    ------
    ImageError
        If its attributes cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / ".zattrs").write_text('{"well": {"images": [{"path": "0"}, {"path": "1"}]}}')
    >>> [image.name for image in images_inside(folder)]
    ['0', '1']
    """
    names = list(images_of_attributes(_attributes(path), lambda name: _attributes(path / name)))
    return () if names == ["0"] and not (path / "1").exists() else tuple(path / name for name in names)


def images_of_attributes(attributes: Mapping[str, Any], read: Any) -> Iterator[str]:
    """Names of the images of a plate, a well or a set of series, relative to its group.

    Parameters
    ----------
    attributes : of the group
    read : function from the name of a group inside of it to its attributes, which are empty if there is none

    Examples
    --------
    >>> plate, well = {"plate": {"wells": [{"path": "A/1"}]}}, {"well": {"images": [{"path": "0"}, {"path": "1"}]}}
    >>> list(images_of_attributes(plate, {"A/1": well}.get))
    ['A/1/0', 'A/1/1']
    """
    found = attributes.get("ome", attributes)
    if "multiscales" in found:
        return
    if "plate" in found:
        for well in found["plate"]["wells"]:
            yield from (f"{well['path']}/{name}" for name in images_of_attributes(read(well["path"]), read))
    elif "well" in found:
        yield from (str(image["path"]) for image in found["well"]["images"])
    elif CONVERTED in found:
        number = 0
        while read(str(number)):
            yield str(number)
            number += 1


class _Group(ForeignRecord):
    """What ``zarr.json`` of a group holds."""

    attributes: dict[str, Any] = Field(default_factory=dict)


def _attributes(path: Path) -> Mapping[str, Any]:
    """Attributes of a group, of Zarr 2 or 3; empty if there are none."""
    file = metadata_of(path)
    if (path / ".zattrs").is_file():
        return read_json(path / ".zattrs", ForeignRecord, file).model_dump()
    if (path / "zarr.json").is_file():
        return read_json(path / "zarr.json", _Group, file).attributes
    return {}
