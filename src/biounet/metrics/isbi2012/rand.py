"""Rand error, V_rand and V_info of the ISBI 2012 challenge, with their split and merge parts."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from biounet.core.errors import ConfigError
from biounet.metrics.contingency import OverlapTable, count_overlaps
from biounet.metrics.isbi2012.sections import Section, components, sections
from biounet.metrics.isbi2012.thinning import thin_borders
from biounet.metrics.thresholds import THRESHOLDS, Sweep, f_score

__all__ = ["RandVariant", "rand_error", "rand_scores", "v_info", "v_info_scores", "v_rand", "v_rand_scores"]


RandVariant = Literal["2015", "2014", "2012", "classic"]
"""Name of a way to count pairs of pixels, see `rand_error`."""

Counts = NDArray[np.float64]
"""(T, 3), one row per threshold: pairs together in both, in the truth, in the result."""


def rand_error(truth: np.ndarray, probabilities: np.ndarray, *, variant: RandVariant = "2015") -> float:
    """Rand error of a stack: 1 minus the best F score of pixel pairs inside cells; 0 is perfect, 1 the worst.

    Parameters
    ----------
    truth : (N, Y, X) or (Y, X), integers or bool
        Positive inside cells, 0 on membranes. Negative is IGNORE: such pixels are membrane to both and
        are not counted.
    probabilities : the shape of `truth`, in [0, 1]
        Of being inside a cell.
    variant : which program's count
        ``"2015"`` is the leaderboard's since January 2015. ``"2014"`` and ``"2012"`` are what it
        computed before, for published tables of that time; they differ where no two pixels share a
        cell (0 and 1). ``"classic"`` counts all pixels, with the membrane as one more object.

    Raises
    ------
    ShapeError, LabelError, ImageError
        If the two cannot be compared, see `biounet.metrics.isbi2012.sections.sections`.

    Notes
    -----
    Source: Arganda-Carreras et al. 2015, section 2.3.1, as computed by ``RandError`` of Trainable
    Segmentation. Cells are 4-connected components per section, c_ij the pixels of truth cell i in
    result cell j, u the truth pixels on result membranes, each of which is a cell of its own:
    TP = sum c_ij^2 + u, TP + FN = sum_i (sum_j c_ij)^2 with j = 0 for membranes,
    TP + FP = sum_j (sum_i c_ij)^2 + u; before 2015, and in ``"classic"``, squares are n (n - 1) / 2
    and u is 0. The counts are summed over sections, then F = 2 P R / (P + R) is maximised over the
    eleven `THRESHOLDS`. No cell in a truth section: 1 for the whole stack (``"2015"``).

    Examples
    --------
    Two cells of two pixels; the result lacks the membrane, which merges them: TP = 2^2 + 2^2,
    TP + FN = 8, TP + FP = 4^2, so P = 1/2, R = 1 and F = 2/3.

    >>> truth = np.array([[1, 1, 0, 1, 1]])
    >>> round(rand_error(truth, np.ones((1, 5))), 4)
    0.3333
    """
    return rand_scores(truth, probabilities, variant=variant).best


def rand_scores(truth: np.ndarray, probabilities: np.ndarray, *, variant: RandVariant = "2015") -> Sweep:
    """`rand_error` at every threshold, with ``split`` (recall) and ``merge`` (precision) parts.

    >>> scores = rand_scores(np.array([[1, 1, 0, 1, 1]]), np.ones((1, 5)))
    >>> scores.best_parts
    {'split': 1.0, 'merge': 0.5}
    """
    if variant not in get_args(RandVariant):
        raise ConfigError(f"variant must be one of {', '.join(get_args(RandVariant))}, got {variant!r}")
    pairs = [rand_counts(cell_tables(section, thin=False), variant) for section in sections(truth, probabilities)]
    return pool_rand_error(pairs, variant)


def v_rand(truth: np.ndarray, probabilities: np.ndarray, *, thin: bool = True, pooled: bool = False) -> float:
    """Rand F score of a stack after border thinning, the leaderboard's V_rand; 1 is perfect, 0 the worst.

    Parameters
    ----------
    truth, probabilities
        As in `rand_error`.
    thin : bool
        Shrink the membranes of the result to lines before comparing; see `thin_borders`.
    pooled : bool
        Sum the counts over the sections instead of averaging their F scores.

    Raises
    ------
    ShapeError, LabelError, ImageError
        If the two cannot be compared.

    Notes
    -----
    Source: Arganda-Carreras et al. 2015, equations 3 to 5 with alpha = 1/2, and the organisers'
    border-thinning script. The counts are those of `rand_error`; F is computed per section and averaged,
    then maximised over the eleven `THRESHOLDS`. A section without truth cells counts 0.

    Examples
    --------
    The result closes the gap between the cells only half; thinning leaves the line where it should be.

    >>> truth = np.array([[1, 1, 0, 1, 1]])
    >>> v_rand(truth, np.array([[1, 0, 0, 0, 1]]))
    1.0
    """
    return v_rand_scores(truth, probabilities, thin=thin, pooled=pooled).best


def v_rand_scores(truth: np.ndarray, probabilities: np.ndarray, *, thin: bool = True, pooled: bool = False) -> Sweep:
    """`v_rand` at every threshold, with its parts V_split and V_merge as ``split`` and ``merge``.

    The parts are recall and precision: means over the sections that have cells, or of the pooled counts.

    >>> scores = v_rand_scores(np.array([[1, 1, 1]]), np.array([[1, 0, 1]]))     # one cell cut in two
    >>> scores.best_parts["merge"], round(scores.best_parts["split"], 4)         # TP = 1 + 1 + 1 of 3^2
    (1.0, 0.3333)
    """
    pairs = [rand_counts(cell_tables(section, thin=thin)) for section in sections(truth, probabilities)]
    return pool_v_rand(pairs, pooled=pooled)


def v_info(truth: np.ndarray, probabilities: np.ndarray, *, thin: bool = True) -> float:
    """Information-theoretic F score of a stack after border thinning, V_info; 1 is perfect, 0 the worst.

    Parameters
    ----------
    truth, probabilities
        As in `rand_error`.
    thin : bool
        Shrink the membranes of the result to lines before comparing; see `thin_borders`.

    Raises
    ------
    ShapeError, LabelError, ImageError
        If the two cannot be compared.

    Notes
    -----
    Source: Arganda-Carreras et al. 2015, equations 6 to 8 with alpha = 1/2, as computed by
    ``VariationOfInformation`` of Trainable Segmentation: V_merge = I(S; T) / H(T) and
    V_split = I(S; T) / H(S) in natural logarithms over the pixels inside truth cells; each of them on
    a membrane of the result is a cell of its own. F = 2 V_merge V_split / (V_merge + V_split) per
    section, averaged, then maximised over the eleven `THRESHOLDS`. A section whose truth or result is a
    single cell has no entropy and counts 0, even when perfect; so does one without truth cells.
    Where I is exactly 0 with entropy on both sides, F is undefined and that threshold never the best.

    Examples
    --------
    >>> truth = np.array([[1, 1, 0, 1, 1]])
    >>> v_info(truth, truth), v_info(truth, np.ones((1, 5)))
    (1.0, 0.0)
    """
    return v_info_scores(truth, probabilities, thin=thin).best


def v_info_scores(truth: np.ndarray, probabilities: np.ndarray, *, thin: bool = True) -> Sweep:
    """`v_info` at every threshold, with its parts V_split and V_merge as ``split`` and ``merge``.

    The parts are means over the sections where they are defined.

    >>> truth = np.array([[1, 1, 1, 1, 0, 1, 1, 1, 1]])
    >>> cut = np.array([[1, 1, 1, 0, 0, 1, 1, 1, 1]])                            # thinned to the same line
    >>> v_info_scores(truth, cut).best_parts
    {'split': 1.0, 'merge': 1.0}
    """
    shares = [information(cell_tables(section, thin=thin)) for section in sections(truth, probabilities)]
    return pool_v_info(shares)


def cell_tables(section: Section, *, thin: bool) -> list[OverlapTable]:
    """Overlaps of the truth cells with the cells of the result, one table per threshold."""
    results = (components(section.above(threshold)) for threshold in THRESHOLDS)
    return [_cell_table(section, thin_borders(result) if thin else result) for result in results]


def _cell_table(section: Section, result: NDArray[np.int32]) -> OverlapTable:
    """Overlaps of the truth cells with numbered cells."""
    return count_overlaps(section.cells, result, np.arange(result.max() + 1))


def rand_counts(tables: Sequence[OverlapTable], variant: RandVariant = "2015") -> Counts:
    """Pairs of pixels together in both, in the truth, in the result; one row per threshold."""
    return np.array([_pairs(table, variant) for table in tables])


def pool_rand_error(sections: Sequence[Counts], variant: RandVariant) -> Sweep:
    """Rand error of the counts summed over sections."""
    split, merge, score = _rand_f(np.sum(sections, axis=0), no_pairs=0.0 if variant == "2012" else 1.0)
    return Sweep(1 - score, THRESHOLDS, "min", {"split": split, "merge": merge})


def pool_v_rand(sections: Sequence[Counts], *, pooled: bool = False) -> Sweep:
    """V_rand of the counts of several sections."""
    stack = np.sum(sections, axis=0, keepdims=True) if pooled else np.array(sections)
    split, merge, score = _rand_f(stack)
    return Sweep(score.mean(axis=0), THRESHOLDS, "max", {"split": _known_mean(split), "merge": _known_mean(merge)})


def information(tables: Sequence[OverlapTable]) -> NDArray[np.float64]:
    """V_split, V_merge and F of one section, one row per threshold."""
    return np.array([_shared_information(table) for table in tables])


def pool_v_info(sections: Sequence[NDArray[np.float64]]) -> Sweep:
    """V_info of several sections."""
    split, merge, score = np.moveaxis(np.array(sections), 2, 0)
    return Sweep(score.mean(axis=0), THRESHOLDS, "max", {"split": _known_mean(split), "merge": _known_mean(merge)})


def _pairs(table: OverlapTable, variant: RandVariant) -> tuple[float, float, float]:
    """Pairs together in both, in the truth, in the result, for one table."""
    if variant == "classic":
        return _choose_2(table.pixels), _choose_2(table.truth_pixels), _choose_2(table.result_pixels)
    inside = table.select(table.truth_labels[table.truth] > 0)
    matched = inside.select(inside.result_labels[inside.result] > 0)
    if variant != "2015":
        return _choose_2(matched.pixels), _choose_2(inside.truth_pixels), _choose_2(matched.result_pixels)
    if not inside.pixels.size:
        return np.nan, np.nan, np.nan
    single = float(inside.pixels.sum() - matched.pixels.sum())
    return _squares(matched.pixels) + single, _squares(inside.truth_pixels), _squares(matched.result_pixels) + single


def _choose_2(pixels: NDArray[np.int64]) -> float:
    return float((pixels * (pixels - 1) // 2).sum())


def _squares(pixels: NDArray[np.int64]) -> float:
    return float((pixels**2).sum())


def _rand_f(counts: Counts, *, no_pairs: float = 1.0) -> tuple[NDArray[np.float64], ...]:
    """Recall (split), precision (merge) and F of counts in the last axis."""
    both, truth, result = np.moveaxis(counts, -1, 0)
    split = np.divide(both, truth, out=np.full_like(both, no_pairs), where=truth != 0)
    merge = np.divide(both, result, out=np.full_like(both, no_pairs), where=result != 0)
    return split, merge, f_score(merge, split)


def _shared_information(table: OverlapTable) -> tuple[float, float, float]:
    """V_split, V_merge and F of one table."""
    inside = table.select(table.truth_labels[table.truth] > 0)
    matched = inside.select(inside.result_labels[inside.result] > 0)
    total = int(inside.pixels.sum())
    if not total:
        return np.nan, np.nan, 0.0
    single = (total - int(matched.pixels.sum())) / total * np.log(total)
    truth_entropy = -_sum_p_log_p(inside.truth_pixels / total)
    result_entropy = single - _sum_p_log_p(matched.result_pixels / total)
    joint_entropy = single - _sum_p_log_p(matched.pixels / total)
    if truth_entropy < 1e-12 or result_entropy < 1e-12:  # one cell; Java has rounding noise here
        return np.nan, np.nan, 0.0
    merge = (truth_entropy - (joint_entropy - result_entropy)) / truth_entropy
    split = (result_entropy - (joint_entropy - truth_entropy)) / result_entropy
    return split, merge, 2 * merge * split / (merge + split) if merge + split else np.nan


def _sum_p_log_p(shares: NDArray[np.float64]) -> float:
    positive = shares[shares > 0]
    return float((positive * np.log(positive)).sum())


def _known_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the sections with a defined value; NaN where there is none."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0).sum(axis=0)
    mean: NDArray[np.float64] = total / np.where(known.any(axis=0), known.sum(axis=0), np.nan)
    return mean
