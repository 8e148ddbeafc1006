"""COCO: annotations of many images in one JSON file, as polygons or run lengths."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.atomic_files import replacing
from biounet.core.errors import LabelError, OutputError
from biounet.core.labels import IGNORE
from biounet.core.outlines import Polygon, fill_polygons, trace_polygons
from biounet.io.image import Image
from biounet.io.json_labels import entries, read_document, ring_of, table
from biounet.io.run_lengths import compress, expand, paint_runs, runs_of_objects
from biounet.io.shapes import Grid, sections_of

__all__ = ["Source", "read_coco", "read_each", "write_coco", "write_each"]


KIND = "annotations of COCO"

MOST = 2**31
"""Pixels of an image that is painted."""


@dataclass(frozen=True)
class Source:
    """Labels of an image, and the name of its file."""

    name: str
    labels: Image


def write_coco(
    path: Path, labels: Image, /, *, overwrite: bool = False, classes: Sequence[str] = (), source: str = ""
) -> None:
    """Write the annotations of one image; see `write_each`."""
    write_each(path, [Source(source or f"{path.stem}.tif", labels)], overwrite=overwrite, classes=classes)


def write_each(path: Path, images: Iterable[Source], *, overwrite: bool = False, classes: Sequence[str] = ()) -> None:
    """Write the annotations of several images into one file.

    Parameters
    ----------
    path : Path
        ``annotations.json``, say.
    images : labels (Y, X), integers
    overwrite : bool
    classes : names of classes 0, 1, ...
        If there are some, each number is a class, else that of an object of the only category ``object``.

    Raises
    ------
    OutputError
        If the file exists or cannot be written, an image is no plane, or a number has no class.

    Notes
    -----
    An object without holes is a list of polygons, whose corners lie between pixels; an object with holes has run
    lengths. Unknown pixels have run lengths and ``iscrowd`` 1. ``label``, which other programs pass over, is the
    number in the label image.
    """
    names = list(classes[1:]) or ["object"]
    head = {
        "info": {"description": "written by biounet"},
        "licenses": [],
        "categories": [{"id": index, "name": name, "supercategory": ""} for index, name in enumerate(names, start=1)],
    }
    told: list[dict[str, Any]] = []
    count = 0
    with replacing(path, overwrite=overwrite) as temporary, temporary.open("w", encoding="utf-8") as stream:
        stream.write(json.dumps(head)[:-1] + ', "annotations": [')
        for number, image in enumerate(images, start=1):
            if image.labels.axes != "YX":
                size = f"{image.labels.axes} {image.labels.array.shape}"
                raise OutputError(f"{path}: COCO cannot hold {size}; save sections as images of their own")
            ((plane, _),) = sections_of(image.labels, path, classes=classes)
            height, width = plane.shape
            told.append({"id": number, "file_name": image.name, "width": width, "height": height})
            for annotation in _annotations(plane, by_class=bool(classes)):
                count += 1
                stream.write(
                    (",\n" if count > 1 else "\n") + json.dumps({"id": count, "image_id": number} | annotation)
                )
        stream.write(f'\n], "images": {json.dumps(told)}}}\n')


def read_coco(
    path: Path, /, *, grid: Grid | None = None, notes: list[str] | None = None, classes: Sequence[str] = ()
) -> Image:
    """Labels of the only image in a file of COCO; see `read_each`.

    Raises
    ------
    LabelError
        If there are several images, or the image of `grid` has another size.
    """
    found = list(read_each(path, notes=notes, classes=classes, most=2))
    if len(found) != 1:
        raise LabelError(f"{path} has labels of {'several images' if found else 'no image'}; convert it into a folder")
    labels = found[0].labels
    if grid is None:
        return labels
    if grid.shape != labels.array.shape:
        sizes = (" x ".join(map(str, shape)) for shape in (labels.array.shape, grid.shape))
        raise LabelError("{}: it is of an image of {} px, and the image has {}; give its own".format(path, *sizes))
    return Image(labels.array, "YX", grid.spacing)


def read_each(
    path: Path, *, notes: list[str] | None = None, classes: Sequence[str] = (), most: int | None = None
) -> Iterator[Source]:
    """Labels of each image in a file of COCO, or of results in its format.

    Parameters
    ----------
    path : Path
    notes : list that is added to
        What a label image cannot hold.
    classes : names of classes 0, 1, ...
        If there are some, numbers are those of classes, which are categories, else of objects.
    most : how many images are read, all of them if ``None``

    Yields
    ------
    Source
        Annotations of an image are numbered from 1 in the order of the file, unless they have a ``label``. Those with
        ``iscrowd`` are unknown pixels. Pixels whose centres lie in a polygon are inside; pycocotools may differ by a
        pixel where sides are slanted.

    Raises
    ------
    LabelError
        If the file is damaged, or is none of COCO.
    """
    notes = [] if notes is None else notes
    document = read_document(path, KIND)
    images: dict[int | str, Mapping[str, Any]] = {}
    kinds: dict[int | str, str] = {}
    if isinstance(document, list):
        annotations = document
    else:
        document = table(document, path, "the file")
        annotations = entries(document.get("annotations"), path, "annotations")
        images = _by_id(document.get("images"), path, "images")
        kinds = {
            key: str(kind.get("name")) for key, kind in _by_id(document.get("categories") or [], path, "it").items()
        }
    of_image: dict[int | str, list[Mapping[str, Any]]] = defaultdict(list)
    for annotation in annotations:
        of_image[_key(table(annotation, path, "an annotation").get("image_id"), path)].append(annotation)
    if strangers := [key for key in of_image if images and key not in images]:
        raise LabelError(f"{path}: annotations are of image {strangers[0]}, which is not among its images")
    for key in list(images or of_image)[:most]:
        name, shape = _image(key, images.get(key), of_image[key], path)
        numbers = _numbers(of_image[key], kinds, classes, path)
        yield Source(name, Image(_paint(of_image[key], numbers, shape, path, name, notes), "YX"))


def _annotations(plane: np.ndarray, *, by_class: bool) -> Iterator[dict[str, Any]]:
    """Annotations of a plane."""
    polygons = trace_polygons(plane)
    for label, runs in runs_of_objects(np.maximum(plane, IGNORE) if plane.dtype.kind == "i" else plane):
        ends = runs.cumsum()
        first, last = ends[0::2][: len(runs) // 2], ends[1::2] - 1  # pixels of each run inside
        height = plane.shape[0]
        rings = polygons.get(label, [])
        plain = bool(rings) and all(len(polygon) == 1 for polygon in rings)
        columns = first // height, last // height
        split = columns[0] != columns[1]  # a run that goes on in the next column has the first and the last row
        top = 0 if split.any() else int((first % height).min())
        bottom = height if split.any() else int((last % height).max()) + 1
        left, right = int(columns[0].min()), int(columns[1].max()) + 1
        yield {
            "category_id": label if by_class and label > 0 else 1,
            "label": int(label),
            "iscrowd": int(label < 0),
            "area": int(runs[1::2].sum()),
            "bbox": [left, top, right - left, bottom - top],
            "segmentation": [polygon[0][:, ::-1].ravel().tolist() for polygon in rings]
            if plain
            else {"size": list(plane.shape), "counts": compress(runs)},
        }


def _by_id(things: Any, path: Path, what: str) -> dict[int | str, Mapping[str, Any]]:
    """Entries of a list by their numbers."""
    return {_key(table(thing, path, what).get("id"), path): thing for thing in entries(things, path, what)}


def _key(key: Any, path: Path) -> int | str:
    """A number or a name, by which entries are found."""
    if not isinstance(key, int | str):
        raise LabelError(f"{path}: an id must be a number, got {str(key)[:40]}; save the file anew")
    return key


def _image(
    key: int | str, image: Mapping[str, Any] | None, annotations: Sequence[Mapping[str, Any]], path: Path
) -> tuple[str, tuple[int, int]]:
    """Name and size of an image; results have no images, their run lengths have the size."""
    if image is None:
        told = [thing.get("segmentation") for thing in annotations]
        sizes = [thing.get("size") for thing in told if isinstance(thing, dict)]
        name, size = str(key), (entries(sizes[0], path, "size") if sizes else [])
    else:
        name, size = str(image.get("file_name") or key), [image.get("height"), image.get("width")]
    name = PurePosixPath(name.replace("\\", "/")).name
    sides = [side for side in size if type(side) is int and side > 0]
    height, width = sides if len(sides) == len(size) == 2 else (0, 0)
    if not 0 < height * width <= MOST:
        raise LabelError(f"{path}: height and width of {name} must be pixels, got {str(size)[:60]}; correct the file")
    if name in ("", ".", ".."):
        raise LabelError(f"{path}: {key} has no file name; correct the file")
    return name, (height, width)


def _numbers(
    annotations: Sequence[Mapping[str, Any]], kinds: Mapping[Any, str], classes: Sequence[str], path: Path
) -> list[int]:
    """Number of each annotation: of its object, or of its class."""
    labels = [thing.get("label") for thing in annotations]
    own = all(type(label) is int and (0 < label < 2**31 or label == IGNORE) for label in labels)
    numbers = []
    for order, (thing, label) in enumerate(zip(annotations, labels, strict=True), start=1):
        kind = kinds.get(_key(thing.get("category_id", ""), path), str(thing.get("category_id")))
        if thing.get("iscrowd"):
            numbers.append(IGNORE)
        elif not classes:
            numbers.append(int(label) if own and label is not None else order)
        elif kind in classes:
            numbers.append(classes.index(kind))
        else:
            there = ", ".join([*kinds.values()][:20])
            raise LabelError(f"{path}: its classes are {there}; --classes names {', '.join(classes)}")
    return numbers


def _paint(
    annotations: Sequence[Mapping[str, Any]],
    numbers: Sequence[int],
    shape: tuple[int, int],
    path: Path,
    name: str,
    notes: list[str],
) -> NDArray[np.int32]:
    """Label image of annotations; the later one has the pixels that two share."""
    labels = np.zeros(shape, np.int32)
    shared = empty = 0
    for annotation, number in zip(annotations, numbers, strict=True):
        painted, taken = _painter(annotation.get("segmentation"), path)(labels, number)
        shared, empty = shared + taken, empty + (painted == 0)
    if shared:
        notes.append(f"{path.name}: in {name}, {shared} pixels lie in two objects; the later one has them")
    if empty:
        notes.append(f"{path.name}: in {name}, {empty} of {len(numbers)} annotations cover no pixel and are lost")
    return labels


def _painter(segmentation: Any, path: Path) -> Callable[[NDArray[np.int32], int], tuple[int, int]]:
    """Function that writes a number into the pixels of an annotation."""
    if not segmentation:
        return lambda labels, number: (0, 0)
    if isinstance(segmentation, dict):
        return lambda labels, number: _paint_runs(labels, segmentation, number, path)
    polygons: list[Polygon] = [[ring_of(ring, path)] for ring in entries(segmentation, path, "segmentation")]
    return lambda labels, number: fill_polygons(labels, [each for each in polygons if len(each[0]) > 2], number)


def _paint_runs(labels: NDArray[np.int32], told: Mapping[str, Any], number: int, path: Path) -> tuple[int, int]:
    """Write a number into the pixels of run lengths."""
    counts = told.get("counts")
    try:
        if told.get("size") != list(labels.shape):
            raise ValueError(f"run lengths are of {str(told.get('size'))[:40]} px, the image has {labels.shape}")
        runs = expand(counts) if isinstance(counts, str) else entries(counts, path, "counts")
        return paint_runs(labels, runs, number)
    except (ValueError, TypeError, OverflowError) as error:
        raise LabelError(f"{path}: {error}; save the file anew") from error
