"""GeoJSON of QuPath: objects with outlines, classes and holes, in pixels of the full resolution."""

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from biounet.core.atomic_files import replacing
from biounet.core.errors import LabelError
from biounet.core.labels import IGNORE
from biounet.core.outlines import Polygon
from biounet.io.image import Image
from biounet.io.json_labels import entries, read_document, ring_of, table
from biounet.io.shapes import Grid, Shape, numbered, paint, sections_of, shapes_of

__all__ = ["read_geojson", "write_geojson"]


KIND = "GeoJSON of QuPath"

UNKNOWN = "Ignore*"
"""QuPath's own class for regions that are left out."""

OBJECTS = ("cell", "detection")
"""Types of objects that QuPath finds; where there are some, annotations are regions around them."""


def write_geojson(
    path: Path, labels: Image, /, *, overwrite: bool = False, classes: Sequence[str] = (), source: str = ""
) -> None:
    """Write an annotation for each object, as QuPath imports them.

    Parameters
    ----------
    path : Path
        ``cells.geojson``, say.
    labels : Image, integers
    overwrite : bool
    classes : names of classes 0, 1, ...
        If there are some, each number is a class, and an annotation has all of its pixels in a section.
    source : not used

    Raises
    ------
    OutputError
        If the file exists or cannot be written, or a number has no class.

    Notes
    -----
    Corners lie between pixels, as QuPath has it. Names of objects are their numbers. Unknown pixels have the class
    ``Ignore*``. In stacks every annotation has its plane.
    """
    with replacing(path, overwrite=overwrite) as temporary, temporary.open("w", encoding="utf-8") as stream:
        stream.write('{"type": "FeatureCollection", "features": [')
        before = "\n"
        for section, place in sections_of(labels, path, classes=classes):
            for shape in shapes_of(section, place, names=classes):
                stream.write(before + json.dumps(_feature(shape, path.stem)))
                before = ",\n"
        stream.write("\n]}\n")


def read_geojson(
    path: Path, /, *, grid: Grid | None = None, notes: list[str] | None = None, classes: Sequence[str] = ()
) -> Image:
    """Labels of the objects in a GeoJSON file of QuPath.

    Parameters
    ----------
    path : Path
    grid : Grid
        Of the image that they were drawn on: the file does not say its size.
    notes : list that is added to
        What a label image cannot hold.
    classes : names of classes 0, 1, ...
        If there are some, numbers are those of classes, else of objects.

    Returns
    -------
    Image, int32
        Objects have the numbers that are their names, if all have one; else 1, 2, ... in the order of the file.

    Raises
    ------
    LabelError
        If the file is damaged, there is no grid, or an object does not lie in it.
    """
    notes = [] if notes is None else notes
    if grid is None:
        raise LabelError(f"{path}: {KIND} does not say how large its image is; give it by --image")
    features = [table(feature, path, "a feature") for feature in _features(read_document(path, KIND), path)]
    drawn = [(feature, polygons) for feature in features if (polygons := _polygons(feature, path))]
    if len(drawn) < len(features):
        notes.append(f"{path.name}: {len(features) - len(drawn)} of {len(features)} objects have no area: left out")
    found = [(feature, polygons) for feature, polygons in drawn if _type(feature, path) in OBJECTS]
    if found and len(found) < len(drawn):
        notes.append(f"{path.name}: {len(drawn) - len(found)} annotations around {len(found)} cells are left out")
    chosen = found or drawn
    if any("nucleusGeometry" in feature for feature, _ in chosen):
        notes.append(f"{path.name}: nuclei inside of cells are left out")
    return paint(_shapes(chosen, path, classes), grid, path, notes)


