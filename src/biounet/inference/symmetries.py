"""The eight symmetries of a square, over which test-time augmentation averages predictions."""

from collections.abc import Sequence
from itertools import product

from torch import Tensor

__all__ = ["SYMMETRIES", "Symmetry", "turn", "turn_back"]


Symmetry = tuple[bool, bool, bool]
"""Whether to transpose Y and X, then to flip Y, then to flip X."""
SYMMETRIES: Sequence[Symmetry] = [(t, y, x) for t, y, x in product((False, True), repeat=3)]


def turn(images: Tensor, symmetry: Symmetry) -> Tensor:
    """Turn images (N, C, *spatial) in the plane YX."""
    transpose, *flips = symmetry
    return _flip(images.transpose(-2, -1) if transpose else images, flips)


def turn_back(images: Tensor, symmetry: Symmetry) -> Tensor:
    """Undo `turn`."""
    transpose, *flips = symmetry
    images = _flip(images, flips)
    return images.transpose(-2, -1) if transpose else images


def _flip(images: Tensor, flips: list[bool]) -> Tensor:
    """Flip Y, X or both; torch would copy even if there is nothing to flip."""
    axes = [axis for axis, flip in zip((-2, -1), flips, strict=True) if flip]
    return images.flip(axes) if axes else images
