"""Evaluation: a table of scores from a file or folder of results and one of the truth."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.errors import ConfigError, DatasetError, ImageError, LabelError, ShapeError
from biounet.core.places import path_of
from biounet.data.class_names import class_names_beside
from biounet.evaluation.fragments import Fragments
from biounet.evaluation.image_pairs import score_drawn
from biounet.evaluation.pairing import FilePair, select_files
from biounet.evaluation.reading import Case, read_case
from biounet.evaluation.results import Scores, to_csv, to_json
from biounet.evaluation.subgroups import groups_of, read_groups
from biounet.io import meaning_of, open_selected
from biounet.io.identity import unchanged
from biounet.metrics import METRICS, Sweep

__all__ = ["ALIASES", "Scores", "evaluate", "metric_groups", "read_groups", "to_csv", "to_json"]

ALIASES: Mapping[str, tuple[str, ...]] = MappingProxyType({"ctc": ("seg", "det")})
"""Names that ``--metrics`` takes beside those of `biounet.metrics.METRICS`."""

OF_OBJECTS = ("objects", "seg", "det", "partition")
"""Groups that need numbered objects."""

OF_PROBABILITIES = ("isbi2012", "overlap")
"""Groups that score probabilities at thresholds."""


def evaluate(
    result: Path | str,
    truth: Path | str,
    *,
    metrics: Sequence[str] | None = None,
    sections: slice | None = None,
    spacing: Sequence[float] | None = None,
    groups: Mapping[str, str] | None = None,
    ignore_value: int | None = None,
    axes: str | None = None,
    series: int | str | None = None,
    channel: int | None = None,
    level: int = 0,
    progress: Callable[[float], None] | None = None,
) -> Scores:
    """Scores of results against the truth, of all images together and of each.

    Parameters
    ----------
    result : Path
        A file or folder: labels, masks, or probabilities (floating point) of the foreground.
    truth : Path
        What `biounet.evaluation.pairing.pair_files` takes. Negative is IGNORE and never scored.
    metrics : keys of `biounet.metrics.METRICS` or of `ALIASES`; or ``image`` alone, which compares images
        None: ``seg`` and ``det`` for the Cell Tracking Challenge, ``isbi2012`` and ``overlap`` for
        probabilities, ``overlap`` where one of the two is a mask, ``overlap`` and ``classes`` where the result, or
        ``classes.txt`` beside the truth, says that there are more than two, ``image`` where the result says that it is
        one, otherwise ``overlap`` and ``objects``.
    sections : slice
        Which sections (or frames) of the truth, and of a result that has all of them, are compared.
    spacing : micrometres per pixel, one number for each of (Z) Y X
        For distances. None: as the file of the truth or of the result tells, otherwise pixels.
    groups : name of each result without its suffix to the group that it is of, see `read_groups`
        All results of a group are scored together, too, as if there were no others.
    ignore_value : number in the truth that means unknown, such as 255
    axes, series, channel, level
        What is read of the files, as for `biounet.io.open_lazily`: the axes hold for both, series and level for the
        truth, the channel for the result.
    progress : called with the share that is done, from 0 to 1

    Raises
    ------
    DatasetError
        If a file is missing or extra, which it names.
    ConfigError
        If a metric is unknown, a result is of no group, or `sections` selects nothing.
    ShapeError, LabelError, ImageError
        If two images cannot be read or compared; the message names them.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from biounet.io import Image, write
    >>> folder = Path(tempfile.mkdtemp())
    >>> write(folder / "truth.tif", Image(np.array([[0, 1, 1, 0]], np.uint8), "YX"))
    >>> write(folder / "result.tif", Image(np.array([[0, 0, 1, 1]], np.uint8), "YX"))
    >>> to_json(evaluate(folder / "result.tif", folder / "truth.tif", metrics=["overlap"]))["scores"]
    {'iou': 0.3333333333333333, 'dice': 0.5, 'accuracy': 0.5}
    """
    drawn = metrics is not None and list(metrics) == ["image"]
    chosen = None if metrics is None or drawn else metric_groups(metrics)
    result, truth = (path_of(each, DatasetError, what="results or annotations") for each in (result, truth))
    reading: dict[str, Any] = {"axes": axes, "series": series, "channel": channel, "level": level}
    pairs = select_files(result, truth, ignore_value=ignore_value, **reading)
    parts = [""] * len(pairs) if groups is None else groups_of(pairs, groups)
    if drawn or (metrics is None and _is_image(pairs[0])):
        return score_drawn(pairs, parts, sections=sections, progress=progress)
    names = beside = class_names_beside(pairs[0].truth[0].parent)
    counts: dict[str, list[tuple[str, Any]]] = defaultdict(list)
    rows: dict[str, dict[str, float]] = defaultdict(dict)
    notes: dict[str, None] = {}
    fragments = Fragments()
    for index, (pair, part) in enumerate(zip(pairs, parts, strict=True)):
        with unchanged(pair.result, *pair.truth, verb="scored", labels=True, quick=True):
            case = read_case(pair, sections=sections, spacing=spacing, class_names=beside)
        chosen = chosen or _suitable(case, pair)
        notes |= dict.fromkeys(case.notes)
        names = (case.meaning.class_names if case.meaning else ()) or names
        wanted = [group for group in chosen if _serves(pair, group)]
        for share, group, name, count in _count(case, wanted, notes):
            counts[group].append((part, count))
            rows[name].update(METRICS[group].score([count]))
            if progress is not None:
                progress((index + share) / len(pairs))
        if pair.role != "markers" and not set(OF_OBJECTS).isdisjoint(wanted):
            fragments.add(case)
    notes |= dict.fromkeys(fragments.notes())
    for group in chosen or ():
        if group not in counts:
            notes[f"{group} is left out: {truth} has no {'TRA' if group == 'det' else 'SEG'} folder"] = None
    scores, confusion = _pool(counts, rows, notes, truth), _confusion(counts)
    return replace(scores, class_names=_names_in(names, confusion) if "classes" in counts else (), confusion=confusion)


def metric_groups(metrics: Sequence[str]) -> tuple[str, ...]:
    """Keys of `biounet.metrics.METRICS` for names of metrics and of `ALIASES`, each once.

    Raises
    ------
    ConfigError
        If one is unknown, or there is none.

    Examples
    --------
    >>> metric_groups(["ctc", "seg", "overlap"])
    ('seg', 'det', 'overlap')
    """
    groups: dict[str, None] = {}
    for name in metrics:
        if name not in METRICS and name not in ALIASES:
            known = ", ".join([*METRICS, *ALIASES])
            raise ConfigError(f"metrics must be image alone, or among {known}, got {name!r}")
        groups |= dict.fromkeys(ALIASES.get(name, (name,)))
    if not groups:
        raise ConfigError(f"metrics must be some of {', '.join([*METRICS, *ALIASES])}, got none")
    return tuple(groups)


def _suitable(case: Case, pair: FilePair) -> tuple[str, ...]:
    """Metrics that suit the data, where the caller named none."""
    if pair.role != "all":
        return ("seg", "det")
    if case.result.dtype.kind == "f":
        return ("isbi2012", "overlap")
    if case.meaning is not None and case.meaning.kind in ("classes", "parts"):
        several = len(case.meaning.class_names) > 2 or not case.has_mask
        return ("overlap", "classes") if several and case.meaning.kind == "classes" else ("overlap",)
    return ("overlap",) if case.has_mask else ("overlap", "objects")


def _is_image(pair: FilePair) -> bool:
    """Whether a result says that it is an image, which its network has drawn."""
    with open_selected(pair.result, pair.of_result) as file:
        meaning = meaning_of(file)
    return meaning is not None and meaning.kind == "image"


def _serves(pair: FilePair, group: str) -> bool:
    """Whether the truth of a pair suits a metric: markers suit DET alone, an incomplete truth suits all but DET."""
    return pair.role == "all" or (pair.role == "markers") == (group == "det")


def _count(case: Case, groups: Sequence[str], notes: dict[str, None]) -> Iterator[tuple[float, str, str, Any]]:
    """Counts of each image and metric: share done, metric, name of the image, count."""
    try:
        scaled = None
        if "isbi2012" in groups or ("overlap" in groups and case.result.dtype.kind == "f"):
            scaled, said = case.probabilities()
            notes |= dict.fromkeys(said)
        for position, group in enumerate(groups):
            if group in OF_OBJECTS:
                case.check_objects()
            if group == "classes":
                case.check_classes()
            result = scaled if scaled is not None and group in OF_PROBABILITIES else case.result
            images = list(case.images(result, planar=METRICS[group].planar))
            for number, (name, truth, found) in enumerate(images, 1):
                count = METRICS[group].count(truth, found, case.spacing[-truth.ndim :])
                yield (position + number / len(images)) / len(groups), group, name, count
    except (ImageError, LabelError, ShapeError) as error:
        raise type(error)(f"{case.name}: {error}") from error


def _names_in(names: tuple[str, ...], confusion: NDArray[np.int64] | None) -> tuple[str, ...]:
    """Names of the classes that were counted, with one for the background where a list leaves it out."""
    classes = 0 if confusion is None else len(confusion)
    return ("background", *names) if names and len(names) == classes - 1 else names


def _confusion(counts: Mapping[str, list[tuple[str, Any]]]) -> NDArray[np.int64] | None:
    """Pixels of each true class given each class, of all images; of masks, the foreground is a class."""
    for group in ("classes", "overlap"):
        if counts.get(group):
            return METRICS[group].confusion([count for _, count in counts[group]])
    return None


def _pool(
    counts: Mapping[str, list[tuple[str, Any]]],
    rows: Mapping[str, dict[str, float]],
    notes: Mapping[str, None],
    truth: Path,
) -> Scores:
    """Scores of all images together, of each subgroup, and of each image."""
    if not counts:
        raise DatasetError(f"{'; '.join(notes)}; nothing is left to score in {truth}")
    scores: dict[str, float] = {}
    sweeps: dict[str, Sweep] = {}
    named = {part for part, _ in chain(*counts.values())} - {""}  # where nobody asked for any
    of_parts: dict[str, dict[str, float]] = {part: {} for part in sorted(named)}
    for group, counted in counts.items():
        scores |= METRICS[group].score([count for _, count in counted])
        sweeps |= METRICS[group].sweep([count for _, count in counted])
        for part in of_parts:
            own = [count for other, count in counted if other == part]
            of_parts[part] |= METRICS[group].score(own) if own else {}
    return Scores(scores, dict(rows), sweeps, tuple(notes), of_parts)
