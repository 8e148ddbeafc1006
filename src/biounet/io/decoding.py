"""Room in memory for what a file makes one decode at once: a strip, tile or chunk; a PNG or JPEG as a whole."""

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

from biounet.core.errors import ImageError
from biounet.core.memory import format_bytes, machine_bytes
from biounet.io.image import LazyImage

__all__ = ["DecodingRoom", "check_whole"]


SHARE, LEAST = 0.1, 2**30
"""Share of the memory of the machine that decoding may take if nobody says how much, and bytes that it always may."""

SMALL = 2**26
"""Bytes that no image is refused for here."""


@dataclass(frozen=True)
class DecodingRoom:
    """Memory that decoding may take.

    Parameters
    ----------
    bytes : int
    held : bytes that the process needs beside them
    option : of the command line, with which a user gives more memory; empty where there is none

    Examples
    --------
    >>> DecodingRoom(2**30, 2**29, "--memory").advice(2 * 2**30)
    'give --memory 3GiB, or save it as a tiled TIFF or OME-Zarr'
    """

    bytes: int
    held: int = 0
    option: str = ""

    @classmethod
    def usual(cls) -> Self:
        """A tenth of the memory of this machine."""
        return cls(_usual_bytes())

    def check(self, image: LazyImage, path: Path) -> None:
        """Refuse an image before it is decoded.

        Raises
        ------
        ImageError
            If the largest piece of it does not fit; the message says what helps.
        """
        needed = image.decoding_bytes
        if needed > max(self.bytes, SMALL):
            raise ImageError(
                f"{path}: a part of it that must be decoded at once takes {format_bytes(needed)}, there are "
                f"{format_bytes(max(0, self.bytes))} for that; {self.advice(needed)}"
            )

    def advice(self, needed: int) -> str:
        """Say what helps, where decoding takes `needed` bytes."""
        save = "save it as a tiled TIFF or OME-Zarr"
        return f"give {self.option} {math.ceil((needed + self.held) / 2**30)}GiB, or {save}" if self.option else save


@cache
def _usual_bytes() -> int:
    return max(LEAST, int(SHARE * machine_bytes()))


def check_whole(image: LazyImage, path: Path, *, pixel: int | None = None) -> None:
    """Refuse to read a whole image into memory that does not hold it.

    Parameters
    ----------
    image, path : the image, and its path for the error
    pixel : bytes that are needed per pixel; those of its type, if not given

    Raises
    ------
    ImageError
    """
    size, most = math.prod(image.shape) * (pixel or image.dtype.itemsize), _half_of_machine()
    if size > most:
        raise ImageError(
            f"{path}: its {' x '.join(map(str, image.shape))} pixels take {format_bytes(size)} as a whole, half of the "
            f"memory of this machine is {format_bytes(most)}; crop it"
        )


@cache
def _half_of_machine() -> int:
    return machine_bytes() // 2
