"""Pages of a TIFF file that are one image: which of several images, and which level of a pyramid."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import tifffile

from biounet.core.errors import ImageError
from biounet.io.selection import Selection

__all__ = ["PageStack", "Summary", "choose", "open_series", "split_pages"]


NAMED = 4
"""So many images of a file are named where one must be chosen."""

LOOKED_AT = 16
"""Pages of a file whose sizes are looked at before the file is listed."""


@dataclass(frozen=True)
class PageStack:
    """Pages of equal size that are one image.

    Parameters
    ----------
    pages : of tifffile, which may lie in several files
    keyframe : page that describes all of them
    axes : as tifffile names them: S for colour samples, I and Q for pages of unknown meaning
    shape : pixels along these
    offset : where the pixels of a file begin whose pages follow each other without a gap, else ``None``
    spacing : micrometres per pixel by axis; ``None`` if the stack itself does not tell
        That of the level 0.
    scale : how many times larger than those of level 0 pixels are, by axis
    note : what a person should know of the choice; may be empty
    """

    pages: Sequence[Any]
    keyframe: tifffile.TiffPage
    axes: str
    shape: tuple[int, ...]
    offset: int | None
    spacing: Mapping[str, float | None] | None
    scale: Mapping[str, float]
    note: str


@dataclass(frozen=True)
class Summary:
    """Name and shape of one of several images in a file, as people are told of it.

    >>> str(Summary("Macro", (431, 1280, 3))), str(Summary("", (60, 60)))
    ('Macro (431 x 1280 x 3 px)', '60 x 60 px')
    """

    name: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        size = f"{' x '.join(map(str, self.shape))} px"
        return f"{self.name} ({size})" if self.name else size


def open_series(file: tifffile.TiffFile, path: Path, selection: Selection) -> PageStack:
    """Find the pages of an image in a TIFF file without OME-XML.

    Raises
    ------
    ImageError
        If there are several images to choose from, or no such series or level.
    """
    _check_sizes(file, path)
    summaries = [Summary(series.name, series.shape) for series in file.series]
    number, note = choose(summaries, selection, path.name)
    whole = file.series[number]
    if selection.level >= len(whole.levels):
        sizes = f"levels 0 to {len(whole.levels) - 1}" if len(whole.levels) > 1 else "one size of its image"
        raise ImageError(f"{path.name} holds {sizes}, no level {selection.level}; take a smaller --level")
    series = whole.levels[selection.level]
    offset = series.dataoffset
    # A file whose pages follow each other without a gap may describe only the first.
    pages = list(series.pages) if offset is None else [series.keyframe]
    if None in pages:
        raise ImageError(f"{path.name}: {pages.count(None)} of {len(pages)} planes are missing; copy it again")
    finest, keyframe = whole.keyframe, series.keyframe
    scale = {"Y": finest.imagelength / keyframe.imagelength, "X": finest.imagewidth / keyframe.imagewidth}
    return PageStack(pages, keyframe, series.axes, series.shape, offset, None, scale, note)


def _check_sizes(file: tifffile.TiffFile, path: Path) -> None:
    """Refuse pages that have no pixels, or less than none: tifffile would count them for ever."""
    for page in file.pages[:LOOKED_AT] if file.is_shaped else [file.pages.first]:
        sizes = (page.imagelength, page.imagewidth, page.samplesperpixel, page.imagedepth)
        if min(sizes) < 1:
            raise ImageError(f"{path.name}: a page has {' x '.join(map(str, sizes[:2]))} pixels; copy the file again")


def choose(
    images: Sequence[Summary], selection: Selection, name: str, *, here: Sequence[bool] | None = None
) -> tuple[int, str]:
    """Choose one of the images of a file.

    Parameters
    ----------
    images : all that it names
    selection : Selection
        Without a series, the only image; or the first, if all others are smaller, as thumbnails are.
    name : of the file, for errors
    here : which of them lie in the file itself; all, if ``None``

    Returns
    -------
    The number of an image, and what a person should know of it

    Raises
    ------
    ImageError
        If there is no such series, or none is chosen.

    Examples
    --------
    >>> choose([Summary("", (64, 64)), Summary("Macro", (9, 9))], Selection(), "slide.svs")
    (0, 'it holds 2 images, the first is read; left out: 1 Macro (9 x 9 px); --series N takes another')
    """
    if selection.series is not None:
        return _named(images, selection.series, name), ""
    own = [number for number in range(len(images)) if here is None or here[number]]
    if not own:
        raise ImageError(f"{name} holds no image; copy it again")
    first, *others = own
    listed = [f"{number} {images[number]}" for number in others]
    left = ", ".join(listed[:NAMED]) + (f" and {len(listed) - NAMED} more" if len(listed) > NAMED else "")
    if any(prod(images[number].shape) >= prod(images[first].shape) for number in others):
        raise ImageError(f"{name} holds {len(own)} images: {first} {images[first]}, {left}; choose one by --series N")
    if not others:
        return first, ""
    return first, f"it holds {len(own)} images, the first is read; left out: {left}; --series N takes another"


def split_pages(stack: PageStack, wanted: str, name: str) -> tuple[PageStack, str]:
    """Divide the pages of a plain stack into several axes.

    Parameters
    ----------
    stack : PageStack
    wanted : letters of the axes, of which all but one may have a size, as in ``T2ZYX``
        Without sizes, all pages are along the first axis, and the note says so.
    name : of the file, for errors

    Returns
    -------
    The stack, and the letters alone

    Raises
    ------
    ImageError
        If the sizes do not fit the number of pages.
    """
    parts = re.findall(r"(.)(\d*)", wanted)
    letters = "".join(letter for letter, _ in parts)
    more = len(letters) - len(stack.axes)
    if more < 1 or stack.axes[:1] not in ("I", "Q"):
        return stack, letters
    pages, counted = stack.shape[0], parts[: more + 1]
    sizes = [int(size) if size else 0 for _, size in counted]
    note = stack.note
    if not any(sizes):
        sizes = [0] + [1] * more
        example = f"{letters[0]}2{letters[1:]}"
        note = f"its {pages} pages are all taken for {letters[0]}; if there are several {letters[1]}, say how many of "
        note += f"the others, as in --axes {example}"
    known = prod(size for size in sizes if size)
    if sizes.count(0) > 1 or not known or pages % known or (0 not in sizes and known != pages):
        raise ImageError(f"{name}: its {pages} pages do not divide into --axes {wanted}; give sizes that fit them")
    shape = (*(size or pages // known for size in sizes), *stack.shape[1:])
    return replace(stack, axes=stack.axes[0] * (more + 1) + stack.axes[1:], shape=shape, note=note), letters


def _named(images: Sequence[Summary], series: int | str, name: str) -> int:
    """The number of the image that is asked for by number or name."""
    by_name = [number for number, image in enumerate(images) if image.name and image.name == str(series)]
    if by_name:
        return by_name[0]
    number = int(series) if str(series).isdecimal() else len(images)
    if number >= len(images):
        known = "one image, 0" if len(images) == 1 else f"images 0 to {len(images) - 1}"
        raise ImageError(f"{name} holds {known}; there is no series {series}")
    return number
