"""Places of images, labels and chunks in an OME-Zarr folder, by their names and attributes."""

import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from biounet.core.atomic_files import sayable
from biounet.core.boxes import Box
from biounet.core.errors import ImageError, MissingExtraError, OutputError
from biounet.core.text_file import Record
from biounet.core.words import reason
from biounet.io.image import Image
from biounet.io.meaning import Meaning
from biounet.io.ome_metadata import Multiscale, describe_image, label_names, metadata_of, parse
from biounet.io.pyramid import level_factors, level_shape
from biounet.io.selection import Selection
from biounet.io.zarr_images import images_of_attributes

__all__ = [
    "FORMAT",
    "OURS",
    "VERSION",
    "Ours",
    "check_array",
    "check_metadata",
    "check_same",
    "chunks_of",
    "default_chunks",
    "find_image",
    "is_label",
    "is_whole",
    "make_levels",
    "metadata_for_writing",
    "root_of",
    "zip_root",
]


OURS = "biounet"
"""The attribute under which a store says whether it is complete."""

FORMAT = {"0.4": 2, "0.5": 3}
VERSION = {2: "0.4", 3: "0.5"}
"""Version of OME-Zarr -> format of Zarr, and back."""

METADATA = ("zarr.json", ".zgroup", ".zattrs", ".zarray", ".zmetadata")
"""Files with metadata, in the folder of a group or an array."""

CHUNK = {"Z": 32, "Y": 256, "X": 256}
"""Pixels of a chunk along the spatial axes, where nothing else is asked for; 1 along the others."""


def root_of(path: Path) -> Path:
    """The outermost folder of the store that a path lies in.

    >>> root_of(Path("plates/a.zarr/labels/cells")).name
    'a.zarr'
    """
    stores = [folder for folder in (path, *path.parents) if folder.suffix.lower() == ".zarr"]
    return stores[-1] if stores else path


def is_label(path: Path) -> bool:
    """Whether a path lies in the folder ``labels`` of an image.

    >>> is_label(Path("a.zarr/labels/cells")), is_label(Path("labels/a.zarr"))
    (True, False)
    """
    return path.parent.name == "labels" and root_of(path) != path


def default_chunks(axes: str, shape: Sequence[int], *, wanted: Sequence[int] | None = None) -> tuple[int, ...]:
    """Pixels per chunk: those wanted, or moderate ones, but never more than there are.

    >>> default_chunks("CYX", (2, 1000, 100))
    (1, 256, 100)
    """
    chunks = [CHUNK.get(axis, 1) for axis in axes] if wanted is None else wanted
    return tuple(max(1, min(chunk, size)) for chunk, size in zip(chunks, shape, strict=True))


