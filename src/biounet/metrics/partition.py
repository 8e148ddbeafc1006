"""Agreement of two partitions: adapted Rand error, adjusted Rand index, variation of information."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from biounet.metrics.contingency import OverlapTable, overlap_table
from biounet.metrics.overlap import share

__all__ = ["SplitMerge", "adapted_rand", "adjusted_rand_index", "variation_of_information"]


@dataclass(frozen=True)
class SplitMerge:
    """A score of a partition, with the parts due to splits and to mergers."""

    value: float
    split: float
    merge: float


def adapted_rand(truth: np.ndarray, result: np.ndarray, *, background: bool = False) -> SplitMerge:
    """Adapted Rand error of two label images: 1 minus the F score of pixel pairs; 0 is perfect, 1 the worst.

    Parameters
    ----------
    truth, result : any shape, integers
        Negative in `truth` is IGNORE and not counted.
    background : bool
        Count label 0 of the truth as one more object. In the result it always is one.

    Returns
    -------
    SplitMerge
        ``split`` is the recall, lowered by objects cut in pieces; ``merge`` the precision, lowered by
        objects that were joined. Both in [0, 1], 1 is perfect.

    Raises
    ------
    ShapeError, LabelError
        If the two are no label images of one shape.

    Notes
    -----
    Source: Arganda-Carreras et al. 2015 without thinning, in the form of scikit-image and CREMI: with
    c_ij pixels of object i in object j, TP = sum c_ij (c_ij - 1), P = TP / sum b_j (b_j - 1),
    R = TP / sum a_i (a_i - 1). No pairs: 1 for P or R. It is not `rand_error`: there each membrane
    pixel of the result is an object of its own. Differs from scikit-image in that 0 / 0 is 1, not NaN.

    Examples
    --------
    >>> adapted_rand(np.array([1, 1, 1, 1]), np.array([1, 1, 2, 2]))    # 2 + 2 of 12 ordered pairs
    SplitMerge(value=0.5, split=0.3333333333333333, merge=1.0)
    """
    together, split, merge, _ = _pairs(_foreground(overlap_table(truth, result), background))
    return SplitMerge(1 - share(2 * together, split + merge), share(together, split), share(together, merge))


def adjusted_rand_index(truth: np.ndarray, result: np.ndarray, *, background: bool = False) -> float:
    """Adjusted Rand index of two label images: agreement on pairs of pixels beyond chance; 1 is perfect, 0 is chance.

    Parameters
    ----------
    truth, result : any shape, integers
        Negative in `truth` is IGNORE and not counted.
    background : bool
        Count label 0 of the truth as one more object. In the result it always is one.

    Returns
    -------
    float
        At most 1, below 0 where the two agree less than by chance.

    Raises
    ------
    ShapeError, LabelError
        If the two are no label images of one shape.

    Notes
    -----
    Source: Hubert and Arabie 1985, equation 5. With S the pairs of pixels that are together in both, A and B those
    together in the truth and in the result, and E = A B / (all pairs) what S would be by chance, it is
    (S - E) / ((A + B) / 2 - E). Where all pixels are one object in both, or each is an object of its own in both: 1.

    Examples
    --------
    >>> truth, result = np.array([1, 1, 2, 2]), np.array([5, 5, 0, 6])     # S = 1, A = 2, B = 1, E = 2 / 6
    >>> round(adjusted_rand_index(truth, result), 4)                        # (2 / 3) / (7 / 6)
    0.5714
    """
    together, of_truth, of_result, pairs = _pairs(_foreground(overlap_table(truth, result), background))
    chance = of_truth * share(of_result, pairs)
    return share(together - chance, (of_truth + of_result) / 2 - chance)


def variation_of_information(truth: np.ndarray, result: np.ndarray, *, background: bool = True) -> SplitMerge:
    """Variation of information of two label images, in bits; 0 is perfect, log2 of the pixels the worst.

    Parameters
    ----------
    truth, result : any shape, integers
        Negative in `truth` is IGNORE and not counted.
    background : bool
        Count label 0 of the truth as one more object. In the result it always is one.

    Returns
    -------
    SplitMerge
        ``split`` is H(result | truth), raised by objects cut in pieces; ``merge`` is H(truth | result),
        raised by objects that were joined; ``value`` their sum. In bits, 0 is perfect.

    Raises
    ------
    ShapeError, LabelError
        If the two are no label images of one shape.

    Notes
    -----
    Source: Meila 2007, equation 15, with logarithms to base 2. Nothing but IGNORE: 0.

    Examples
    --------
    >>> variation_of_information(np.array([1, 1, 1, 1]), np.array([1, 1, 2, 2]))
    SplitMerge(value=1.0, split=1.0, merge=0.0)
    """
    table = _foreground(overlap_table(truth, result), background)
    joint, of_truth, of_result = (_bits(n) for n in (table.pixels, table.truth_pixels, table.result_pixels))
    split, merge = max(joint - of_truth, 0.0), max(joint - of_result, 0.0)
    return SplitMerge(split + merge, split, merge)


def _foreground(table: OverlapTable, background: bool) -> OverlapTable:
    """The table with or without the background of the truth."""
    return table if background else table.select(table.truth_labels[table.truth] != 0)


def _pairs(table: OverlapTable) -> tuple[float, ...]:
    """Ordered pairs of pixels that are together in both partitions, in the truth, in the result; and all pairs."""
    counts = (table.pixels, table.truth_pixels, table.result_pixels, table.pixels.sum())
    return tuple(float((pixels * (pixels - 1)).sum()) for pixels in counts)


def _bits(pixels: NDArray[np.int64]) -> float:
    """Entropy of a partition, in bits, from the pixels of its parts."""
    shares = pixels[pixels > 0] / max(pixels.sum(), 1)
    return float(-(shares * np.log2(shares)).sum())
