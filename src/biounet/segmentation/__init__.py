"""From probabilities to labels.

Objects are made in steps, each of which has the same result on a whole image as on its regions:

* `make_elevation`: what the network says of a pixel becomes one byte, pixel by pixel.
* Seeds are the pieces of the elevation map above a threshold; they grow until they meet (`watershed`).
* Small objects are dropped, holes filled (`drop_small`, `fill_holes`), and numbers put in order.

`segment_objects` does it in memory, `label_out_of_core` region by region; `tune_rules` finds the thresholds.
`link_slices` makes objects of a volume of those of its sections.
"""

from biounet.config.object_rules import ObjectRules
from biounet.core.components import label_objects
from biounet.segmentation.elevation import make_elevation
from biounet.segmentation.holes import fill_holes
from biounet.segmentation.instances import (
    drop_small,
    label_elevation,
    segment_objects,
)
from biounet.segmentation.out_of_core import label_out_of_core
from biounet.segmentation.regions import region_size
from biounet.segmentation.stitching import LEAST_OVERLAP, Overlaps, link_slices, number_apart, stack_numbers
from biounet.segmentation.threshold import segment
from biounet.segmentation.tuning import score_objects, tune_rules
from biounet.segmentation.watershed import watershed

__all__ = [
    "LEAST_OVERLAP",
    "ObjectRules",
    "Overlaps",
    "drop_small",
    "fill_holes",
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
