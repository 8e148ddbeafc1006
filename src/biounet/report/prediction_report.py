"""Report of a prediction: what was found in each image, which images differ from the others, thumbnails of them."""

import math
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from biounet.core.errors import BiounetError, ShapeError
from biounet.core.words import counted
from biounet.io import Selection, open_lazily, read
from biounet.report.answer import Answer
from biounet.report.histogram import histogram
from biounet.report.overlays import middle_plane
from biounet.report.page import now, write_page
from biounet.report.tables import score_table
from biounet.report.thumbnails import Thumbnail, draw_strip, thumbnail

__all__ = ["ImageCounts", "outliers", "write_prediction_report"]


SHOWN, LISTED = 48, 200
"""Images with a thumbnail, and rows of the table; outliers come first in both."""

LARGEST = 2**26
"""Pixels of a result beyond which its objects are not counted for the page."""

FAR = 3.5
"""Robust standard deviations from the median, beyond which an image is an outlier (Iglewicz and Hoaglin 1993)."""

LEAST_OF_OUTLIERS = 5
"""Fewer images than this have no outliers."""


@dataclass(frozen=True)
class ImageCounts:
    """Objects of one result.

    Attributes
    ----------
    image, result : Path
    sizes : pixels of each object
    pixels : of the result
    """

    image: Path
    result: Path
    sizes: NDArray[np.int64]
    pixels: int

    @property
    def row(self) -> dict[str, float]:
        """Numbers for the table: objects, their median size, and the share of the image that they cover."""
        median = float(np.median(self.sizes)) if self.sizes.size else math.nan
        covered = float(self.sizes.sum() / self.pixels)
        return {"objects": len(self.sizes), "median size": median, "share of the image": covered}


def write_prediction_report(
    path: Path,
    pairs: Sequence[tuple[Path, Path]],
    *,
    title: str,
    axes: str | None = None,
    unlike: Mapping[Path, str] = MappingProxyType({}),
    notes: Sequence[str] = (),
    measured: bool = False,
    progress: Callable[[float], None] = lambda share: None,
) -> Answer:
    """Write a page about predicted objects: counts, sizes, outliers and thumbnails; return what it begins with.

    Parameters
    ----------
    path : Path
        A file at this place is replaced.
    pairs : images and label files of numbered objects
    title : str
    axes : of the images, where files do not tell
    unlike : label file -> in what its image is unlike those that the model learnt from; such images are marked
    notes : sentences below the answer, such as those of images that could not be predicted
    measured : whether the tables of the objects lie beside the page
    progress : called with the share that is done

    Raises
    ------
    OutputError
        If the page cannot be written.
    """
    counts, notes = dict[str, ImageCounts](), list(notes)
    for number, (image, result) in enumerate(pairs):
        try:
            counts[result.name] = count(image, result)
        except BiounetError as error:
            notes.append(f"Not counted for this page: {error}")
        progress(0.8 * (number + 1) / len(pairs))
    rows = {name: each.row for name, each in counts.items()}
    strange = _marked(outliers(rows), {name: unlike.get(each.result, "") for name, each in counts.items()})
    ranked = [*strange, *(name for name in counts if name not in strange)]
    answer = _answer(rows, strange)
    shown = [*_thumbnails([counts[name] for name in ranked[:SHOWN]], strange, axes)]
    every = np.concatenate([np.array([], np.int64), *(each.sizes for each in counts.values())])
    said = (
        f"{len(shown)} of {counted(len(counts), 'image')}" if len(shown) < len(counts) else counted(len(shown), "image")
    )
    listed = {name: rows[name] for name in ranked[:LISTED]}
    command = ["biounet", "measure", str(path.parent), "--out", str(path.parent / "tables")]
    write_page(
        path,
        "prediction.html",
        title=title,
        badge={"look": "failed", "text": "nothing found"} if answer.bad else None,
        standing=[counted(len(pairs), "image"), f"written {now()}"],
        reload="",
        answer=answer,
        warnings=notes,
        strip=draw_strip(shown, f"{said}, each object in its own colour{'; outliers first' if strange else ''}"),
        histogram=histogram(None, every),
        table=score_table(listed, [], explained=False),
        left_out=len(rows) - len(listed),
        measured=measured,
        steps=[] if measured else [("Measure every object and write tables.", shlex.join(command))],
    )
    return answer


