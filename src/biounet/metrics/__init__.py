"""Metrics of segmentations: functions of a truth and a result that return numbers."""

from biounet.metrics.cell_tracking import det, seg
from biounet.metrics.checks import EightBitWarning
from biounet.metrics.contingency import OverlapTable, overlap_table
from biounet.metrics.isbi2012.rand import rand_error, rand_scores, v_info, v_info_scores, v_rand, v_rand_scores
from biounet.metrics.isbi2012.scores import isbi2012, pixel_error, pixel_scores
from biounet.metrics.isbi2012.warping import warping_error, warping_scores
from biounet.metrics.matching import Matching, match_objects
from biounet.metrics.objects import (
    IOU_THRESHOLDS,
    Detection,
    ObjectErrors,
    Panoptic,
    aggregated_jaccard,
    average_precision,
    detection,
    object_errors,
    panoptic,
    panoptic_quality,
)
from biounet.metrics.overlap import ClassScores, accuracy, class_scores, confusion, dice, iou
from biounet.metrics.partition import SplitMerge, adapted_rand, adjusted_rand_index, variation_of_information
from biounet.metrics.registry import METRICS, MetricGroup
from biounet.metrics.surface_distance import hausdorff95, mean_surface_distance, surface_distances
from biounet.metrics.thresholds import THRESHOLDS, Sweep

__all__ = [
    "IOU_THRESHOLDS",
    "METRICS",
    "THRESHOLDS",
    "ClassScores",
    "Detection",
    "EightBitWarning",
    "Matching",
    "MetricGroup",
    "ObjectErrors",
    "OverlapTable",
    "Panoptic",
    "SplitMerge",
    "Sweep",
    "accuracy",
    "adapted_rand",
    "adjusted_rand_index",
    "aggregated_jaccard",
    "average_precision",
    "class_scores",
    "confusion",
    "det",
    "detection",
    "dice",
    "hausdorff95",
    "iou",
    "isbi2012",
    "match_objects",
    "mean_surface_distance",
    "object_errors",
    "overlap_table",
    "panoptic",
    "panoptic_quality",
    "pixel_error",
    "pixel_scores",
    "rand_error",
    "rand_scores",
    "seg",
    "surface_distances",
    "v_info",
    "v_info_scores",
    "v_rand",
    "v_rand_scores",
    "variation_of_information",
    "warping_error",
    "warping_scores",
]
