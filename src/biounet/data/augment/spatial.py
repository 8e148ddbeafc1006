"""Augmentation of shape: elastic deformation, rotation, mirror, scale and shift, in one resampling.

Draw first, then apply: a few drawn numbers (`Motion`) become one field of displacements, and that one
field bends image, labels and weights alike. Numbers and field are made on the CPU, so that they are
the same on every device; `warp` runs where the image is.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from biounet.config import AugmentConfig
from biounet.core.errors import ShapeError
from biounet.data.augment.resample import warp

__all__ = ["Motion", "draw_elastic", "draw_field", "draw_motion", "warp"]


@dataclass(frozen=True)
class Motion:
    """One spatial augmentation: rotation, mirror and scale about the centre, shift, and elastic deformation.

    Attributes
    ----------
    angle : degrees
        Rotation in the plane YX, in the sense of `numpy.rot90`.
    mirror : one bool per axis
    scale : no unit
        Magnification; 2 makes things twice as large.
    shift : pixels, one number per axis
        Things move by that much towards the origin.
    nodes : (D, ...) with at least 2 nodes along each of the D axes, pixels, or None
        Displacement vectors of an elastic deformation on a coarse grid that spans the image.

    Examples
    --------
    >>> Motion(mirror=(False, True)).field((1, 3))[1]       # x = 0 comes from 2, 1 from 1, 2 from 0
    tensor([[ 2.,  0., -2.]])
    """

    angle: float = 0.0
    mirror: tuple[bool, ...] = (False, False)
    scale: float = 1.0
    shift: tuple[float, ...] = (0.0, 0.0)
    nodes: np.ndarray | None = None

    @property
    def linear(self) -> np.ndarray:
        """Matrix (D, D) from offsets from the centre of the result to offsets in the image."""
        dims = len(self.mirror)
        turn = np.eye(dims)
        # Rounded, so that quarter turns are exact: cos(90 degrees) is 6e-17 in floating point.
        cosine, sine = (round(f(math.radians(self.angle)), 15) for f in (math.cos, math.sin))
        turn[-2:, -2:] = [[cosine, sine], [-sine, cosine]]
        return turn @ np.diag([-1.0 if mirrored else 1.0 for mirrored in self.mirror]) / self.scale

    def field(self, size: Sequence[int]) -> Tensor:
        """Displacement field of a result of this size: pixel x of the result is taken from x plus its displacement.

        Returns
        -------
        float32 (D, Y, X) or (D, Z, Y, X), pixels
        """
        dims = len(self.mirror)
        if len(size) != dims:
            raise ShapeError(f"a motion of {dims} axes got a size of {len(size)} axes; draw it for that size")
        nodes = np.zeros((dims, *(2,) * dims)) if self.nodes is None else self.nodes
        # Along each axis two more than the nodes, a constant and a slope: all movements are one product.
        terms = np.zeros((*(count + 2 for count in nodes.shape[1:]), dims))
        terms[(slice(-2),) * dims] = np.moveaxis(nodes, 0, -1)
        terms[(-2,) * dims] = self.shift
        for axis, slope in enumerate((self.linear - np.eye(dims)).T):
            terms[tuple(-1 if other == axis else -2 for other in range(dims))] = slope
        return _product(
            np.moveaxis(terms, -1, 0), [_affine_bicubic(*along) for along in zip(size, nodes.shape[1:], strict=True)]
        )


def draw_elastic(
    rng: np.random.Generator | torch.Generator, *, size: Sequence[int], grid: int = 3, sigma: float = 10.0
) -> Tensor:
    """Smooth random displacements, as in the U-Net paper.

    Parameters
    ----------
    rng : numpy or torch generator
    size : (Y, X) or (Z, Y, X), pixels
    grid : at least 2
        Nodes of the coarse grid along each axis; the outermost lie on the outermost pixels.
    sigma : pixels
        Standard deviation of each component of the displacement at the nodes.

    Returns
    -------
    float32 (D, Y, X) or (D, Z, Y, X), pixels
        Component d displaces along axis d. On the CPU, whatever the generator.

    Raises
    ------
    ValueError
        If `grid` is below 2.

    Notes
    -----
    Source: Ronneberger, Fischer and Brox 2015, section 3.1: "random displacement vectors on a coarse
    3 by 3 grid [...] Gaussian distribution with 10 pixels standard deviation [...] bicubic interpolation".
    Bicubic is the convolution kernel of Keys 1981 with a = -0.75, border nodes repeated: exactly
    ``torch.nn.functional.interpolate(mode="bicubic", align_corners=True)``, and the same in 3D.

    Examples
    --------
    >>> draw_elastic(np.random.default_rng(0), size=(512, 512), sigma=0.0).abs().max()
    tensor(0.)
    """
    if grid < 2:
        raise ValueError(f"grid must have at least 2 nodes per axis, got {grid}")
    nodes = _normal(rng, (len(size), *(grid,) * len(size))) * sigma
    return _product(nodes, [_bicubic(pixels, grid) for pixels in size])


def draw_motion(
    rng: np.random.Generator, size: Sequence[int], config: AugmentConfig, *, spacing: Sequence[float] | None = None
) -> Motion:
    """Draw one spatial augmentation of a patch.

    Parameters
    ----------
    rng : numpy generator
        The same count of numbers is taken whatever the settings, so that changing one leaves the others be.
    size : (Y, X) or (Z, Y, X), pixels
    config : which movements, how strong
    spacing : any unit, one number per axis
        Pixel size; the displacements along thick slices become as many times smaller. None: all equal.

    Notes
    -----
    Differs from the paper on small patches: the standard deviation of the displacements is at most an
    eighth of the distance between nodes, so that the deformation hardly ever folds.
    """
    dims, grid = len(size), config.elastic_grid
    angle, zoom = rng.uniform(-1, 1, 2)
    mirror = rng.random(dims) < 0.5
    shift = rng.uniform(-1, 1, dims) * config.shift
    elastic = rng.random() < config.elastic
    relative = np.ones(dims) if spacing is None else np.asarray(spacing) / spacing[-1]
    strongest = (np.array(size) - 1) / (grid - 1) / 8
    sigma = np.minimum(config.elastic_sigma / relative, strongest)
    nodes = _normal(rng, (dims, *(grid,) * dims)) * sigma.reshape(dims, *(1,) * dims)
    return Motion(
        angle=angle * config.rotate,
        mirror=tuple((mirror & config.mirror).tolist()),
        scale=config.scale**zoom,
        shift=tuple(shift.tolist()),
        nodes=nodes if elastic else None,
    )


def draw_field(
    rng: np.random.Generator, size: Sequence[int], config: AugmentConfig, *, spacing: Sequence[float] | None = None
) -> Tensor:
    """Draw rotation, mirror, scale, shift and elastic deformation as one displacement field.

    See `draw_motion`. Returns float32 (D, Y, X) or (D, Z, Y, X), pixels.
    """
    return draw_motion(rng, size, config, spacing=spacing).field(size)


def _product(terms: np.ndarray, weights: Sequence[Tensor]) -> Tensor:
    """Tensor product of vectors (D, ...) of few terms per axis with weights (pixels, terms): one vector per pixel."""
    *slices, rows, columns = weights
    field = rows @ torch.from_numpy(terms).float() @ columns.T
    for along in slices:
        field = (along @ field.flatten(2)).view(len(field), -1, *field.shape[2:])
    return field


@lru_cache(maxsize=64)
def _affine_bicubic(pixels: int, nodes: int) -> Tensor:
    """Weights of the nodes, a 1, and the distance from the centre, (pixels, nodes + 2)."""
    centred = torch.arange(pixels) - (pixels - 1) / 2
    return torch.cat([_bicubic(pixels, nodes), torch.stack([torch.ones(pixels), centred], dim=1)], dim=1)


@lru_cache(maxsize=64)
def _bicubic(pixels: int, nodes: int) -> Tensor:
    """Weight of each node at each pixel, (pixels, nodes); rows sum to 1."""
    position = np.arange(pixels) * ((nodes - 1) / max(pixels - 1, 1))
    floor = np.floor(position).astype(np.int64)
    matrix = np.zeros((pixels, nodes))
    for step in (-1, 0, 1, 2):
        distance = np.abs(position - floor - step)
        near = (1.25 * distance - 2.25) * distance**2 + 1
        far = -0.75 * (((distance - 5) * distance + 8) * distance - 4)
        np.add.at(matrix, (np.arange(pixels), np.clip(floor + step, 0, nodes - 1)), np.where(distance <= 1, near, far))
    return torch.from_numpy(matrix).float()


def _normal(rng: np.random.Generator | torch.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw standard normal numbers."""
    if isinstance(rng, torch.Generator):
        return torch.randn(shape, generator=rng, device=rng.device).cpu().numpy()
    return rng.standard_normal(shape)
