"""Images of any axes as a row of frames, each of which a network takes whole: time points, or sections of a stack."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, overload

from numpy.typing import NDArray

from biounet.core.boxes import Box
from biounet.core.errors import ShapeError
from biounet.io.image import LazyImage
from biounet.io.pixels import fit_channels

__all__ = ["Frame", "Frames", "frames_of", "middle_frame"]


Position = tuple[tuple[str, int], ...]
"""Where a frame stands: ``(("T", 3),)`` is the fourth time point; () is an image that is one frame."""


@dataclass(frozen=True)
class Frame:
    """One frame of an image as a `biounet.core.boxes.Reader`: axes C(Z)YX, the channel axis always there.

    Parameters
    ----------
    position : index along each of the axes that count frames
    source : the image
    channels : int
        What the network takes. Grey is repeated, equal channels become one.
    name : of the image, for errors
    """

    position: Position
    source: LazyImage
    channels: int
    name: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels that the network takes, then pixels per spatial axis."""
        counting = [axis for axis, _ in self.position]
        sizes = zip(self.source.axes, self.source.shape, strict=True)
        return (self.channels, *(size for axis, size in sizes if axis not in ("C", *counting)))

    def read(self, box: Box) -> NDArray[Any]:
        """Return the pixels of a region, all channels."""
        axes, shape = self.source.axes, self.source.shape
        channels = shape[axes.index("C")] if "C" in axes else 1
        inner = Box((0, *box.start[1:]), (channels, *box.stop[1:]))
        pixels = self.source.read(self._outer(inner, axes)).reshape(inner.shape)
        return fit_channels(pixels, self.channels, self.name)

    def place(self, axes: str, box: Box, channels: int) -> Box:
        """Give a spatial box the axes of an output, at this frame."""
        return self._outer(Box((0, *box.start), (channels, *box.stop)), axes)

    def _outer(self, box: Box, axes: str) -> Box:
        """Give a box of C(Z)YX the axes of a file."""
        at = dict(self.position)
        inside = iter(list(zip(box.start, box.stop, strict=True))[0 if "C" in axes else 1 :])
        start, stop = zip(*((at[axis], at[axis] + 1) if axis in at else next(inside) for axis in axes), strict=True)
        return Box(start, stop)


@dataclass(frozen=True)
class Frames(Sequence[Frame]):
    """All frames of an image, each made when it is asked for: there may be millions.

    Parameters
    ----------
    counting : axes that count frames
    sizes : number of positions along each of them
    source, channels, name : as of `Frame`

    Examples
    --------
    >>> import numpy as np
    >>> from biounet.io.image import ArrayImage, Image
    >>> source = ArrayImage(Image(np.zeros((2, 3, 4, 5)), "TZYX"))
    >>> frames = Frames("TZ", (2, 3), source, 1, "cells.tif")
    >>> len(frames), frames[-1].position
    (6, (('T', 1), ('Z', 2)))
    """

    counting: str
    sizes: tuple[int, ...]
    source: LazyImage
    channels: int
    name: str

    def __len__(self) -> int:
        return prod(self.sizes)

    @property
    def middle(self) -> Frame:
        """The frame in the middle, which stands for the others."""
        return self[len(self) // 2]

    @overload
    def __getitem__(self, index: int) -> Frame: ...

    @overload
    def __getitem__(self, index: slice) -> list[Frame]: ...

    def __getitem__(self, index: int | slice) -> Frame | list[Frame]:
        if isinstance(index, slice):
            return [self[at] for at in range(len(self))[index]]
        left, at = range(len(self))[index], list[int]()
        for size in reversed(self.sizes):
            left, inside = divmod(left, size)
            at.append(inside)
        return Frame(tuple(zip(self.counting, reversed(at), strict=True)), self.source, self.channels, self.name)


def frames_of(image: LazyImage, *, dims: int, channels: int, name: str) -> Frames:
    """Divide an image into what a network takes at a time.

    Parameters
    ----------
    image : LazyImage
    dims : 2 or 3, spatial axes of the network. A 2D network takes a stack section by section.
    channels : int
    name : of the image, for errors

    Raises
    ------
    ShapeError
        If the image has not the axes or channels of the network.
    """
    if dims == 3 and "Z" not in image.axes:
        raise ShapeError(
            f"{name}: the network takes volumes, axes ZYX, the image has {image.axes}; if that is wrong give --axes"
        )
    have = image.shape[image.axes.index("C")] if "C" in image.axes else 1
    if have != channels and 1 not in (have, channels):
        raise ShapeError(
            f"{name}: the network takes {channels} channels, the image has {have} (axes {image.axes}, shape "
            f"{image.shape}); if the axes are wrong give --axes"
        )
    counting = [axis for axis in image.axes if axis == "T" or (axis == "Z" and dims == 2)]
    sizes = tuple(image.shape[image.axes.index(axis)] for axis in counting)
    return Frames("".join(counting), sizes, image, channels, name)


def middle_frame(image: LazyImage, *, dims: int, channels: int, name: str) -> Frame:
    """The frame in the middle of an image; as `frames_of`."""
    return frames_of(image, dims=dims, channels=channels, name=name).middle