def count(image: Path, result: Path) -> ImageCounts:
    """Sizes of the objects of a result; with an axis of time, of each frame."""
    with open_lazily(result, labels=True) as opened:
        pixels = math.prod(opened.shape)
        if pixels > LARGEST:
            raise ShapeError(
                f"{result.name}: {pixels:,} px are more than {LARGEST:,}; biounet measure counts its objects"
            )
        labels = read(result, labels=True)
    frames = labels.array if "T" in labels.axes else labels.array[None]
    sizes = [np.unique(frame[frame > 0], return_counts=True)[1] for frame in frames]
    return ImageCounts(image, result, np.concatenate(sizes), pixels)


def outliers(rows: Mapping[str, Mapping[str, float]]) -> dict[str, str]:
    """Images that differ from the others, and in what; those without any object, where others have some.

    Parameters
    ----------
    rows : name -> numbers, as of `ImageCounts.row`

    Examples
    --------
    >>> rows = {str(number): {"objects": count} for number, count in enumerate([20, 22, 19, 21, 20, 90, 0])}
    >>> outliers(rows)
    {'5': '90 objects, where 20 are usual', '6': 'no object'}
    """
    if len(rows) < LEAST_OF_OUTLIERS:
        return {}
    found: dict[str, list[str]] = {}
    for name in next(iter(rows.values())):
        values = np.array([row[name] for row in rows.values()], float)
        middle = float(np.nanmedian(values)) if np.isfinite(values).any() else math.nan
        spread = float(np.nanmedian(np.abs(values - middle))) / 0.6745 if math.isfinite(middle) else math.nan
        for image, value in zip(rows, values.tolist(), strict=True):
            if name == "objects" and value == 0 and middle > 0:
                found.setdefault(image, []).append("no object")
            elif spread > 0 and abs(value - middle) > max(FAR * spread, 0.2 * middle):
                found.setdefault(image, []).append(_far(name, value, middle))
    return {image: "; ".join(reasons) for image, reasons in found.items()}


def _marked(outliers: Mapping[str, str], unlike: Mapping[str, str]) -> dict[str, str]:
    """What is said of images: those unlike the ones that were learnt from come first."""
    named = {name: f"unlike the images learnt from: {reason}" for name, reason in unlike.items() if reason}
    both = {name: "; ".join(filter(None, (said, outliers.get(name)))) for name, said in named.items()}
    return both | {name: said for name, said in outliers.items() if name not in both}


def _far(name: str, value: float, middle: float) -> str:
    """What is unusual about a value, in words."""
    if name == "objects":
        return f"{value:,.0f} objects, where {middle:,.0f} are usual"
    if name == "median size":
        return f"median size {value:,.0f} px, where {middle:,.0f} px are usual"
    return f"{value:.0%} of the image covered, where {middle:.0%} is usual"


def _answer(rows: Mapping[str, Mapping[str, float]], strange: Mapping[str, str]) -> Answer:
    """What the page begins with."""
    objects = [int(row["objects"]) for row in rows.values()]
    sentence = f"{counted(sum(objects), 'object')} in {counted(len(rows), 'image')}"
    named = [f"{name}: {why}" for name, why in strange.items()][:6]
    if not sum(objects):
        advice = ("Is the model for images like these? Compare with its own report: brightness, pixel size, stain.",)
        return Answer(sentence, "nothing", "Nothing found", (*advice, *named))
    sentence += f"; {np.median(objects):,.0f} in the median image" if len(rows) > 1 else ""
    look = f"{counted(len(strange), 'image')} to look at" if strange else "No image differs from the others"
    heading = (
        look if strange or len(rows) >= LEAST_OF_OUTLIERS else "Look at a few images before you rely on the counts"
    )
    return Answer(sentence, "usable", heading, named)


def _thumbnails(counts: Sequence[ImageCounts], strange: Mapping[str, str], axes: str | None) -> Iterator[Thumbnail]:
    """A thumbnail of each image that can be read, with its count."""
    for each in counts:
        (labels,) = middle_plane(each.result, Selection(), labels=True, largest=LARGEST)
        image = labels.astype(np.float32)[None]
        with suppress(BiounetError):  # the objects can be seen without the image, which may lie elsewhere by now
            drawn = middle_plane(each.image, Selection(axes), largest=LARGEST)
            image = drawn if drawn.shape[1:] == labels.shape else image
        notes = [
            counted(len(each.sizes), "object"),
            *([strange[each.result.name].partition(":")[0]] if each.result.name in strange else []),
        ]
        yield thumbnail(each.result.name, image, labels, numbered=True, notes=notes)
