"""The table of image formats, and questions about names of files: of which format, an image or a folder of images."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from biounet.core.errors import DatasetError, ImageError, need
from biounet.io import ome_zarr, png, tiff
from biounet.io.format import NUMBERS, Format, Holds
from biounet.io.image import AXES

__all__ = [
    "FORMATS",
    "format_of",
    "image_files",
    "images_by_name",
    "is_folder_of_images",
    "is_image",
    "load_libraries",
    "plain_name",
    "root_of",
    "suffixes",
]


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        form.name: form
        for form in (
            Format(
                name="JPEG",
                suffixes=(".jpeg", ".jpg"),
                open_lazily=png.open_lazily,
                exact=False,
            ),
            Format(
                name="PNG",
                suffixes=(".png",),
                open_lazily=png.open_lazily,
                write=png.write,
                holds=(
                    Holds(axes="YX", dtypes=("uint8", "uint16")),
                    Holds(axes="CYX", dtypes=("uint8",), channels=3),
                ),
            ),
            Format(
                name="TIFF",
                suffixes=(".tif", ".tiff", ".btf", ".tf8"),
                open_lazily=tiff.open_lazily,
                write=tiff.write,
                create=tiff.create,
                holds=(Holds(axes=AXES, dtypes=NUMBERS),),
            ),
            Format(
                name="TIFF of microscopes and scanners",
                suffixes=(".lsm", ".qptiff", ".scn", ".stk", ".svs"),
                open_lazily=tiff.open_lazily,
            ),
            Format(
                name="BMP and GIF",
                suffixes=(".bmp", ".gif"),
                open_lazily=png.open_lazily,
            ),
            Format(
                name="OME-Zarr",
                suffixes=(".zarr",),
                open_lazily=ome_zarr.open_lazily,
                write=ome_zarr.write,
                create=ome_zarr.create,
                attach=ome_zarr.attach,
                holds=(Holds(axes=AXES, dtypes=(*NUMBERS, "uint64", "int64", "float16", "bool")),),
                library="zarr",
                is_folder=True,
                label_folder="labels",
                result=".zarr",
            ),
        )
    }
)
"""Name of a format -> how its files are read and written."""


def format_of(path: Path | str) -> Format:
    """The format of an image, by the suffix of its name, or of the folder image that it lies in.

    Raises
    ------
    ImageError
        If no entry of `FORMATS` has the suffix.

    Examples
    --------
    >>> format_of("cells.TIF").name, format_of("image.zarr/labels/cells").name
    ('TIFF', 'OME-Zarr')
    """
    found = _format_by_name(root_of(Path(path)).name)
    if found is None:
        raise ImageError(f"{path}: the suffix must be one of {', '.join(suffixes())}; save it as .tif")
    return found


def suffixes() -> tuple[str, ...]:
    """Ends of the names of all images that can be read.

    >>> suffixes()[:3]
    ('.jpeg', '.jpg', '.png')
    """
    return tuple(suffix for form in FORMATS.values() for suffix in form.suffixes)


def root_of(path: Path) -> Path:
    """The outermost image that a path lies in, where an image is a folder; otherwise the path itself.

    >>> root_of(Path("plates/a.zarr/labels/cells")).name, root_of(Path("plates/a.tif")).name
    ('a.zarr', 'a.tif')
    """
    folders = (part for part in reversed(path.parents) if (form := _format_by_name(part.name)) and form.is_folder)
    return next(folders, path)


def is_image(path: Path) -> bool:
    """Whether a path has the name of an image: a suffix of `FORMATS`, or that of labels inside an image.

    >>> is_image(Path("cells.tif")), is_image(Path("image.zarr/labels/cells")), is_image(Path("results/labels"))
    (True, True, False)
    """
    if _format_by_name(path.name) is not None:
        return True
    root = root_of(path)
    return root != path and format_of(root).label_folder == path.parent.name


def is_folder_of_images(path: Path) -> bool:
    """Whether a path is a folder that may hold images, and no image itself nor a part of one."""
    return os.path.isdir(path) and root_of(path) == path and not is_image(path)


def load_libraries(paths: Iterable[Path]) -> None:
    """Import the large libraries that the formats of these files need."""
    for library in {form.library for form in map(format_of, paths)} - {None}:
        need(str(library))


def image_files(folder: Path | str) -> tuple[Path, ...]:
    """The images of a folder, of all `FORMATS`, sorted by name; hidden files are left out."""
    paths = sorted(Path(folder).iterdir())
    return tuple(path for path in paths if _format_by_name(path.name) and not path.name.startswith("."))


def plain_name(path: Path) -> str:
    """Name of an image without its suffix, or both of ``.ome.tif`` and ``.ome.zarr``.

    >>> plain_name(Path("cells/day.2.ome.tif")), plain_name(Path("image.zarr/labels/day.2"))
    ('day.2', 'day.2')
    """
    found = _format_by_name(path.name)
    fitting = [suffix for suffix in found.suffixes if path.name.lower().endswith(suffix)] if found else [""]
    return path.name[: len(path.name) - max(map(len, fitting))].removesuffix(".ome")


def images_by_name(folder: Path) -> dict[str, Path]:
    """The images of a folder by their `plain_name`.

    Raises
    ------
    DatasetError
        If two have the same.
    """
    found: dict[str, Path] = {}
    for path in image_files(folder):
        name = plain_name(path)
        if name in found:
            raise DatasetError(f"{path} and {found[name].name} have one name; keep one of them")
        found[name] = path
    return found


def _format_by_name(name: str) -> Format | None:
    """The format of a file of this name, by its suffix alone."""
    return next((form for form in FORMATS.values() if name.lower().endswith(form.suffixes)), None)
