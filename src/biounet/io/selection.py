"""Selection of what is read from a file that holds more than one image: axes, series, channels, level of a pyramid."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from biounet.core.boxes import Box
from biounet.core.errors import ConfigError, ImageError
from biounet.io.image import LazyImage, notes_of
from biounet.io.meaning import meaning_of

__all__ = ["Selection", "WithChannels"]


@dataclass(frozen=True)
class Selection:
    """What to read of a file.

    Parameters
    ----------
    axes : str
        What the axes of the file are, in its own order; ``None`` trusts the file. The pages of a plain TIFF stack
        may have several axes, with sizes: ``T2ZYX``.
    series : int or str
        Number, from 0, or name of an image in a file of several; ``None`` takes the only one.
    channel : numbers of channels, from 0
        In the order in which they are wanted; ``None`` takes all.
    level : int
        Of a pyramid; 0 has all pixels, each further one fewer.

    Raises
    ------
    ConfigError
        If a number is negative, or no channel is named.
    """

    axes: str | None = None
    series: int | str | None = None
    channel: Sequence[int] | None = None
    level: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.series, str) and self.series.isdecimal():
            object.__setattr__(self, "series", int(self.series))
        if self.axes is not None:
            object.__setattr__(self, "axes", self.axes.upper())
            if not re.fullmatch(r"([TCZYX]([1-9]\d*)?)+", self.axes):
                raise ConfigError(f"axes are letters of TCZYX, as in ZYX, got {self.axes!r}")
        if self.channel is not None:
            object.__setattr__(self, "channel", tuple(self.channel))
        numbers = [self.level, *(self.channel or ()), *([self.series] if isinstance(self.series, int) else [])]
        if min(numbers) < 0 or self.channel == ():
            raise ConfigError(f"series, channels and levels are numbers from 0, got {self}")

    @property
    def of_labels(self) -> "Selection":
        """Selection of the labels of an image: they have its axes but C, and are in a file of their own.

        >>> Selection("TYXC", series=1, channel=(0,), level=2).of_labels
        Selection(axes='TYX', series=None, channel=None, level=0)
        """
        return Selection(self.axes and re.sub(r"C\d*", "", self.axes))

    def check_single(self, path: Path, kind: str) -> None:
        """Refuse another series or level where a format has but one of each.

        Parameters
        ----------
        path : of the file, for the error
        kind : name of the format

        Raises
        ------
        ImageError
            If the series or the level is neither left out nor 0.
        """
        if self.series not in (None, 0):
            raise ImageError(
                f"{path.name}: {kind} holds one image, there is no series {self.series}; leave out --series"
            )
        if self.level:
            raise ImageError(
                f"{path.name}: {kind} holds one size of an image, no level {self.level}; leave out --level"
            )


class WithChannels:
    """An image of some of the channels of another; a `biounet.io.LazyImage`.

    Parameters
    ----------
    image : LazyImage
    channel : numbers of channels, from 0
        In the order in which they are wanted. One channel alone is an image without an axis C.
    name : of the file, for errors

    Raises
    ------
    ImageError
        If there is no such channel.

    Examples
    --------
    >>> from biounet.io.image import ArrayImage, Image
    >>> image = ArrayImage(Image(np.arange(3).reshape(3, 1, 1), "CYX"))
    >>> swapped = WithChannels(image, (2, 0), "cells.tif")
    >>> swapped.axes, swapped.read(Box((0, 0, 0), (2, 1, 1))).ravel()
    ('CYX', array([2, 0]))
    """

    def __init__(self, image: LazyImage, channel: Sequence[int], name: str) -> None:
        self._image, self._channel = image, channel
        self.meaning = meaning_of(image)
        self._at = image.axes.find("C")
        have = image.shape[self._at] if self._at >= 0 else 1
        if max(channel) >= have:
            last = f"channels 0 to {have - 1}" if have > 1 else "one channel"
            raise ImageError(f"{name}: it has {last}, there is no channel {max(channel)}; give another --channel")
        sizes = [(axis, size) for axis, size in zip(image.axes, image.shape, strict=True) if axis != "C"]
        if len(channel) > 1:
            before = sum(axis == "T" for axis, _ in sizes)
            sizes.insert(before, ("C", len(channel)))
        self.axes = "".join(axis for axis, _ in sizes)
        self.shape = tuple(size for _, size in sizes)
        self.dtype = image.dtype
        self.spacing = image.spacing
        self.notes = notes_of(image)
        self.decoding_bytes = image.decoding_bytes

    def read(self, box: Box) -> NDArray[np.generic]:
        """Return the pixels of a region inside the image."""
        if len(self._channel) == 1:
            return self._read_one(self._channel[0], box)
        at = self.axes.index("C")
        inner = Box((*box.start[:at], *box.start[at + 1 :]), (*box.stop[:at], *box.stop[at + 1 :]))
        wanted = self._channel[box.start[at] : box.stop[at]]
        return np.stack([self._read_one(channel, inner) for channel in wanted], axis=at)

    def _read_one(self, channel: int, box: Box) -> NDArray[np.generic]:
        """Return a region of one channel, without the axis C."""
        if self._at < 0:
            return self._image.read(box)
        start = (*box.start[: self._at], channel, *box.start[self._at :])
        stop = (*box.stop[: self._at], channel + 1, *box.stop[self._at :])
        return self._image.read(Box(start, stop)).squeeze(self._at)

    def __enter__(self) -> "WithChannels":
        self._image.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._image.__exit__(*error)
