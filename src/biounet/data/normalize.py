"""Normalisation of intensities: one grey scale for images of any microscope, in training, prediction and export.

Statistics come from the whole image (or from the training set), never from a tile, so that what a
tile computes does not depend on the tile.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, Self

import numpy as np

from biounet.core.boxes import Box
from biounet.core.errors import ConfigError, ImageError, ShapeError
from biounet.io.frames import Frame

__all__ = ["NORMALIZATIONS", "Kind", "Normalization", "measure", "sampling_step", "statistics", "subsample"]


Kind = Literal["z-score", "percentile"]

FLOAT = np.finfo(np.float32)
MOST = 1e6
"""Normalised intensities are no greater than this."""

SAMPLES = 2**22
"""Most pixels per channel that statistics are computed from."""


@dataclass(frozen=True)
class Normalization:
    """Normalisation of intensities, ``(image - offset) / scale`` per channel, and the rule that gives these numbers.

    Attributes
    ----------
    kind : "z-score" or "percentile"
        Mean to 0 and standard deviation to 1, or the percentile `low` to 0 and `high` to `span`.
    low, high : percent
    span : no unit
        Only "percentile" uses these three.
    offset, scale : one number per channel, in units of the image, or None
        None: each image has its own. Otherwise those of the training set, for every image.
    bounds : least and greatest normalised intensity, or None
        Intensities are clipped to them. None: nothing is clipped.

    Examples
    --------
    >>> image = np.array([[0, 10, 20]], dtype=np.uint8)
    >>> Normalization("percentile", low=0, high=100).measured(image).apply(image)
    array([[0. , 0.5, 1. ]], dtype=float32)
    """

    kind: Kind = "z-score"
    low: float = 1.0
    high: float = 99.8
    offset: tuple[float, ...] | None = None
    scale: tuple[float, ...] | None = None
    span: float = 1.0
    bounds: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.kind not in ("z-score", "percentile"):
            raise ConfigError(f"normalisation must be z-score or percentile, got {self.kind!r}")
        if not 0 <= self.low < self.high <= 100:
            raise ConfigError(f"percentiles must rise between 0 and 100, got {self.low} and {self.high}")
        if (self.offset is None) != (self.scale is None) or len(self.offset or ()) != len(self.scale or ()):
            raise ConfigError(f"offset and scale go together, one per channel, got {self.offset} and {self.scale}")
        if not 1 / MOST <= self.span <= MOST:
            raise ConfigError(f"span must be positive, from {1 / MOST:g} to {MOST:g}, got {self.span}")
        if self.bounds is not None and not -MOST <= self.bounds[0] < self.bounds[1] <= MOST:
            raise ConfigError(f"bounds must rise between {-MOST:g} and {MOST:g}, got {self.bounds}")
        if not all(abs(offset) <= FLOAT.max for offset in self.offset or ()):
            raise ConfigError(f"offset must be numbers that float32 holds, got {self.offset}")
        if not all(FLOAT.tiny <= scale <= FLOAT.max for scale in self.scale or ()):
            raise ConfigError(f"scale must be positive numbers that float32 holds, got {self.scale}")

    def measured(self, image: np.ndarray) -> Self:
        """Normalisation with the statistics of a whole image (C, ...); returned as it is, if it has statistics.

        Raises
        ------
        ImageError
            If pixels are NaN or infinite.
        """
        if self.offset is not None:
            return self
        offset, scale = statistics(image, kind=self.kind, low=self.low, high=self.high)
        span = self.span if self.kind == "percentile" else 1.0
        return replace(self, offset=offset, scale=tuple(extent / span for extent in scale))

    def fitted(self, images: Iterable[np.ndarray]) -> Self:
        """Normalisation with the statistics of a training set, all images (C, ...) pooled.

        >>> Normalization().fitted([np.zeros((1, 4)), np.ones((1, 4))]).offset
        (0.5,)
        """
        return replace(self, offset=None, scale=None).measured(np.concatenate([subsample(i) for i in images], axis=1))

    def apply(self, array: np.ndarray) -> np.ndarray:
        """Normalised intensities of an image, or of a part of it: (C, ...) of any number type to float32.

        Raises
        ------
        ValueError
            If there are no statistics.
        ShapeError
            If the number of channels is not that of the statistics.
        """
        if self.offset is None or self.scale is None:
            raise ValueError("normalisation needs statistics; call measured(whole image) first")
        if len(array) != len(self.offset):
            raise ShapeError(
                f"statistics are of {len(self.offset)} channels, got an array of {len(array)}; axes are CZYX"
            )
        result = np.empty(array.shape, np.float32)
        for channel, offset, scale, target in zip(array, self.offset, self.scale, result, strict=True):
            np.subtract(channel, offset, out=target)  # integers in float64, a buffer at a time
            target /= scale
        return result if self.bounds is None else np.clip(result, *self.bounds, out=result)


NORMALIZATIONS: Mapping[Kind, Normalization] = MappingProxyType(
    {"z-score": Normalization(), "percentile": Normalization("percentile", span=5.0, bounds=(-5.0, 10.0))}
)
"""Normalisations of a run, by name. Percentiles 1 and 99.8 of a normal distribution are 5.2 standard deviations apart,
so a unit means the same in both. Bounds clip pixels that lie farther outside the percentiles than these are apart."""


def statistics(
    image: np.ndarray, *, kind: Kind = "z-score", low: float = 1.0, high: float = 99.8
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Offset and scale of each channel of a whole image.

    Parameters
    ----------
    image : (C, ...), any number type
        More than about four million pixels per channel are sampled on a regular grid.
    kind, low, high : as in `Normalization`

    Returns
    -------
    offset, scale : one number per channel, in units of the image
        The scale is never 0: a constant channel has scale 1, and one whose percentiles coincide (a few
        bright spots on black) is measured from its darkest to its brightest pixel.

    Raises
    ------
    ImageError
        If there are no pixels, or some are NaN or infinite.

    Examples
    --------
    >>> statistics(np.array([[1, 1, 3, 3], [5, 5, 5, 5]]))
    ((2.0, 5.0), (1.0, 1.0))
    """
    pairs = [_channel_statistics(channel, kind, low, high) for channel in subsample(image)]
    offsets, scales = zip(*pairs, strict=True)
    return offsets, scales


