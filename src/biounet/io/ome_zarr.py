"""OME-Zarr 0.4 and 0.5: images in chunks, read and written by region; chunks that are there show how far a run came."""

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from biounet.core.atomic_files import check_absent, replacing
from biounet.core.boxes import Box
from biounet.core.errors import ImageError
from biounet.core.words import reason
from biounet.io.image import AXES, Image, name_axes
from biounet.io.meaning import Meaning
from biounet.io.ome_metadata import describe_labels, label_names, parse
from biounet.io.pixels import check_finite, fit_spacing, reading
from biounet.io.selection import Selection
from biounet.io.zarr_chunks import ChunkReader
from biounet.io.zarr_layout import (
    FORMAT,
    VERSION,
    check_array,
    check_metadata,
    check_same,
    chunks_of,
    default_chunks,
    find_image,
    is_label,
    make_levels,
    metadata_for_writing,
    root_of,
    zip_root,
)
from biounet.io.zarr_output import ZarrOutput
from biounet.io.zarr_replace import check_replaceable, hidden, place_of
from biounet.io.zarr_store import zarr_library

__all__ = ["DamagedChunkError", "ZarrImage", "attach", "create", "open_lazily", "write"]


class DamagedChunkError(ImageError):
    """A chunk of an image cannot be read; `name` is that of its file within the image."""

    name = ""


class ZarrImage:
    """An OME-Zarr image as a `biounet.io.LazyImage`; see `open_lazily`."""

    def __init__(self, path: Path, *, selection: Selection = Selection(), labels: bool = False) -> None:
        self.path = path
        with reading(path, "OME-Zarr"), ExitStack() as stack:
            check_metadata(path)
            self._array, multiscale = find_image(_open(path, stack), path, selection=selection, labels=labels)
            check_array(self._array, path)
            stored = name_axes(multiscale.axes, selection.axes, str(path))
            self.axes = "".join(axis for axis in AXES if axis in stored)
            self._order = [stored.index(axis) for axis in self.axes]
            self.shape = tuple(self._array.shape[index] for index in self._order)
            self.dtype = np.dtype(self._array.dtype).newbyteorder("=")
            self.spacing = fit_spacing(dict(multiscale.spacing), self.axes)
            self.version, self.meaning = VERSION[self._array.metadata.zarr_format], multiscale.meaning
            self._chunks = ChunkReader(self._array, path)
            self.decoding_bytes = self._chunks.decoding_bytes
            self._files = stack.pop_all()

    def read(self, box: Box) -> NDArray[Any]:
        """Return the pixels of a region inside the image.

        Raises
        ------
        ImageError
            If a chunk cannot be read, named, or pixels are NaN or infinite.
        """
        slices = [slice(0, 0)] * len(self._order)
        for index, extent in zip(self._order, box.slices, strict=True):
            slices[index] = extent
        try:
            pixels = self._chunks.read(slices)
        except Exception as error:  # decoders of broken chunks raise errors of every type
            raise self._name_chunk(slices) from error
        check_finite(pixels, f"{self.path.name} from {box.start} to {box.stop}")
        return np.ascontiguousarray(pixels.transpose(self._order), self.dtype)

    def _name_chunk(self, slices: Sequence[slice]) -> ImageError:
        """Find the chunk that cannot be read."""
        size = self._array.shards or self._array.chunks
        region = Box(tuple(s.start for s in slices), tuple(s.stop for s in slices))
        for chunk in chunks_of(region, size):
            try:
                self._array[tuple(slice(i * n, (i + 1) * n) for i, n in zip(chunk, size, strict=True))]
            except Exception as error:
                name = f"{self._array.path}/{self._array.metadata.encode_chunk_key(chunk)}".lstrip("/")
                damaged = DamagedChunkError(
                    f"{self.path}: chunk {name} cannot be read ({reason(error)}); copy it again"
                )
                damaged.name = name
                return damaged
        return ImageError(f"{self.path}: a region could not be read, but its chunks can; run again")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._files.close()


def open_lazily(path: Path, *, selection: Selection = Selection(), labels: bool = False) -> ZarrImage:
    """Open an OME-Zarr image, or one inside such as ``image.zarr/labels/name``; see `biounet.io.open_lazily`.

    Notes
    -----
    For `labels`, an image that has labels under ``labels/name`` stands for those, if there is but one name.
    The store may be a zip file. Of several images, series are numbers or paths, such as ``A/1/0`` in a plate.
    """
    return ZarrImage(path, selection=selection, labels=labels)


def write(path: Path, image: Image, *, overwrite: bool = False) -> None:
    """Write an OME-Zarr image; see `biounet.io.write`."""
    array = image.array
    chunks = default_chunks(image.axes, array.shape)
    check_absent(path, overwrite=overwrite)
    version, levels = _surroundings(path, "0.5")
    with replacing(path, overwrite=overwrite, check_folder=check_replaceable) as temporary:
        _begin(temporary, image, chunks, version, name=path.stem, levels=levels, labels=is_label(path))
        with ZarrOutput(temporary) as output:
            output.write(Box((0,) * array.ndim, array.shape), array)
    _register(path)


