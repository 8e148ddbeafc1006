"""What OME-Zarr says of an image, versions 0.1 to 0.5: axes, pixel size, levels; and labels of an image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from biounet.core.errors import ImageError
from biounet.io.units import micrometres

__all__ = ["Multiscale", "describe_image", "describe_labels", "label_names", "parse"]


VERSIONS = ("0.1", "0.2", "0.3", "0.4", "0.5")

TYPES = {"t": "time", "c": "channel"}

METHOD = {False: "mean", True: "nearest"}
"""How smaller levels come about, for labels or not."""


@dataclass(frozen=True)
class Multiscale:
    """An image as its metadata tell.

    axes : one name per dimension of the array, in its order, in capitals
    path : of the array with the pixels of the level, inside the group
    levels : how many sizes of the image there are
    spacing : micrometres per pixel, for axes whose unit is known
    labels : whether it is marked as labels
    """

    axes: str
    path: str
    levels: int
    spacing: Mapping[str, float]
    labels: bool


def parse(attributes: Mapping[str, Any], *, level: int = 0) -> Multiscale | None:
    """Read the attributes of a Zarr group; ``None`` if they do not describe an image.

    Parameters
    ----------
    attributes : of the group
    level : of the pyramid, whose path and pixel size are wanted

    Raises
    ------
    ImageError
        If there is no such level, or the version is not known.

    Examples
    --------
    >>> parse({"multiscales": [{"version": "0.2", "datasets": [{"path": "0"}]}]}).axes
    'TCZYX'
    """
    found = attributes.get("ome", attributes)
    if not found.get("multiscales"):
        return None
    image = found["multiscales"][0]
    datasets = image["datasets"]
    version = str(found.get("version", image.get("version", VERSIONS[0])))
    if version[:3] not in VERSIONS:
        raise ImageError(f"it is OME-Zarr of version {version}; {VERSIONS[0]} to {VERSIONS[-1]} are read: convert it")
    if level >= len(datasets):
        sizes = f"levels 0 to {len(datasets) - 1}" if len(datasets) > 1 else "one size of its image"
        raise ImageError(f"it holds {sizes}, no level {level}; take a smaller --level")
    # Versions before 0.3 have no axes, 0.3 has names only.
    axes = [axis if isinstance(axis, Mapping) else {"name": axis} for axis in image.get("axes", "tczyx")]
    scale = _scale(datasets[level], len(axes)) or [1.0] * len(axes)
    whole = _scale(image, len(axes)) or [1.0] * len(axes)
    spacing = {
        axis["name"].upper(): size * factor * unit
        for axis, size, factor in zip(axes, scale, whole, strict=True)
        if (unit := micrometres(str(axis.get("unit", "")))) is not None
    }
    names = "".join(axis["name"].upper() if len(axis["name"]) == 1 else "?" for axis in axes)
    return Multiscale(names, datasets[level]["path"], len(datasets), spacing, "image-label" in found)


def describe_image(
    name: str,
    *,
    axes: str,
    spacing: Sequence[float] | None,
    factors: Sequence[Mapping[str, int]],
    version: str,
    labels: bool = False,
) -> dict[str, Any]:
    """Write the attributes of the group of an image.

    Parameters
    ----------
    name : str
    axes : letters of ``TCZYX``
    spacing : micrometres per pixel of the spatial axes
    factors : of each level, by how much its axes are smaller than those of the image
    version : ``0.4`` or ``0.5``
    labels : bool
        Whether the pixels are labels of the image two groups above.
    """
    spatial = [axis for axis in axes if axis in "ZYX"]
    sizes = dict(zip(spatial, spacing, strict=True)) if spacing is not None else {}
    described = []
    for axis in axes.lower():
        entry = {"name": axis, "type": TYPES.get(axis, "space")}
        described.append(entry | ({"unit": "micrometer"} if axis.upper() in sizes else {}))
    datasets = [
        {
            "path": str(level),
            "coordinateTransformations": [
                {"type": "scale", "scale": [float(sizes.get(axis, 1.0) * factor.get(axis, 1)) for axis in axes]}
            ],
        }
        for level, factor in enumerate(factors)
    ]
    image: dict[str, Any] = {"name": name, "axes": described, "datasets": datasets, "type": METHOD[labels]}
    content: dict[str, Any] = {"multiscales": [image]}
    if labels:
        content["image-label"] = {"source": {"image": "../../"}}
    if version == "0.5":
        return {"ome": {"version": version, **content}}
    for part in (image, content.get("image-label", {})):
        part["version"] = version
    return content


def describe_labels(names: Sequence[str], *, version: str) -> dict[str, Any]:
    """Write the attributes of the group ``labels``, which lists the labels in it.

    >>> describe_labels(["cells"], version="0.5")
    {'ome': {'version': '0.5', 'labels': ['cells']}}
    """
    content = {"labels": list(names)}
    return {"ome": {"version": version, **content}} if version == "0.5" else content


def label_names(attributes: Mapping[str, Any]) -> list[str]:
    """Read the names from the attributes of the group ``labels``."""
    return list(attributes.get("ome", attributes).get("labels", []))


def _scale(entry: Mapping[str, Any], count: int) -> list[float] | None:
    """The scale among the coordinate transformations, if it is there and fits."""
    for transformation in entry.get("coordinateTransformations", ()):
        if transformation.get("type") == "scale" and len(transformation.get("scale", ())) == count:
            return [float(size) for size in transformation["scale"]]
    return None