def sampling_step(shape: Sequence[int], *, most: int = SAMPLES) -> int:
    """Spacing, in pixels, of the finest regular grid that has at most `most` pixels of an image.

    >>> sampling_step((3, 4), most=4)
    2
    """
    step = 1
    while math.prod(-(-size // step) for size in shape) > most:
        step += 1
    return step


def subsample(image: np.ndarray, *, most: int = SAMPLES) -> np.ndarray:
    """Pixels of each channel that statistics are computed from, see `sampling_step`; (C, ...) to (C, n).

    >>> subsample(np.arange(12).reshape(1, 3, 4), most=4)
    array([[ 0,  2,  8, 10]])
    """
    step = sampling_step(image.shape[1:], most=most)
    return image[(slice(None), *(slice(None, None, step),) * (image.ndim - 1))].reshape(len(image), -1)


def _channel_statistics(channel: np.ndarray, kind: Kind, low: float, high: float) -> tuple[float, float]:
    """Offset and scale of one channel."""
    if not channel.size:
        raise ImageError("an image must have pixels, got none")
    darkest, brightest = float(channel.min()), float(channel.max())
    if not math.isfinite(brightest - darkest):
        raise ImageError("pixels must be numbers, got NaN or infinity; replace them before training or prediction")
    if max(-darkest, brightest) > FLOAT.max or 0 < brightest - darkest < MOST * FLOAT.tiny:
        raise ImageError(f"pixels must be numbers that float32 holds, got {darkest:g} to {brightest:g}; scale them")
    if darkest == brightest:
        return darkest, 1.0
    if kind == "z-score":
        return float(channel.mean(dtype=np.float64)), float(channel.std(dtype=np.float64)) or 1.0
    bottom, top = (float(value) for value in np.percentile(channel, [low, high]))
    return (bottom, top - bottom) if top > bottom else (darkest, brightest - darkest)


def measure(frame: Frame, normalization: Normalization, *, strip_bytes: int = 2**25) -> Normalization:
    """Normalisation with the statistics of a whole image, read strip by strip; the same as of the image in memory.

    Parameters
    ----------
    frame : Frame
    normalization : Normalization
        Returned as it is, if it has statistics.
    strip_bytes : about how much of the image is read at a time

    Raises
    ------
    ImageError
        If it cannot be read, or pixels are NaN or infinite.
    """
    if normalization.offset is not None:
        return normalization
    channels, *spatial = frame.shape
    step = sampling_step(spatial)
    samples = np.empty((channels, *(math.ceil(size / step) for size in spatial)), frame.source.dtype)
    for ends in _strips(spatial, step, strip_bytes // (channels * samples.itemsize)):
        box = Box(*zip((0, channels), *ends, strict=True))
        inside = (slice(first // step, math.ceil(last / step)) for first, last in ends)
        samples[(slice(None), *inside)] = frame.read(box)[(slice(None), *(slice(None, None, step),) * len(spatial))]
    return normalization.measured(samples)


def _strips(spatial: list[int], step: int, pixels: int) -> Iterator[tuple[tuple[int, int], ...]]:
    """Boxes of about so many pixels at most that hold every `step`-th pixel of an image, as ends along each axis."""
    first, *others = spatial
    height = pixels // max(1, math.prod(others))
    if height < 1 and others:
        for at in range(0, first, step):
            yield from (((at, at + 1), *inner) for inner in _strips(others, step, pixels))
        return
    together = height // step * step or 1  # where fewer fit than lie between two samples, one of them is read
    for top in range(0, first, max(together, step)):
        yield ((top, min(top + together, first)), *((0, size) for size in others))
