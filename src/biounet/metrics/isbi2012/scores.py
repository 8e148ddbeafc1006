"""The five scores of the ISBI 2012 challenge, counted once per section and pooled over any set of sections."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from biounet.metrics.isbi2012.rand import (
    RandVariant,
    cell_tables,
    information,
    pool_rand_error,
    pool_v_info,
    pool_v_rand,
    rand_counts,
)
from biounet.metrics.isbi2012.sections import Section, sections
from biounet.metrics.isbi2012.warping import pool_warping, warping_counts
from biounet.metrics.thresholds import THRESHOLDS, Sweep, f_score

__all__ = ["SectionCounts", "count_section", "isbi2012", "pixel_error", "pixel_scores", "pool_sections"]


def pixel_error(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """Pixel error of a stack: 1 minus the best F score of interior pixels; 0 is perfect, 1 the worst.

    Parameters
    ----------
    truth : (N, Y, X) or (Y, X), integers or bool
        Positive inside cells, 0 on membranes. Negative is IGNORE: not counted.
    probabilities : the shape of `truth`, in [0, 1]
        Of being inside a cell.

    Raises
    ------
    ShapeError, LabelError, ImageError
        If the two cannot be compared, see `biounet.metrics.isbi2012.sections.sections`.

    Notes
    -----
    Source: Arganda-Carreras et al. 2015, section 2.3, as computed by ``PixelError`` of Trainable
    Segmentation. TP, FP and FN of the interior are summed over all sections, F = 2 P R / (P + R) with
    P = 1 where nothing is false positive and R = 1 where nothing is false negative, maximised over
    the eleven `THRESHOLDS`. No interior in both: 0. It is not the share of wrong pixels; that is the
    part ``wrong_pixels`` of `pixel_scores`.

    Examples
    --------
    P = 1 and R = 2/3, so F = 4/5.

    >>> round(pixel_error(np.array([[1, 1, 1, 0]]), np.array([[0.9, 0.9, 0.0, 0.0]])), 4)
    0.2
    """
    return pixel_scores(truth, probabilities).best


def pixel_scores(truth: np.ndarray, probabilities: np.ndarray) -> Sweep:
    """`pixel_error` at every threshold, with the parts ``precision``, ``recall`` and ``wrong_pixels``.

    ``wrong_pixels`` is the share of the pixels that differ, in [0, 1].

    >>> scores = pixel_scores(np.array([[1, 1, 1, 0]]), np.array([[0.9, 0.9, 0.0, 0.0]]))
    >>> scores.best_parts
    {'precision': 1.0, 'recall': 0.6666666666666666, 'wrong_pixels': 0.25}
    """
    parts = list(sections(truth, probabilities))
    return pool_pixels([pixel_counts(part) for part in parts], [part.pixels for part in parts])


def isbi2012(truth: np.ndarray, probabilities: np.ndarray, *, variant: RandVariant = "2015") -> dict[str, float]:
    """All five scores of the ISBI 2012 leaderboard.

    Parameters
    ----------
    truth : (N, Y, X) or (Y, X), integers or bool
        Positive inside cells, 0 on membranes, negative is IGNORE.
    probabilities : the shape of `truth`, in [0, 1]
        Of being inside a cell.
    variant
        Of the Rand error, see `rand_error`; the other four never changed.

    Returns
    -------
    ``pixel_error``, ``rand_error``, ``warping_error`` (0 is perfect), ``v_rand``, ``v_info`` (1 is perfect)
        Each at its own best threshold, one for the whole stack.

    Raises
    ------
    ShapeError, LabelError, ImageError
        If the two cannot be compared, see `biounet.metrics.isbi2012.sections.sections`.

    Notes
    -----
    Source: Arganda-Carreras et al. 2015 and the organisers' scripts; see `pixel_error`, `rand_error`,
    `warping_error`, `v_rand` and `v_info`.
    Cost: linear in the number of pixels, about 0.2 s for a section of 512 x 512.

    Examples
    --------
    >>> truth = np.array([[1, 1, 0, 1, 1]])
    >>> isbi2012(truth, truth)
    {'pixel_error': 0.0, 'rand_error': 0.0, 'warping_error': 0.0, 'v_rand': 1.0, 'v_info': 1.0}
    """
    counts = [count_section(section, variant=variant) for section in sections(truth, probabilities)]
    return {name: sweep.best for name, sweep in pool_sections(counts, variant=variant).items()}


@dataclass(frozen=True)
class SectionCounts:
    """Counts of one section that add up to the scores of a stack; one row per threshold in each array."""

    pixels: int
    interior: NDArray[np.int64]
    pairs: NDArray[np.float64]
    thinned_pairs: NDArray[np.float64]
    information: NDArray[np.float64]
    warping: NDArray[np.int64]


def count_section(section: Section, *, variant: RandVariant = "2015") -> SectionCounts:
    """Counts of one section for all five scores."""
    thinned = cell_tables(section, thin=True)
    return SectionCounts(
        pixels=section.pixels,
        interior=pixel_counts(section),
        pairs=rand_counts(cell_tables(section, thin=False), variant),
        thinned_pairs=rand_counts(thinned),
        information=information(thinned),
        warping=warping_counts(section),
    )


def pool_sections(counts: Sequence[SectionCounts], *, variant: RandVariant = "2015") -> Mapping[str, Sweep]:
    """The five scores of a stack at every threshold, from the counts of its sections."""
    pixels = [section.pixels for section in counts]
    return {
        "pixel_error": pool_pixels([section.interior for section in counts], pixels),
        "rand_error": pool_rand_error([section.pairs for section in counts], variant),
        "warping_error": pool_warping([section.warping for section in counts], pixels),
        "v_rand": pool_v_rand([section.thinned_pairs for section in counts]),
        "v_info": pool_v_info([section.information for section in counts]),
    }


def pixel_counts(section: Section) -> NDArray[np.int64]:
    """Interior pixels in both, in the truth, in the result; one row per threshold."""
    results = [section.above(threshold) for threshold in THRESHOLDS]
    truth = np.count_nonzero(section.interior)
    return np.array(
        [(np.count_nonzero(result & section.interior), truth, np.count_nonzero(result)) for result in results]
    )


def pool_pixels(counts: Sequence[NDArray[np.int64]], pixels: Sequence[int]) -> Sweep:
    """Pixel error of the counts of several sections with so many known pixels."""
    both, truth, result = np.sum(counts, axis=0).astype(np.float64).T
    recall = np.divide(both, truth, out=np.ones_like(both), where=truth != 0)
    precision = np.divide(both, result, out=np.ones_like(both), where=result != 0)
    wrong = (truth + result - 2 * both) / max(sum(pixels), 1)
    parts = {"precision": precision, "recall": recall, "wrong_pixels": wrong}
    return Sweep(1 - f_score(precision, recall), THRESHOLDS, "min", parts)
