"""Report of an evaluation: how good results are, the worst images with expert and network, and all scores."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.config.tasks import name_classes
from biounet.core.errors import BiounetError
from biounet.core.words import counted
from biounet.evaluation import Scores
from biounet.evaluation.pairing import FilePair
from biounet.evaluation.reading import Case, read_case
from biounet.io import Image, Selection, plain_name, read_selected
from biounet.report.answer import Answer, answer_classes, answer_images, answer_objects
from biounet.report.figures import draw_figures
from biounet.report.numbers import number, title_of
from biounet.report.page import SHOWN, SHOWN_STACKS, histogram_of_pictures, now, write_page
from biounet.report.tables import confusion_table, facts_list, score_table
from biounet.report.views import Picture

__all__ = ["counts_of_objects", "rank_images", "write_evaluation_report"]


LISTED = 200
"""Rows of the table; the worst images come first."""

LARGEST = 2**24
"""Pixels of an image beyond which no picture is drawn of it."""

KEYS = ("average_precision", "mean_dice", "dice", "r2", "v_rand", "seg", "det")
"""Scores by which images are ranked, the first that there is; higher is better in all of them."""

COUNTS = frozenset({"objects", "objects_found", "objects_predicted", "missed", "false", "merges", "splits"})
"""Scores that are counts."""

NOTHING = (
    "Are these results of the images that the truth is of? Look at both below.",
    "Is the model for images like these? Compare them with those it learnt from: brightness, pixel size, stain.",
)
"""What to do where nothing was found."""

FIRM = "Score more images for a firm number."


def write_evaluation_report(
    path: Path,
    scores: Scores,
    pairs: Sequence[FilePair],
    *,
    title: str,
    images: Mapping[str, Path] = MappingProxyType({}),
    sections: slice | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> Answer:
    """Write a page about results that were compared with the truth; return what it begins with.

    Parameters
    ----------
    path : Path
        A file at this place is replaced.
    scores : as `biounet.evaluation.evaluate` gives them
    pairs : of the files that were compared
    title : str
    images : name of a result or truth without suffix -> the image that it is of, where that is known
    sections : of the truth that were compared
    progress : called with the share that is done

    Raises
    ------
    OutputError
        If the page cannot be written.
    """
    ranked, names = rank_images(scores), name_classes(scores.class_names, _classes_of(scores))
    answer, notes = _answer(scores, ranked), list(scores.notes)
    chosen = _worst_pairs(pairs, ranked)
    shown: list[Picture] = []
    for pair in chosen[:SHOWN]:
        if len(shown) >= SHOWN_STACKS and any(len(picture.size) == 3 for picture in shown):
            break
        try:
            shown += _pictures(pair, scores, ranked, images, sections)
        except BiounetError as error:
            notes.append(f"Not shown: {error}")
        progress(len(shown) / SHOWN)
    objects = bool(shown) and shown[0].kind == "objects"
    rows = {name: counts_of_objects(scores.images[name]) or scores.images[name] for name in ranked}
    write_page(
        path,
        "evaluation.html",
        title=title,
        badge={"look": "failed", "text": answer.heading.lower()} if answer.bad else None,
        standing=[counted(len(pairs), "result"), f"written {now()}"],
        reload="",
        answer=answer,
        warnings=notes,
        heading=f"The {len(shown)} worst, worst first" if len(shown) < len(ranked) else "Images, worst first",
        figures=draw_figures(shown, names),
        histogram=histogram_of_pictures(shown) if objects else "",
        overall=facts_list(_overall(scores)),
        table=score_table({name: rows[name] for name in ranked[:LISTED]}, names),
        left_out=max(0, len(ranked) - LISTED),
        confusion=confusion_table(scores.confusion, names) if _classes_of(scores) > 2 else "",
    )
    return answer


def rank_images(scores: Scores) -> list[str]:
    """Names of images, the worst first; of stacks, either all sections or the whole.

    >>> rank_images(Scores({}, {"a": {"dice": 0.9}, "b": {"dice": 0.2}, "c": {"dice": math.nan}}, {}, ()))
    ['b', 'a', 'c']
    """
    key = next((key for key in KEYS if any(key in row for row in scores.images.values())), "")
    values = {name: row.get(key, math.nan) for name, row in scores.images.items() if key in row or not key}
    return sorted(values, key=lambda name: math.inf if math.isnan(values[name]) else values[name])


def counts_of_objects(row: Mapping[str, float]) -> dict[str, float]:
    """Counts and scores of the objects of an image as a page shows them; empty where no objects were scored.

    >>> row = dict.fromkeys(("missed", "false", "merges", "splits"), 0.0)
    >>> counts_of_objects(row | {"objects": 4.0, "objects_predicted": 3.0, "objects_found": 2.0})["found"]
    2
    """
    names = {"objects": "objects", "objects_predicted": "predicted", "objects_found": "found"}
    if not names.keys() <= row.keys():
        return {}
    counts: dict[str, float] = {short: int(row[name]) for name, short in names.items()}
    counts |= {name: int(row[name]) for name in ("missed", "false", "merges", "splits")}
    return counts | {name: row[name] for name in ("average_precision", "dice") if name in row}


def _classes_of(scores: Scores) -> int:
    """Number of classes that were compared; foreground and background are two."""
    return 2 if scores.confusion is None else len(scores.confusion)


def _answer(scores: Scores, ranked: Sequence[str]) -> Answer:
    """What the page begins with."""
    objects = {name: counts for name, row in scores.images.items() if (counts := counts_of_objects(row))}
    if objects:
        answer = answer_objects(objects, where="")
    elif all("r2" in row for row in scores.images.values()):
        answer = answer_images(scores.images, where="")
    elif scores.confusion is not None:
        names = name_classes(scores.class_names, len(scores.confusion))
        worst = ranked[0] if len(ranked) > 1 else ""
        answer = answer_classes(scores.confusion, names, len(ranked), where="", worst=worst)
    else:
        name, value = next(iter(scores.scores.items()))
        return Answer(f"{name} {number(value)} on {counted(len(ranked), 'image')}", "unknown", "Scores", ())
    if answer.bad:
        answer = replace(answer, advice=NOTHING)
    return replace(answer, doubt=answer.doubt.replace("Hold out more for a firm number (--validation 0.3).", FIRM))


def _overall(scores: Scores) -> dict[str, str]:
    """Scores of all images together, and of each group of them, as text."""
    columns = {"": scores.scores, **{f", {group}": row for group, row in scores.groups.items()}}
    return {
        f"{title_of(name, scores.class_names)}{of}": number(int(value) if name in COUNTS else value)
        for of, row in columns.items()
        for name, value in row.items()
    }


def _worst_pairs(pairs: Sequence[FilePair], ranked: Sequence[str]) -> list[FilePair]:
    """Pairs in the order of their worst image or section."""
    place = {name.partition("[")[0]: rank for rank, name in reversed(list(enumerate(ranked)))}
    found = [pair for pair in pairs if pair.role != "markers"]
    return sorted(found, key=lambda pair: place.get(pair.name.partition("[")[0], len(ranked)))


def _pictures(
    pair: FilePair, scores: Scores, ranked: Sequence[str], images: Mapping[str, Path], sections: slice | None
) -> Iterator[Picture]:
    """The picture of a pair; of a film, that of its worst frame."""
    drawn = all("r2" in row for row in scores.images.values())
    if drawn:
        truth, result = (_channels(read_selected(*each)) for each in _files(pair))
        if truth.size <= LARGEST:
            image = _image(pair, images, truth.shape[1:])
            yield Picture(pair.name, image, truth, result, "image", scores.images[pair.name])
        return
    case = read_case(pair, sections=sections)
    name, truth, found = _worst_frame(case, ranked)
    if truth.size > LARGEST:
        return
    row = scores.images.get(name, {})
    image = _image(pair, images, truth.shape)
    spacing = tuple(step / case.spacing[-1] for step in case.spacing)
    said = {name: value for name, value in row.items() if name.startswith("dice")} or row
    options: dict[str, Any] = {
        "anisotropy": spacing if truth.ndim == 3 else (),
        "scores": counts_of_objects(row) or said,
    }
    if counts_of_objects(row) or "seg" in row:
        yield Picture(name, image, truth, found, "objects", **options)
    elif scores.class_names:
        yield Picture(name, image, truth, found, "classes", classes=len(scores.class_names), **options)
    elif found.dtype.kind == "f":
        shares = case.probabilities()[0].reshape(case.result.shape)
        shares = shares if shares.shape == truth.shape else shares[0]
        given = (shares > 0.5).astype(np.uint8)
        yield Picture(name, image, _mask(truth), given, "classes", probability=shares, classes=2, **options)
    else:
        yield Picture(name, image, _mask(truth), _mask(found), "classes", classes=2, **options)


def _files(pair: FilePair) -> tuple[tuple[Path, Selection], tuple[Path, Selection]]:
    return (pair.truth[0], pair.of_truth), (pair.result, pair.of_result)


def _channels(image: Image) -> NDArray[Any]:
    """Pixels (C, *spatial) of an image; of a film, its first frame."""
    array = image.array[0] if "T" in image.axes else image.array
    return array if "C" in image.axes else array[None]


def _mask(labels: NDArray[Any]) -> NDArray[np.int16]:
    """Labels as foreground, background and unknown."""
    foreground: NDArray[np.int16] = np.sign(labels).astype(np.int16)
    return foreground


def _worst_frame(case: Case, ranked: Sequence[str]) -> tuple[str, NDArray[np.int32], np.ndarray]:
    """Name, truth and result of a case; of a film, those of the frame with the lowest score."""
    frames = {name: (truth, found) for name, truth, found in case.images(case.result, planar=False)}
    name = next((name for name in ranked if name in frames), next(iter(frames)))
    return name, *frames[name]


def _image(pair: FilePair, images: Mapping[str, Path], shape: Sequence[int]) -> NDArray[Any]:
    """The image that a result is of; black where it is not known, or is of another size."""
    black = np.zeros(tuple(shape), np.uint8)
    path = images.get(plain_name(pair.result)) or images.get(plain_name(pair.truth[0]))
    if path is None:
        return black
    image = read_selected(path, Selection(pair.of_truth.axes, pair.of_truth.series, None, pair.of_truth.level))
    pixels = _channels(image)
    return pixels if pixels.shape[1:] == tuple(shape) else black
