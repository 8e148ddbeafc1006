"""Images as a network takes them: the axes of an array or a file are found and said, or the image is refused."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.config import ModelConfig
from biounet.core.boxes import Box
from biounet.core.errors import ImageError, ShapeError
from biounet.io import AXES, ArrayImage, Image, LazyImage, fit_channels, open_lazily

__all__ = ["NetworkInput", "Pixels"]


Pixels = NDArray[Any] | str | Path
"""An array, or an image file."""

FEW = 4
"""An array whose last axis is no longer than this, and shorter than the two before it, ends with its channels."""


@dataclass(frozen=True)
class NetworkInput:
    """An image, the axes of which are known, for a network.

    Examples
    --------
    >>> str(NetworkInput.of(np.zeros((5, 64, 48)), ModelConfig()))
    'Z=5 sections of Y=64 X=48, 1 channel'
    >>> str(NetworkInput.of(np.zeros((64, 48, 3)), ModelConfig(in_channels=3), axes="YXC"))
    'an image of Y=64 X=48, 3 channels'
    """

    source: LazyImage
    model: ModelConfig
    name: str
    """Of the file, for errors; nothing for an array."""

    @classmethod
    def of(cls, image: Pixels, model: ModelConfig, *, axes: str | None = None) -> "NetworkInput":
        """Find the axes of an image.

        Parameters
        ----------
        image : an array, or a file
        model : ModelConfig
            Of the network.
        axes : letters of ``TCZYX``, one per axis of the image, in its order
            None: those of the file; of an array (C)YX or (C)ZYX, or ZYX for a 2D network of one channel.

        Raises
        ------
        ImageError
            If a file cannot be opened, or an array does not hold real numbers.
        ShapeError
            If the axes cannot be told, or the network does not take such images.
        """
        if isinstance(image, str | Path):
            found = cls(open_lazily(image, axes=axes), model, f"{Path(image).name}: ")
        else:
            array = np.asarray(image)
            if array.dtype.kind not in "biuf":
                raise ImageError(f"an image of real numbers is wanted, got an array of {array.dtype}; convert it")
            named = _ordered(array, axes) if axes else Image(array, _guess_axes(array.shape, model))
            found = cls(ArrayImage(named), model, "")
        try:
            found._check()
        except ShapeError:
            with found.source:  # closes the file
                raise
        return found

    @property
    def sections(self) -> bool:
        """Whether the image is a stack for a 2D network, which takes it section by section."""
        return self.model.dims == 2 and "Z" in self.source.axes

    def read(self) -> NDArray[Any]:
        """Return all pixels: C(Z)YX with the channels of the network, or ZCYX where it takes sections."""
        shape = self.source.shape
        with self.source as opened:
            array = opened.read(Box((0,) * len(shape), shape))
        if "T" in self.source.axes:
            array = array[0]
        if "C" not in self.source.axes:
            array = array[np.newaxis]
        array = fit_channels(array, self.model.in_channels, f"{self.name}{self}")
        return np.moveaxis(array, 1, 0) if self.sections else array

    def __str__(self) -> str:
        """The axes in words."""
        sizes = self._sizes
        channels, taken = sizes.get("C", 1), self.model.in_channels
        plane = f"Y={sizes['Y']} X={sizes['X']}, {channels} channel{'s' * (channels > 1)}"
        if channels != taken:
            plane += f" (the network takes {taken})"
        if "Z" not in sizes:
            return f"an image of {plane}"
        return f"Z={sizes['Z']} sections of {plane}" if self.sections else f"a volume of Z={sizes['Z']} {plane}"

    @property
    def _sizes(self) -> dict[str, int]:
        return dict(zip(self.source.axes, self.source.shape, strict=True))

    def _check(self) -> None:
        """Refuse an image that the network does not take."""
        sizes, model = self._sizes, self.model
        if sizes.get("T", 1) > 1:
            raise ShapeError(
                f"{self.name}one image is wanted, got T={sizes['T']} time points of {self}; give one of them, use "
                "biounet predict, or name the axes if they are others, such as axes='ZYX'"
            )
        if model.dims == 3 and "Z" not in sizes:
            raise ShapeError(f"{self.name}the network takes volumes, got {self}; give a stack with axes ZYX")
        if sizes.get("C", 1) not in (1, model.in_channels) and model.in_channels != 1:
            raise ShapeError(
                f"{self.name}{_wanted(model)}, got {self}; if that is wrong name the axes, as in axes='YXC'"
            )


def _wanted(model: ModelConfig) -> str:
    channels = model.in_channels
    return f"the network takes {channels} channel{'s' * (channels > 1)} and {model.dims} spatial axes"


def _ordered(array: NDArray[Any], axes: str) -> Image:
    """An array with its axes in the order of `AXES`."""
    letters = axes.upper()
    if len(letters) != array.ndim or len(set(letters)) < len(letters) or not set("YX") <= set(letters) <= set(AXES):
        raise ShapeError(
            f"axes must be {array.ndim} different letters of {AXES} with Y and X, for an array of shape {array.shape}, "
            f"got {axes!r}"
        )
    order = [letters.index(letter) for letter in AXES if letter in letters]
    return Image(array.transpose(order), "".join(letter for letter in AXES if letter in letters))


def _guess_axes(shape: tuple[int, ...], model: ModelConfig) -> str:
    """Axes of an array that nobody has named."""
    spatial = "ZYX"[-model.dims :]
    if len(shape) == model.dims:
        axes = spatial
    elif len(shape) == model.dims + 1 and shape[0] in (1, model.in_channels):
        axes = f"C{spatial}"
    elif len(shape) == 3 and model.dims == 2 and model.in_channels == 1:
        axes = "ZYX"
    else:
        raise ShapeError(
            f"{_wanted(model)}, got an image of shape {shape}; name its axes, as in axes='YXC' or axes='CZYX'"
        )
    if axes == "ZYX" and shape[-1] <= FEW and shape[-1] < min(shape[:2]):
        z, y, x = shape
        raise ShapeError(
            f"{_wanted(model)}, got an image of shape {shape}, which would be Z={z} sections of Y={y} X={x}; name its "
            "axes: axes='YXC' if the last one are channels, axes='ZYX' if it is such a stack"
        )
    return axes