def _shapes(
    chosen: Sequence[tuple[Mapping[str, Any], list[Polygon]]], path: Path, classes: Sequence[str]
) -> Iterator[Shape]:
    """Shapes of features, numbered."""
    kinds = [_class(feature, path) for feature, _ in chosen]
    places = [_place(feature, path) for feature, _ in chosen]
    known = [index for index, kind in enumerate(kinds) if kind != UNKNOWN]
    names = [str(_properties(chosen[index][0], path).get("name", "")) for index in known]
    numbers = dict(zip(known, numbered(names, [places[index] for index in known]), strict=True))
    for index, (_, polygons) in enumerate(chosen):
        number = numbers.get(index, IGNORE)
        if classes and number != IGNORE:
            if kinds[index] not in classes:
                there = ", ".join(sorted({kind or "none" for kind in kinds})[:20])
                raise LabelError(f"{path}: its classes are {there}; --classes names {', '.join(classes)}")
            number = classes.index(kinds[index])
        yield Shape(polygons, number, places[index], kinds[index])


def _feature(shape: Shape, stem: str) -> dict[str, Any]:
    """An object as a feature."""
    coordinates = [
        [[*ring[:, ::-1].tolist(), ring[0, ::-1].tolist()] for ring in polygon] for polygon in shape.polygons
    ]
    single = len(coordinates) == 1
    geometry: dict[str, Any] = {
        "type": "Polygon" if single else "MultiPolygon",
        "coordinates": coordinates[0] if single else coordinates,
    }
    if shape.place:
        geometry["plane"] = {"c": -1, "z": shape.place.get("Z", 0), "t": shape.place.get("T", 0)}
    properties: dict[str, Any] = {"objectType": "annotation"}
    if shape.number != IGNORE:
        properties["name"] = str(shape.number)
    kind = UNKNOWN if shape.number == IGNORE else shape.kind
    if kind:
        properties["classification"] = {"name": kind}
    key = uuid.uuid5(uuid.NAMESPACE_OID, f"{stem} {shape.number} {sorted(shape.place.items())}")
    return {"type": "Feature", "id": str(key), "geometry": geometry, "properties": properties}


def _features(document: Any, path: Path) -> list[Any]:
    """Features of a collection, of a list as older files have it, or of a file of one."""
    if isinstance(document, dict) and document.get("type") == "Feature":
        return [document]
    if isinstance(document, list):
        return document
    return entries(table(document, path, "the file").get("features"), path, "features")


def _polygons(feature: Mapping[str, Any], path: Path) -> list[Polygon]:
    """Polygons of a feature; none of points and lines."""
    if feature.get("geometry") is None:
        return []
    geometry = table(feature["geometry"], path, "geometry")
    coordinates = geometry.get("coordinates")
    if geometry.get("type") == "Polygon":
        coordinates = [coordinates]
    elif geometry.get("type") != "MultiPolygon":
        return []
    polygons = []
    for rings in entries(coordinates, path, "coordinates"):
        corners = [ring_of(ring, path) for ring in entries(rings, path, "a polygon")]
        polygons.append([ring for ring in corners if len(ring) > 2])
    return [polygon for polygon in polygons if polygon]


def _properties(feature: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """Properties of a feature, or none."""
    return table(feature.get("properties") or {}, path, "properties")


def _type(feature: Mapping[str, Any], path: Path) -> str:
    """Whether a feature is an annotation, a detection or a cell; older files say it in other words."""
    properties = _properties(feature, path)
    told = properties.get("objectType") or properties.get("object_type") or feature.get("id") or "annotation"
    return str(told).removeprefix("Path").removesuffix("Object").lower()


def _class(feature: Mapping[str, Any], path: Path) -> str:
    """Name of the class of a feature, empty if it has none; of a class inside of a class ``Tumor: Positive``."""
    told = _properties(feature, path).get("classification") or {}
    if isinstance(told, str):
        return told
    names = table(told, path, "classification").get("names")
    return ": ".join(map(str, names)) if isinstance(names, list) else str(told.get("name") or "")


def _place(feature: Mapping[str, Any], path: Path) -> dict[str, int]:
    """Section and frame of a feature; QuPath leaves out the first of each."""
    plane = table(table(feature["geometry"], path, "geometry").get("plane") or {}, path, "plane")
    place = {"Z": plane.get("z", 0), "T": plane.get("t", 0)}
    if not all(type(index) is int for index in place.values()):
        raise LabelError(f"{path}: a plane must be whole numbers, got {str(plane)[:60]}; save the file anew")
    return place
