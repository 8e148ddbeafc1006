"""The scores of the field, exact and without torch: arrays in, numbers out."""

from biounet.metrics.inputs import EightBitWarning
from biounet.metrics.isbi import isbi2012, pixel_error, pixel_scores
from biounet.metrics.partition import rand_error, rand_scores, v_info, v_info_scores, v_rand, v_rand_scores
from biounet.metrics.table import OverlapTable, overlap_table
from biounet.metrics.thresholds import THRESHOLDS, Sweep
from biounet.metrics.warping import warping_error, warping_scores

__all__ = [
    "THRESHOLDS",
    "EightBitWarning",
    "OverlapTable",
    "Sweep",
    "isbi2012",
    "overlap_table",
    "pixel_error",
    "pixel_scores",
    "rand_error",
    "rand_scores",
    "v_info",
    "v_info_scores",
    "v_rand",
    "v_rand_scores",
    "warping_error",
    "warping_scores",
]