def create(
    path: Path,
    *,
    shape: Sequence[int],
    dtype: DTypeLike,
    axes: str,
    spacing: Sequence[float] | None = None,
    overwrite: bool = False,
    chunks: Sequence[int] | None = None,
    version: str = "0.5",
    labels: bool | None = None,
    resume: bool = False,
    meaning: Meaning | None = None,
) -> ZarrOutput:
    """Begin an OME-Zarr image that is written by region, or go on with one; see `biounet.io.create`.

    Parameters
    ----------
    path, shape, dtype, axes, spacing, overwrite, meaning
        As for all formats. ``image.zarr/labels/name`` becomes labels of that image, in its version.
    chunks : pixels per axis
        Regions that are written must consist of whole ones.
    version : 0.4 or 0.5
        Of OME-Zarr. Labels of an image that exists are of its version.
    labels : bool
        Whether pixels are labels, which are never averaged. By default, if they lie under ``labels``.
    resume : bool
        Keep the chunks of a run that was stopped. Only one process may do this; others `attach`.

    Raises
    ------
    OutputError
        If it exists, unless `overwrite` or `resume`; if what is resumed has other shape, type, axes or chunks.
    """
    nothing = np.broadcast_to(np.zeros((), dtype), tuple(shape))
    image = Image(nothing, axes, None if spacing is None else tuple(spacing), meaning)
    chunks = default_chunks(axes, shape, wanted=chunks)
    place = place_of(path)
    if place == path or not resume:
        shutil.rmtree(hidden(path), ignore_errors=True)  # of a run that was killed
    if resume and place.exists():
        output = ZarrOutput(place, target=None if place == path else path)
        found = {"shape": output.shape, "type": output.dtype, "axes": output.axes, "chunks": output.chunks}
        check_same(path, found, {"shape": image.array.shape, "type": image.array.dtype, "axes": axes, "chunks": chunks})
        for stale in place.rglob("*.partial"):  # chunks that were being written when the run was killed
            stale.unlink()
    else:
        output = _create(path, image, chunks, overwrite=overwrite, version=version, labels=labels)
    _register(path)
    return output


def _create(
    path: Path, image: Image, chunks: Sequence[int], *, overwrite: bool, version: str, labels: bool | None
) -> ZarrOutput:
    """Begin an image under its name, or in a hidden folder if it replaces one, which stays until this is complete."""
    check_absent(path, overwrite=overwrite)
    version, levels = _surroundings(path, version)
    labels, place = is_label(path) if labels is None else labels, path
    if path.exists():
        check_replaceable(path)
        place = hidden(path)
    with replacing(place) as temporary:
        _begin(temporary, image, chunks, version, name=path.stem, levels=levels, labels=labels)
    return ZarrOutput(place, target=None if place == path else path)


def attach(path: Path) -> ZarrOutput:
    """Open an OME-Zarr image that another process has created, to write other regions of it."""
    return ZarrOutput(place_of(path))


def _open(path: Path, files: ExitStack) -> Any:
    """The group or array at a path, in a folder or a zip file, which `files` closes."""
    zarr, inside = zarr_library(), zip_root(path) if path.is_file() else None
    store = path if inside is None else files.enter_context(zarr.storage.ZipStore(path, mode="r"))
    return zarr.open(store, path=inside, mode="r")


def _surroundings(path: Path, version: str) -> tuple[str, int | None]:
    """Version and number of levels for what is written to `path`, by the store that it lies in, made if need be."""
    zarr = zarr_library()
    root = root_of(path)
    if root == path:
        return version, None
    with metadata_for_writing(root):
        try:
            store = zarr.open_group(root, mode="r")
        except FileNotFoundError:
            store = zarr.open_group(root, mode="w-", zarr_format=FORMAT[version])
        found = parse(store.attrs, path=root)
    return VERSION[store.metadata.zarr_format], found.levels if found is not None and is_label(path) else None


def _begin(
    where: Path, image: Image, chunks: Sequence[int], version: str, *, name: str, levels: int | None, labels: bool
) -> None:
    """Make a group with metadata and empty arrays."""
    group = zarr_library().open_group(where, mode="w", zarr_format=FORMAT[version])
    make_levels(group, image, chunks, version=version, name=name, levels=levels, labels=labels)


def _register(path: Path) -> None:
    """List labels where readers look for them."""
    if not is_label(path):
        return
    zarr = zarr_library()
    with metadata_for_writing(path.parent):
        form = zarr.open_group(path, mode="r").metadata.zarr_format
        group = zarr.open_group(path.parent, mode="a", zarr_format=form)
        names = label_names(group.attrs, path=path.parent)
        if path.name not in names:
            group.attrs.update(describe_labels([*names, path.name], version=VERSION[form]))
