"""Image files: any of `FORMATS` to an array with axes and pixel size, and back; whole or by region."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from biounet.core.atomic_files import check_absent
from biounet.core.boxes import Box
from biounet.core.errors import ImageError, OutputError
from biounet.core.places import check_input
from biounet.io.channel_files import CHANNELS, channel_files, of_channels, open_channels
from biounet.io.decoding import DecodingRoom, check_whole
from biounet.io.format import Format, Holds
from biounet.io.formats import (
    FORMATS,
    format_of,
    image_files,
    images_at,
    images_by_name,
    is_folder_of_images,
    is_image,
    is_there,
    load_libraries,
    plain_name,
    root_of,
    suffixes,
)
from biounet.io.identity import unchanged
from biounet.io.image import (
    AXES,
    ArrayImage,
    ArrayOutput,
    Image,
    LazyImage,
    LazyOutput,
    ResumableOutput,
    WithoutZ,
    notes_of,
)
from biounet.io.inner_path import split_inner
from biounet.io.meaning import Meaning, meaning_of
from biounet.io.pixels import fit_channels, narrow_integers
from biounet.io.selection import Selection, WithChannels
from biounet.io.zarr_replace import check_replaceable, place_of

__all__ = [
    "AXES",
    "CHANNELS",
    "FORMATS",
    "ArrayImage",
    "ArrayOutput",
    "DecodingRoom",
    "Format",
    "Holds",
    "Image",
    "LazyImage",
    "LazyOutput",
    "Meaning",
    "ResumableOutput",
    "Selection",
    "attach",
    "check_replaceable",
    "create",
    "fit_channels",
    "format_of",
    "image_files",
    "images_at",
    "images_by_name",
    "is_folder_of_images",
    "is_image",
    "is_there",
    "load_libraries",
    "meaning_of",
    "notes_of",
    "of_channels",
    "open_lazily",
    "open_selected",
    "place_of",
    "plain_name",
    "read",
    "read_selected",
    "root_of",
    "suffixes",
    "write",
]


def open_lazily(
    path: Path | str,
    *,
    axes: str | None = None,
    series: int | str | None = None,
    channel: Sequence[int] | None = None,
    level: int = 0,
    labels: bool = False,
    room: DecodingRoom | None = None,
) -> LazyImage:
    """Open an image for reading by region.

    Parameters
    ----------
    path : Path
        A file or an OME-Zarr folder; ``CASE_????.tif`` are ``CASE_0000.tif``, ``CASE_0001.tif``, ... as channels.
    axes : str
        What the axes of the file are, in its own order, e.g. ``"TYX"``; it overrules what the file says.
    series : int or str
        Number, from 0, or name of an image in a file of several.
    channel : numbers of channels, from 0
        One channel alone is an image without an axis C.
    level : int
        Of a pyramid; 0 has all pixels. The pixel size is that of the level.
    labels : bool
        The file holds labels: palette entries are read as their numbers, not as colours.
    room : DecodingRoom
        Memory for what must be decoded at once; by default a tenth of that of the machine.

    Returns
    -------
    LazyImage
        One section is no stack: an axis Z of length 1 is left out.

    Raises
    ------
    ImageError
        If it cannot be read, does not name its axes, has no such series, channel or level, or must be decoded in pieces
        for which there is no room. The same for each region that is read later, also if that holds NaN or infinity.
    """
    selection = Selection(axes, series, channel, level)
    return open_selected(path, selection, labels=labels, room=room)


def open_selected(
    path: Path | str, selection: Selection, *, labels: bool = False, room: DecodingRoom | None = None
) -> LazyImage:
    """Open an image for reading by region, as `open_lazily` does with options of its own."""
    path = Path(path)
    if of_channels(path):
        part = replace(selection, channel=None)
        image: LazyImage = open_channels(path, lambda file: open_selected(file, part, labels=labels, room=room))
    else:
        form = format_of(path)  # a wrong suffix is said first
        check_input(split_inner(path)[0], ImageError)
        image = form.open_lazily(path, selection=selection, labels=labels)
    with ExitStack() as stack:
        stack.enter_context(image)
        (room or DecodingRoom.usual()).check(image, path)
        if selection.channel is not None:
            image = WithChannels(image, selection.channel, path.name)
        stack.pop_all()  # it stays open unless it is too large or a channel is missing
    one_section = "Z" in image.axes and image.shape[image.axes.index("Z")] == 1
    return WithoutZ(image) if one_section else image


def read(
    path: Path | str,
    *,
    axes: str | None = None,
    series: int | str | None = None,
    channel: Sequence[int] | None = None,
    level: int = 0,
    labels: bool = False,
) -> Image:
    """Read a whole image; see `open_lazily` for options and errors.

    Returns
    -------
    Image
        Axes in the order TCZYX, those that the file has; colour samples are channels.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> path = Path(tempfile.mkdtemp(), "stack.tif")
    >>> write(path, Image(np.zeros((2, 20, 30), np.uint8), "ZYX", (0.5, 0.1, 0.1)))
    >>> image = read(path)
    >>> image.axes, image.array.shape, image.spacing
    ('ZYX', (2, 20, 30), (0.5, 0.1, 0.1))
    """
    selection = Selection(axes, series, channel, level)
    return read_selected(path, selection, labels=labels)


def read_selected(path: Path | str, selection: Selection, *, labels: bool = False) -> Image:
    """Read a whole image, as `read` does with options of its own."""
    kept = unchanged(Path(path), verb="read", labels=labels, quick=True)
    with kept, open_selected(path, selection, labels=labels) as lazy:
        check_whole(lazy, Path(path))
        whole = Box((0,) * len(lazy.shape), lazy.shape)
        return Image(lazy.read(whole), lazy.axes, lazy.spacing, meaning_of(lazy))


def write(path: Path | str, image: Image, *, overwrite: bool = False, like: Path | None = None) -> None:
    """Write a whole image; it stands under its name only when it is complete.

    Parameters
    ----------
    path : Path
        The suffix chooses the format, see `FORMATS`.
    image : Image
        Values are always kept. Integers of 32 and 64 bits, such as labels, are stored in the smallest
        type that holds them.
    overwrite : bool
        Whether a file that exists is replaced.
    like : Path
        Image that this one belongs to, as labels do. NIfTI takes over where it lies in space, if it is NIfTI, too.

    Raises
    ------
    OutputError
        If the file exists, cannot be written, or the format cannot hold the values.
    """
    path = Path(path)
    form = _output_format(path)
    known = image.meaning is not None and image.meaning.is_labels
    array = narrow_integers(image.array, least=form.least_bits, labels=known)
    if array.dtype == np.float16 and not form.knows(array.dtype):
        array = array.astype(np.float32)
    form.check(path, axes=image.axes, shape=array.shape, dtype=array.dtype)
    assert form.write is not None  # was checked
    if like is not None and of_channels(Path(like)):
        like = channel_files(Path(like))[0]
    place = {"like": like} if form.places else {}
    form.write(path, replace(image, array=array), overwrite=overwrite, **place)


def create(
    path: Path | str,
    *,
    shape: Sequence[int],
    dtype: DTypeLike,
    axes: str,
    spacing: Sequence[float] | None = None,
    overwrite: bool = False,
    like: Path | None = None,
    meaning: Meaning | None = None,
    **options: Any,
) -> LazyOutput:
    """Begin an image that is written by region; see `write` for errors.

    Parameters
    ----------
    path, overwrite, like : as for `write`
    shape, dtype, axes, spacing, meaning : of the image
    options : ``chunks``, ``labels``, ``resume``, ``version`` and ``note``
        The first four are those of `biounet.io.ome_zarr.create`, for formats that are `Format.resumable`. The note is
        a text on the image, for formats that have `Format.note_of`. Other formats take no notice.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> path = Path(tempfile.mkdtemp(), "big.tif")
    >>> with create(path, shape=(20, 30), dtype="uint8", axes="YX") as output:
    ...     output.write(Box((0, 0), (1, 2)), np.array([[7, 8]], np.uint8))
    >>> read(path).array[0, :3]
    array([7, 8, 0], dtype=uint8)
    """
    path = Path(path)
    form = _output_format(path)
    in_memory = form.create is None
    form.check(path, axes=axes, shape=shape, dtype=_narrowest(np.dtype(dtype)) if in_memory else dtype)
    if form.create is not None:
        known = (
            ("chunks", "labels", "resume", "version")
            if form.resumable
            else ("note",)
            if form.note_of is not None
            else ()
        )
        given = {name: options[name] for name in known if name in options}
        given |= {"axes": axes, "spacing": spacing, "meaning": meaning}
        return form.create(path, shape=shape, dtype=dtype, overwrite=overwrite, **given)
    check_absent(path, overwrite=overwrite)
    pixels = Image(np.zeros(tuple(shape), dtype), axes, None if spacing is None else tuple(spacing), meaning)
    return ArrayOutput(pixels, lambda image: write(path, image, overwrite=overwrite, like=like))


def attach(path: Path | str) -> ResumableOutput:
    """Open an image that another process began, to write other regions of it.

    Raises
    ------
    OutputError
        If no process began it, or its format cannot be shared between processes.
    """
    form = _output_format(Path(path))
    if form.attach is None:
        raise OutputError(f"{path}: {form.name} is written by one process; save it as .zarr")
    return form.attach(Path(path))


def _narrowest(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type in which integers of 32 and 64 bits are stored if they are small."""
    return np.dtype(np.uint8) if dtype.kind in "iu" and dtype.itemsize >= 4 else dtype


def _output_format(path: Path) -> Format:
    """Find the format of an output."""
    try:
        return format_of(path)
    except ImageError as error:
        raise OutputError(str(error)) from error
