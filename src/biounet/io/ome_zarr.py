"""OME-Zarr 0.4 and 0.5: images in chunks, read and written by region; chunks that are there show how far a run came."""

import zipfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from biounet.core.atomic_files import check_absent, replacing, sayable
from biounet.core.boxes import Box
from biounet.core.errors import ImageError, OutputError, ShapeError, need
from biounet.core.words import reason
from biounet.io.image import AXES, Image, name_axes
from biounet.io.ome_metadata import describe_image, describe_labels, label_names, parse
from biounet.io.pixels import check_finite, fit_spacing, reading
from biounet.io.pyramid import halve, level_factors, level_shape
from biounet.io.selection import Selection
from biounet.io.zarr_layout import (
    FORMAT,
    OURS,
    VERSION,
    Ours,
    check_array,
    check_metadata,
    check_same,
    chunks_of,
    default_chunks,
    find_image,
    is_label,
    is_whole,
    metadata_for_writing,
    root_of,
)

__all__ = ["DamagedChunkError", "ZarrImage", "ZarrOutput", "attach", "create", "open_lazily", "write"]


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
            self.version = VERSION[self._array.metadata.zarr_format]
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
            pixels = np.asarray(self._array[tuple(slices)])
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


class ZarrOutput:
    """An OME-Zarr image as a `biounet.io.LazyOutput`, of whole chunks: each is absent or complete.

    Unlike other formats it has its name from the beginning, and stays after an error, so that another
    run can go on. Until it is complete, `open_lazily` refuses it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with metadata_for_writing(path), need("zarr").config.set({"array.write_empty_chunks": True}):
            check_metadata(path)
            self._group = need("zarr").open(path, mode="r+")
            multiscale = parse(self._group.attrs, path=path) if hasattr(self._group, "members") else None
            if multiscale is None:
                raise OutputError(f"{path} is no OME-Zarr image that was begun; give another name")
            if OURS not in self._group.attrs:
                raise OutputError(f"{path} was not written by biounet, so it cannot be resumed; give another name")
            self._labels = Ours.of(self._group, path).labels
            self._levels = [self._group[str(level)] for level in range(multiscale.levels)]
            for level in self._levels:
                check_array(level, path)
        self.axes = multiscale.axes
        self.shape: tuple[int, ...] = self._levels[0].shape
        self.dtype: np.dtype[Any] = self._levels[0].dtype
        self.chunks: tuple[int, ...] = self._levels[0].chunks

    def holds(self, box: Box) -> bool:
        """Whether all chunks of a region are there, written by this run or an earlier one."""
        return all(self._file(0, chunk).exists() for chunk in chunks_of(box, self.chunks))

    def write(self, box: Box, array: NDArray[Any]) -> None:
        """Store the pixels of a region that consists of whole chunks.

        Raises
        ------
        OutputError
            If the disk is full.
        ShapeError
            If the region cuts a chunk: its rest would be lost when a run is killed.
        """
        if not is_whole(box, self.chunks, self.shape):
            raise ShapeError(f"{self.path}: the region {box} must consist of whole chunks of {self.chunks} pixels")
        if array.shape != box.shape:
            raise ShapeError(f"{self.path}: a region of shape {box.shape} came with {array.shape} pixels")
        with sayable(self.path):
            self._levels[0][box.slices] = array

    def complete(self) -> None:
        """Add the smaller levels, chunk by chunk, and mark the store as complete."""
        with sayable(self.path):
            for level in range(1, len(self._levels)):
                self._shrink(level)
            self._group.attrs[OURS] = {"complete": True, "labels": self._labels}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is None:
            self.complete()

    def _shrink(self, level: int) -> None:
        """Compute a level from the one before; chunks that are there stay."""
        fine, coarse = self._levels[level - 1], self._levels[level]
        steps = [1 if a == b else 2 for a, b in zip(fine.shape, coarse.shape, strict=True)]
        whole = Box((0,) * coarse.ndim, coarse.shape)
        for chunk in chunks_of(whole, coarse.chunks):
            if self._file(level, chunk).exists():
                continue
            start = [index * size for index, size in zip(chunk, coarse.chunks, strict=True)]
            stop = [min(a + n, end) for a, n, end in zip(start, coarse.chunks, coarse.shape, strict=True)]
            source = tuple(slice(a * step, b * step) for a, b, step in zip(start, stop, steps, strict=True))
            coarse[Box(tuple(start), tuple(stop)).slices] = halve(np.asarray(fine[source]), steps, labels=self._labels)

    def _file(self, level: int, chunk: tuple[int, ...]) -> Path:
        """Where a chunk lies."""
        return self.path / str(level) / str(self._levels[level].metadata.encode_chunk_key(chunk))


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
    with replacing(path, overwrite=overwrite) as temporary:
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
) -> ZarrOutput:
    """Begin an OME-Zarr image that is written by region, or go on with one; see `biounet.io.create`.

    Parameters
    ----------
    path, shape, dtype, axes, spacing, overwrite
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
    image = Image(np.broadcast_to(np.zeros((), dtype), tuple(shape)), axes, None if spacing is None else tuple(spacing))
    chunks = default_chunks(axes, shape, wanted=chunks)
    if resume and path.exists():
        output = ZarrOutput(path)
        found = {"shape": output.shape, "type": output.dtype, "axes": output.axes, "chunks": output.chunks}
        check_same(path, found, {"shape": image.array.shape, "type": image.array.dtype, "axes": axes, "chunks": chunks})
        for stale in path.rglob("*.partial"):  # chunks that were being written when the run was killed
            stale.unlink()
    else:
        check_absent(path, overwrite=overwrite)
        version, levels = _surroundings(path, version)
        labels = is_label(path) if labels is None else labels
        with replacing(path, overwrite=overwrite) as temporary:
            _begin(temporary, image, chunks, version, name=path.stem, levels=levels, labels=labels)
        output = ZarrOutput(path)
    _register(path)
    return output


