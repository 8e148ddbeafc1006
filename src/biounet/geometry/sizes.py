"""Sizes in and out of an unpadded U-Net."""

from biounet.errors import ShapeError
from biounet.geometry.network import unet_geometry

__all__ = ["nearest_sizes", "valid_output_size"]


def valid_output_size(size: int, *, depth: int = 4) -> int:
    """Pixels left per axis after an unpadded U-Net with `depth` poolings.

    Raises
    ------
    ShapeError
        If a pooling meets an odd number of pixels, or nothing is left.

    Examples
    --------
    >>> valid_output_size(572)          # Ronneberger et al. 2015, figure 1
    388
    """
    geometry = unet_geometry(((2,),) * depth, padded=False)
    try:
        return geometry.output_size((size,))[0]
    except ShapeError:
        below, above = nearest_sizes(size, depth=depth)
        raise ShapeError(
            f"{size} px does not fit a U-Net of depth {depth}; the nearest sizes are {below} and {above}"
        ) from None


def nearest_sizes(size: int, *, depth: int = 4) -> tuple[int, int]:
    """Sizes that an unpadded U-Net takes, nearest to `size`: not above it, and not below it.

    Where `size` is below the least, both are the least; where it fits, both are `size`.

    Examples
    --------
    >>> nearest_sizes(570)
    (556, 572)
    >>> nearest_sizes(572)
    (572, 572)
    """
    geometry = unet_geometry(((2,),) * depth, padded=False)
    least = geometry.input_size((1,))[0]
    above = max(least, size + (geometry.remainder[0] - size) % geometry.grid[0])
    below = above if above == size else max(least, above - geometry.grid[0])
    return below, above
