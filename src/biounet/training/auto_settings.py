"""Settings that follow from the images: their sizes and spacing, objects, and balance of classes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from biounet.config import RunConfig
from biounet.data.statistics import Extents, median_spacing
from biounet.data.targets import touching
from biounet.data.training_set import TrainingSet
from biounet.models import geometry_of

__all__ = ["Fingerprint", "choose_normalization", "choose_settings"]


Choices = dict[str, tuple[Any, str]]
"""Settings by name: value and reason."""

DEPTHS = (4, 5, 6)
"""Depth of the paper, and greater depths for objects that do not fit into its receptive field."""

VOLUME_DEPTH = 3  # of 3D U-Net, Cicek et al. 2016
VOXELS = 2**17
"""Pixels of a batch of volumes; of images, the preset says."""

GRID = 8  # pixels: patches of volumes are multiples of it
LEAST_BOTTOM = 4  # pixels per axis that should be left after all poolings
SMALLEST_PATCH, LARGEST_PATCH = 128, 512
ROOM = 1.5  # least side of a patch, in diameters of an object
WORK, LEAST_BATCH = 0.5, 2
"""Share of the work of the preset's batch that a batch with objects takes, since more updates find more objects, see
docs/recipes.md; and the least number of patches for batch normalisation."""

LARGE = 128.0
"""Longest side of objects, in pixels, from which images are seen at half the size; from twice as many at a quarter."""
THICK = 2.0  # an axis whose pixels are that much longer than the finest is not pooled

MEASURED = 64
"""Images in which objects are measured at most; the same ones whether memory holds all images or not."""

RARE = 0.05
"""Share of the known pixels below which a class gets as much weight as the others, and patches around its pixels."""

FEWER = 0.5
"""Share of the known pixels below which some patches are drawn around objects, since other patches would be mostly
empty; measured, see docs/recipes.md."""

OVERSAMPLE = 0.33  # of nnU-Net, Isensee et al. 2021: most patches still show classes as often as the images do

BORDER_WEIGHT = 5.0
"""w0 where objects touch, half of that of the paper: most of the gain, and pixels no worse; see docs/recipes.md."""

WEIGHT_OF_PARTS = 2.0
"""w0 where parts of the foreground touch, such as cells between membranes; more separates no more cells, see
docs/recipes.md."""

OUTSHONE = 2.0
"""Least distance between the percentiles of an image, in standard deviations, unless few pixels beyond them make most
of the deviation: numbers within a range deviate by half of it at most (Popoviciu 1935)."""

FEW_IMAGES = 0.1
"""Share of such images up to which z-score is used."""

CLOSE = 8
"""Widest gap in pixels between objects that count as touching: a wider gap weighs little at the sigma of the paper."""


@dataclass(frozen=True)
class Fingerprint:
    """Measurements of a training set that settings follow from.

    Parameters
    ----------
    smallest, median : pixels per spatial axis of the images
    spacing : micrometres per pixel and axis; where images that are measured differ, the median; None if one is unknown
    objects : number of them in the images that are measured, of those with any at most `MEASURED`
        0 where labels are classes.
    diameter : pixels along X
        Longest side of the bounding box that 9 of 10 objects do not exceed; 0 without objects.
    touching : share of these images in which objects, or parts of the foreground, have at most `CLOSE` pixels between
    shares : of the classes among the known pixels
    unknown : share of the pixels without a label
    """

    smallest: tuple[int, ...]
    median: tuple[int, ...]
    spacing: tuple[float, ...] | None
    objects: int
    diameter: float
    touching: float
    shares: tuple[float, ...]
    unknown: float

    @classmethod
    def of(cls, data: TrainingSet, *, images: int = MEASURED) -> "Fingerprint":
        """Measure the training images; objects in so many images at most."""
        sizes = np.array([image.shape[1:] for image in data.statistics])
        spacings, lengths, near = list[tuple[float, ...] | None](), list[float](), list[bool]()
        for number in _measured(data, images):
            extents, close = Extents(), list[bool]()
            for item, rows in data.train[number].strips():
                spacings.append(item.spacing)
                if data.task.numbered or data.classes == 2:
                    objects = data.objects(item)
                    close.append(touching(objects, gap=CLOSE, spacing=item.anisotropy))
                    if data.task.numbered:
                        extents.add(objects[..., rows, :])
            near += [any(close)] if close else []
            lengths += extents.longest_sides(item.anisotropy)
        unknown, *shares = data.coverage.tolist()
        return cls(
            smallest=tuple(sizes.min(0).tolist()),
            median=tuple(np.median(sizes, axis=0).astype(int).tolist()),
            spacing=median_spacing(spacings),
            objects=len(lengths),
            diameter=float(np.percentile(lengths, 90)) if lengths else 0.0,
            touching=float(np.mean(near)) if near else 0.0,
            shares=tuple(share / max(1 - unknown, 1e-9) for share in shares),
            unknown=unknown,
        )

    def __str__(self) -> str:
        parts = [f"median size {' x '.join(map(str, self.median))} px"]
        if self.spacing is not None:
            parts.append(f"{' x '.join(f'{step:g}' for step in self.spacing)} um per pixel")
        if self.objects:
            parts.append(f"{self.objects} objects, most up to {self.diameter:.0f} px long")
        if self.touching:
            parts.append(f"narrow gaps in {self.touching:.0%} of the images")
        return ", ".join(parts)


def _measured(data: TrainingSet, images: int) -> list[int]:
    """Training images in which objects are measured: some that are spread evenly over those that have any."""
    some = [number for number, image in enumerate(data.statistics) if image.counts[2:].any()]
    numbers = some or range(len(data.statistics))
    count = min(len(numbers), images)
    return [numbers[place * len(numbers) // count] for place in range(count)]


def choose_normalization(config: RunConfig, data: TrainingSet) -> tuple[RunConfig, dict[str, str]]:
    """Settings with a value for ``train.normalization``, if it is in ``train.auto``.

    By percentiles, if hot pixels or specks make most of the standard deviation of too many images: the rest of the
    image would have little contrast. Where images are drawn, z-score, since both are normalised by the whole set.

    Parameters
    ----------
    config : RunConfig
    data : TrainingSet
        Read with z-score.

    Returns
    -------
    RunConfig
        With the normalisation that the data are to be read with.
    dict
        The reason, for users, if it was chosen.
    """
    name = "train.normalization"
    if name not in config.train.auto:
        return config, {}
    if not data.task.has_labels:
        return config.updated({name: "z-score"}), {name: "the default where there are target images"}
    extents = [image.extent for image in data.statistics]
    outshone = sum(extent < OUTSHONE for extent in extents)
    least = f"98.8 % of the pixels of an image span {min(extents):.1f} standard deviations or more"
    reason = f"in {outshone} of {len(extents)} images few pixels make the standard deviation" if outshone else least
    kind = "percentile" if outshone > FEW_IMAGES * len(extents) else "z-score"
    return config.updated({name: kind}), {name: reason}


def choose_settings(config: RunConfig, found: Fingerprint) -> tuple[RunConfig, dict[str, str]]:
    """Settings with values for the entries of ``train.auto`` that follow from the images.

    Parameters
    ----------
    config : RunConfig
        Its model has the dimensions of the data.
    found : Fingerprint

    Returns
    -------
    RunConfig
        Of ``train.auto`` only ``model.width`` is left, which is a matter of minutes, see `biounet.training.auto_width`.
    dict
        Name of each setting that was chosen -> reason, for users.

    Examples
    --------
    >>> found = Fingerprint((700, 700), (700, 700), None, 90, 150.0, 1.0, (0.5, 0.5), 0.0)
    >>> config, reasons = choose_settings(RunConfig.preset("default"), found)
    >>> config.model.depth, reasons["model.depth"]
    (4, 'an object of 150 px against the 224 px that a pixel sees to each side')
    """
    wanted = set(config.train.auto)
    chosen = _for_volumes(config, found) if config.model.dims == 3 else _for_images(config, found)
    if config.model.name == "sliding-window":
        chosen["train.class_balance"] = True, "classes count alike, as in Ciresan et al. 2012"
    # Classes made of objects, such as their borders, are as rare as they are: objects count as one.
    shares = (found.shares[0], sum(found.shares[1:])) if found.objects else found.shares
    if found.objects and shares[1] < FEWER:
        chosen["train.oversample"] = OVERSAMPLE, f"objects have only {shares[1]:.1%} of the pixels"
    if min(shares) < RARE:
        least = min(range(len(shares)), key=shares.__getitem__)
        names = config.train.class_names or [f"class {number}" for number in range(len(shares))]
        what = ("background has", "objects have")[least] if found.objects else f"{names[least]} has"
        why = f"{what} only {shares[least]:.1%} of the pixels"
        chosen |= {"train.class_balance": (True, why), "train.oversample": (OVERSAMPLE, why)}
    if found.touching:
        weight = BORDER_WEIGHT if found.objects else WEIGHT_OF_PARTS
        chosen["train.border_weight"] = weight, f"gaps of up to {CLOSE} px in {found.touching:.0%} of the images"
    chosen = {name: choice for name, choice in chosen.items() if name in wanted}
    left = tuple(name for name in config.train.auto if name == "model.width")
    updated = config.updated({name: value for name, (value, _) in chosen.items()} | {"train.auto": left})
    return updated, {name: reason for name, (_, reason) in chosen.items()}


def _for_images(config: RunConfig, found: Fingerprint) -> Choices:
    """Depth and patch such that an object is seen whole."""
    depths, before = _depths(config), config.train.patch
    chosen: Choices = {
        "train.patch": (before, "the default: classes have no size"),
        "train.batch": (config.train.batch, "the default"),
    }
    if not found.objects:
        if len(depths) > 1:
            chosen["model.depth"] = config.model.depth, "the default, that of the paper: classes have no size"
        return chosen
    coarse = config.model.coarse
    if "model.coarse" in config.train.auto:
        coarse = next((factor for factor in (8, 4, 2) if found.diameter * 2 >= LARGE * factor), 1)
    diameter, side = found.diameter / coarse, min(found.median) / coarse
    for depth in depths:
        geometry = geometry_of(config.model.model_copy(update={"depth": depth, "coarse": 1}))
        grid, margin = max(geometry.grid), min(geometry.margin)
        if margin >= diameter or side < LEAST_BOTTOM * 2 * grid:
            break
    size = f"an object of {found.diameter:.0f} px"
    if coarse > 1:
        chosen["model.coarse"] = coarse, f"{size} is large enough at 1/{coarse} of its size"
    if len(depths) > 1:
        chosen["model.depth"] = depth, f"{size} against the {margin * coarse} px that a pixel sees to each side"
    patch = coarse * _patch_of_objects(diameter, grid=grid)
    if config.model.padding == "valid":  # which takes its margin away from the patch
        patch = max(before, patch)
    chosen["train.patch"] = patch, f"{size} fits in"
    if patch != before and "train.patch" in config.train.auto:
        batch = max(LEAST_BATCH, round(WORK * config.train.batch * (coarse * before / patch) ** 2))
        chosen["train.batch"] = batch, f"half as much work as {config.train.batch} patches of {before} px"
    return chosen


def _depths(config: RunConfig) -> Sequence[int]:
    """Depths to choose from; a single one if it was given by hand, or the architecture has a fixed depth."""
    given = config.model
    if "model.depth" in config.train.auto and given.pooling is None:
        shallow, deeper = (geometry_of(given.model_copy(update={"depth": depth})) for depth in DEPTHS[:2])
        if deeper != shallow:
            return DEPTHS
    return (given.depth,)


def _patch_of_objects(diameter: float, *, grid: int) -> int:
    """Side of a square patch that an object fits in; no larger than needed, so that a batch shows more images.

    >>> [_patch_of_objects(diameter, grid=16) for diameter in (20, 51, 90, 185, 900)]
    [128, 128, 144, 288, 512]
    """
    return min(math.ceil(max(ROOM * diameter, SMALLEST_PATCH) / grid) * grid, LARGEST_PATCH)


def _for_volumes(config: RunConfig, found: Fingerprint) -> Choices:
    """Patches of as many voxels as a step can take, and poolings that make thick slices cubes."""
    spacing = found.spacing or (1.0, 1.0, 1.0)
    depth = VOLUME_DEPTH if "model.depth" in config.train.auto else config.model.depth
    poolings, steps, patch = [], list(spacing), _patch_of_volume(found.median, spacing)
    left = list(patch)
    for _ in range(depth):
        divisible = [step for step, pixels in zip(steps, left, strict=True) if pixels >= 2 * LEAST_BOTTOM]
        finest = min(divisible, default=0.0)
        factors = tuple(
            2 if step < THICK * finest and pixels >= 2 * LEAST_BOTTOM else 1
            for step, pixels in zip(steps, left, strict=True)
        )
        poolings.append(factors)
        steps = [step * factor for step, factor in zip(steps, factors, strict=True)]
        left = [pixels // factor for pixels, factor in zip(left, factors, strict=True)]
    sizes = " x ".join(map(str, patch))
    chosen: Choices = {
        "model.depth": (depth, "volumes: as in Cicek et al. 2016"),
        "train.patch": (patch[1], f"{sizes} px are what a step can take"),
        "train.patch_z": (patch[0], f"{sizes} px are what a step can take"),
        "train.batch": (1, "a patch of a volume has pixels enough"),
    }
    if any(1 in factors for factors in poolings):
        thick = spacing[0] / min(spacing)
        chosen["model.pooling"] = (
            tuple(poolings),
            f"slices {thick:.1f} times as thick as pixels are wide, {patch[0]} of them",
        )
    return chosen


def _patch_of_volume(median: Sequence[int], spacing: Sequence[float]) -> tuple[int, int, int]:
    """Sides of a patch of about `VOXELS`, square in YX and a cube in micrometres as far as the images reach."""
    thick = spacing[0] / spacing[1]
    deep = min(median[0], (VOXELS / thick**2) ** (1 / 3))
    deep = max(round(deep / GRID), 1) * GRID
    wide = int(math.sqrt(VOXELS / deep)) // GRID * GRID
    return deep, wide, wide