def chunks_of(box: Box, size: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Numbers of the chunks that a region touches.

    >>> list(chunks_of(Box((0, 5), (4, 9)), (4, 4)))
    [(0, 1), (0, 2)]
    """
    edges = zip(box.start, box.stop, size, strict=True)
    return product(*(range(start // chunk, -(-stop // chunk)) for start, stop, chunk in edges))


def is_whole(box: Box, chunks: Sequence[int], shape: Sequence[int]) -> bool:
    """Whether a region consists of whole chunks, which may end where the image ends.

    >>> is_whole(Box((4,), (10,)), (4,), (10,)), is_whole(Box((4,), (9,)), (4,), (10,))
    (True, False)
    """
    ends = zip(box.start, box.stop, chunks, shape, strict=True)
    return not any(start % chunk or (stop % chunk and stop != size) for start, stop, chunk, size in ends)


class Ours(Record):
    """What biounet writes into the attributes of a group, under `OURS`."""

    complete: bool
    labels: bool
    meaning: Meaning | None = None

    @property
    def written(self) -> dict[str, Any]:
        """It as an attribute."""
        return self.model_dump(mode="json", exclude_none=True)

    @classmethod
    def of(cls, group: Any, path: Path) -> "Ours":
        """Read it.

        Raises
        ------
        ImageError
            If it is damaged.
        """
        return metadata_of(path).validated(cls, group.attrs[OURS])


def check_metadata(path: Path) -> None:
    """Refuse a group or array whose files of metadata are too large, not UTF-8, or no regular files.

    Raises
    ------
    ImageError
    """
    for name in METADATA:
        if (path / name).exists():
            metadata_of(path).read(path / name)


def check_array(array: Any, path: Path) -> None:
    """Refuse an array of damaged metadata.

    Raises
    ------
    ImageError
        If it has no pixels, or chunks of none.
    """
    for what, sizes in (("shape", array.shape), ("chunks", array.chunks), ("shards", array.shards or (1,))):
        if len(sizes) == 0 or min(sizes) < 1:
            raise metadata_of(path).refused(f"the {what} of its array are {tuple(sizes)}, and at least 1 is wanted")


@contextmanager
def metadata_for_writing(path: Path) -> Iterator[None]:
    """Context of reading the metadata of an output: errors of any type, as one line about it.

    Raises
    ------
    OutputError
        Instead of any other error.
    """
    try:
        with sayable(path):
            yield
    except (OutputError, MissingExtraError, MemoryError, NameError):
        raise
    except ImageError as error:
        raise OutputError(str(error)) from error
    except Exception as error:  # of damaged metadata, Zarr raises errors of every type
        raise OutputError(f"{path}: its Zarr metadata are damaged ({reason(error)}); give another name") from error


def check_same(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Refuse to go on with an output of another kind.

    Raises
    ------
    OutputError
        It names the first difference.
    """
    for what, value in wanted.items():
        if found[what] != value:
            raise OutputError(
                f"{path} was begun with {what} {found[what]}, this run has {value}; give another name or --overwrite"
            )


def find_image(
    node: Any, path: Path, *, selection: Selection = Selection(), labels: bool = False
) -> tuple[Any, Multiscale]:
    """Find the array with the pixels of an image, and what is known of it.

    Parameters
    ----------
    node : a Zarr group or array
    path : its path, for errors
    selection : Selection
        Of which series, by number or path, and level are taken.
    labels : bool
        Whether labels of the image are meant, if it has any.

    Raises
    ------
    ImageError
        If there is no image, several labels, or the image is not complete.
    """
    if not hasattr(node, "members"):  # an array alone: its axes are asked for
        selection.check_single(path, "an array of Zarr")
        return node, Multiscale("?" * node.ndim, "", 1, {}, labels=False)
    multiscale = parse(node.attrs, level=selection.level, path=path)
    if multiscale is None and selection.series is not None:
        name = _series(node, path, selection.series)
        return find_image(node[name], path / name, selection=replace(selection, series=None), labels=labels)
    replace(selection, level=0).check_single(path, "this image")
    if labels and not (multiscale and multiscale.labels) and "labels" in node:
        names = label_names(node["labels"].attrs, path=path / "labels")
        if len(names) != 1:
            raise ImageError(f"{path} holds the labels {', '.join(names) or 'none'}; give one as {path}/labels/NAME")
        return find_image(node["labels"][names[0]], path / "labels" / names[0], selection=selection, labels=labels)
    if multiscale is None and "0" in node and "1" not in node:  # as bioformats2raw writes a single image
        return find_image(node["0"], path / "0", selection=selection, labels=labels)
    if multiscale is None:
        inside = list(images_of_attributes(node.attrs, _reader(node))) or sorted(node.keys())
        raise ImageError(
            f"{path} holds no image but {', '.join(inside[:8]) or 'nothing'}; give the path of one, or --series"
        )
    if OURS in node.attrs:
        ours = Ours.of(node, path)
        if not ours.complete:
            raise ImageError(f"{path} is not complete; run again what wrote it, with --resume")
        multiscale = replace(multiscale, meaning=ours.meaning)
    array = node.get(multiscale.path)
    if array is None or hasattr(array, "members"):
        raise metadata_of(path).refused(f"there is no array {multiscale.path}")
    if len(multiscale.axes) != array.ndim:
        multiscale = replace(multiscale, axes="?" * array.ndim, spacing={})
    return array, multiscale


def _series(node: Any, path: Path, series: int | str) -> str:
    """Path inside a group of the image that is asked for by number or path."""
    inside = list(images_of_attributes(node.attrs, _reader(node)))
    if str(series) in inside:
        return str(series)
    if not str(series).isdecimal() or int(series) >= len(inside):
        known = f"{', '.join(inside[:8])}" if inside else "no series"
        raise ImageError(f"{path} holds {known}; there is no series {series}")
    return inside[int(series)]


def _reader(node: Any) -> Callable[[str], Mapping[str, Any]]:
    """Function from the path of a group inside of another to its attributes, which are empty if there is none."""
    return lambda name: node[name].attrs if name in node else {}


def make_levels(
    group: Any, image: Image, chunks: Sequence[int], *, version: str, name: str, levels: int | None, labels: bool
) -> None:
    """Make the empty arrays of an image in a Zarr group, then its metadata.

    Parameters
    ----------
    group : zarr.Group
    image : Image
        Only the shape, the type and the axes of the array are used.
    chunks : pixels per axis
    version : of OME-Zarr
    name : of the image
    levels : how many; by default as many as the image is large
    labels : whether pixels are labels
    """
    shape, axes = image.array.shape, image.axes
    factors = level_factors(shape, axes, levels=levels)
    old = version == "0.4"
    for level, factor in enumerate(factors):
        size = level_shape(shape, axes, factor)
        group.create_array(
            str(level),
            shape=size,
            chunks=tuple(min(chunk, n) for chunk, n in zip(chunks, size, strict=True)),
            dtype=image.array.dtype,
            fill_value=0,
            dimension_names=None if old else list(axes.lower()),
            chunk_key_encoding={"name": "v2" if old else "default", "separator": "/"},
        )
    group.attrs.update(
        describe_image(name, axes=axes, spacing=image.spacing, factors=factors, version=version, labels=labels)
        | {OURS: Ours(complete=False, labels=labels, meaning=image.meaning).written}
    )


def zip_root(path: Path) -> str:
    """Path of the outermost group in a zip file; folders are zipped whole, too.

    Raises
    ------
    ImageError
        If the name of the file is that of a folder.
    """
    if path.suffix.lower() == ".zarr":
        what = "a zip file: name it .zarr.zip" if zipfile.is_zipfile(path) else "a file: OME-Zarr is a folder"
        raise ImageError(f"{path} is {what}")
    with zipfile.ZipFile(path) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    return "" if tops & {".zgroup", ".zarray", "zarr.json"} else min(tops, default="")