def attach(path: Path) -> ZarrOutput:
    """Open an OME-Zarr image that another process has created, to write other regions of it."""
    return ZarrOutput(path)


def _open(path: Path, files: ExitStack) -> Any:
    """The group or array at a path, in a folder or a zip file, which `files` closes."""
    zarr = need("zarr")
    if not path.is_file():
        return zarr.open(path, mode="r")
    if path.suffix.lower() == ".zarr":
        what = "a zip file: name it .zarr.zip" if zipfile.is_zipfile(path) else "a file: OME-Zarr is a folder"
        raise ImageError(f"{path} is {what}")
    with zipfile.ZipFile(path) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    inside = (
        "" if tops & {".zgroup", ".zarray", "zarr.json"} else min(tops, default="")
    )  # folders are zipped whole, too
    return zarr.open(files.enter_context(zarr.storage.ZipStore(path, mode="r")), path=inside, mode="r")


def _surroundings(path: Path, version: str) -> tuple[str, int | None]:
    """Version and number of levels for what is written to `path`, by the store that it lies in, made if need be."""
    zarr = need("zarr")
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
    shape, axes = image.array.shape, image.axes
    factors = level_factors(shape, axes, levels=levels)
    old = version == "0.4"
    group = need("zarr").open_group(where, mode="w", zarr_format=FORMAT[version])
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
        | {OURS: {"complete": False, "labels": labels}}
    )


def _register(path: Path) -> None:
    """List labels where readers look for them."""
    if not is_label(path):
        return
    zarr = need("zarr")
    with metadata_for_writing(path.parent):
        form = zarr.open_group(path, mode="r").metadata.zarr_format
        group = zarr.open_group(path.parent, mode="a", zarr_format=form)
        names = label_names(group.attrs, path=path.parent)
        if path.name not in names:
            group.attrs.update(describe_labels([*names, path.name], version=VERSION[form]))
