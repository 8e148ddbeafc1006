"""What OME-Zarr says of an image, versions 0.1 to 0.5: axes, pixel size, levels; and labels of an image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from biounet.core.errors import ImageError
from biounet.core.text_file import Record, TextFile
from biounet.core.words import printable, shortened
from biounet.io.meaning import Meaning
from biounet.io.units import micrometres

__all__ = ["Multiscale", "describe_image", "describe_labels", "label_names", "metadata_of", "parse"]


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
    meaning : what its numbers mean, where biounet has written it
    """

    axes: str
    path: str
    levels: int
    spacing: Mapping[str, float]
    labels: bool
    meaning: Meaning | None = None


class _Axis(Record, extra="ignore"):
    """An axis of an image."""

    name: str
    unit: str | None = None


class _Transformation(Record, extra="ignore"):
    """How pixels are brought to lengths; other kinds than ``scale`` are not read."""

    type: str
    scale: tuple[float, ...] = ()


class _Dataset(Record, extra="ignore"):
    """One size of an image."""

    path: str
    coordinateTransformations: tuple[_Transformation, ...] = ()  # noqa: N815


def _named(axis: Any) -> Any:
    """An axis of version 0.3, which has a name only, as a table."""
    return {"name": axis} if isinstance(axis, str) else axis


class _Image(Record, extra="ignore"):
    """An image in several sizes."""

    axes: list[Annotated[_Axis, BeforeValidator(_named)]] = Field(default=list("tczyx"), validate_default=True)
    datasets: list[_Dataset] = Field(min_length=1)
    coordinateTransformations: tuple[_Transformation, ...] = ()  # noqa: N815
    version: str | float | None = None


class _Attributes(Record, extra="ignore"):
    """Attributes of a group that may be an image, or that lists labels."""

    multiscales: list[_Image] | None = None
    labels: list[str] | None = None


class _Group(_Attributes, extra="ignore"):
    """Attributes of a group: since version 0.5 all of them lie below ``ome``."""

    ome: _Attributes | None = None


def metadata_of(path: Path | str) -> TextFile:
    """The metadata of a store, as messages speak of them."""
    return TextFile(f"{path}: its OME-Zarr metadata", ImageError, "mend them, or convert the image again")


def parse(attributes: Mapping[str, Any], *, level: int = 0, path: Path | str = "the image") -> Multiscale | None:
    """Read the attributes of a Zarr group; ``None`` if they do not describe an image.

    Parameters
    ----------
    attributes : of the group
    path : of the store, for errors
    level : of the pyramid, whose path and pixel size are wanted

    Raises
    ------
    ImageError
        If they describe one, but not as OME-Zarr is written: lists that are none, a scale of another number of axes, a
        path that leads out of the store; if there is no such level, or the version is not known.

    Examples
    --------
    >>> parse({"multiscales": [{"version": "0.2", "datasets": [{"path": "0"}]}]}).axes
    'TCZYX'
    """
    found = attributes.get("ome") or attributes
    image = next(iter(_attributes(attributes, path).multiscales or ()), None)
    if image is None:
        return None
    version = str(found.get("version") or image.version or VERSIONS[0])
    if version[:3] not in VERSIONS:
        words = f"{VERSIONS[0]} to {VERSIONS[-1]} are read: convert it"
        raise ImageError(f"{path}: it is OME-Zarr of version {shortened(version)[1:-1]}; {words}")
    if level >= len(image.datasets):
        sizes = f"levels 0 to {len(image.datasets) - 1}" if len(image.datasets) > 1 else "one size of its image"
        raise ImageError(f"{path}: it holds {sizes}, no level {level}; take a smaller --level")
    count, chosen = len(image.axes), image.datasets[level]
    scale = _scale(chosen.coordinateTransformations, count, path)
    whole = _scale(image.coordinateTransformations, count, path) or [1.0] * count
    spacing = {
        axis.name.upper(): size * factor * unit
        for axis, size, factor in zip(image.axes, scale or (), whole, strict=False)
        if (unit := micrometres(axis.unit or "")) is not None
    }
    names = "".join(axis.name.upper() if len(axis.name) == 1 else "?" for axis in image.axes)
    _check_inside(chosen.path, path)
    return Multiscale(names, chosen.path, len(image.datasets), spacing, "image-label" in found)


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
    image: dict[str, Any] = {"name": printable(name), "axes": described, "datasets": datasets, "type": METHOD[labels]}
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


def label_names(attributes: Mapping[str, Any], *, path: Path | str = "labels") -> list[str]:
    """Read the names from the attributes of the group ``labels``; see `parse` for errors."""
    names = _attributes(attributes, path).labels or []
    for name in names:
        _check_inside(name, path)
    return names


def _attributes(attributes: Mapping[str, Any], path: Path | str) -> _Attributes:
    """The attributes that OME-Zarr gives a meaning to."""
    found: _Group = metadata_of(path).validated(_Group, dict(attributes))
    return found.ome or found


def _scale(transformations: Sequence[_Transformation], count: int, path: Path | str) -> Sequence[float] | None:
    """The scale among the coordinate transformations, if there is one."""
    scales = [each.scale for each in transformations if each.type == "scale" and each.scale]
    if scales and len(scales[0]) != count:
        raise metadata_of(path).refused(f"there are {count} axes, and a scale of {len(scales[0])} numbers")
    return scales[0] if scales else None


def _check_inside(place: str, path: Path | str) -> None:
    """Refuse the path of an array or group that leads out of its store."""
    if not place.strip("/") or place.startswith("/") or {"..", "."} & set(place.split("/")):
        raise metadata_of(path).refused(f"{place!r} is no path inside the store")
