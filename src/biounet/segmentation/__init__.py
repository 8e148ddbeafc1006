"""Segmentation: from the probabilities of a network to numbered objects.

An elevation map holds a byte per pixel, which follows from the probabilities of that pixel (`make_elevation`). The
steps in `STEPS` turn it into labels: seeds, watershed, small objects dropped, numbers in order, holes filled.
`segment_objects` runs them in memory, `label_out_of_core` region by region, with the same result. `tune_rules` searches
for the best thresholds. `close_gaps` closes gaps in the membranes between cells. `link_slices` joins the objects of
z-slices to objects of the volume.
"""

from biounet.config.object_rules import ObjectRules
from biounet.core.components import label_objects
from biounet.segmentation.elevation import make_elevation
from biounet.segmentation.gaps import close_gaps, close_gaps_out_of_core
from biounet.segmentation.instances import label_elevation, segment_objects
from biounet.segmentation.out_of_core import label_out_of_core
from biounet.segmentation.regions import region_size
from biounet.segmentation.steps import STEPS
from biounet.segmentation.stitching import LEAST_OVERLAP, Overlaps, link_slices, number_apart, stack_numbers
from biounet.segmentation.threshold import segment
from biounet.segmentation.tuning import score_objects, tune_rules
from biounet.segmentation.watershed import watershed

__all__ = [
    "LEAST_OVERLAP",
    "STEPS",
    "ObjectRules",
    "Overlaps",
    "close_gaps",
    "close_gaps_out_of_core",
    "label_elevation",
    "label_objects",
    "label_out_of_core",
    "link_slices",
    "make_elevation",
    "number_apart",
    "region_size",
    "score_objects",
    "segment",
    "segment_objects",
    "stack_numbers",
    "tune_rules",
    "watershed",
]
