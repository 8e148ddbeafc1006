"""Part of a validation image, on which rules of objects are tuned."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.config.object_rules import ObjectRules
from biounet.core.labels import IGNORE
from biounet.data.subset import Crop
from biounet.metrics import Matching, match_objects
from biounet.metrics.contingency import overlap_table
from biounet.segmentation.elevation import foreground_and_heights
from biounet.segmentation.instances import label_elevation

__all__ = ["Part"]


SINGLE = 0.8
"""Least share of a seed that lies in one annotated object, where it is one of a single object."""


@dataclass(frozen=True)
class Part:
    """Elevation before the threshold, and annotated objects, of an image or of a part of it."""

    crop: Crop
    foreground: NDArray[np.float32]
    heights: NDArray[np.uint8]
    truth: NDArray[Any]

    @classmethod
    def of(cls, crop: Crop, probabilities: NDArray[Any], truth: NDArray[Any], rules: ObjectRules) -> "Part":
        """Part of an image; annotated objects that it cuts become unknown."""
        known = crop.without_cut(crop.of(truth), IGNORE)
        return cls(crop, *foreground_and_heights(crop.of(probabilities), rules), known)

    def elevation(self, rules: ObjectRules) -> NDArray[np.uint8]:
        """Elevation map of the foreground."""
        return np.where(self.foreground > rules.foreground, self.heights, 0).astype(np.uint8)

    def match(self, rules: ObjectRules) -> Matching:
        """Matching of the objects that rules make and the annotated ones, without objects that are cut."""
        return match_objects(self.truth, self.crop.without_cut(label_elevation(self.elevation(rules), rules), 0))

    def single_seeds(self, rules: ObjectRules) -> NDArray[np.int64]:
        """Pixels of each seed of which a share of `SINGLE` or more lies in one annotated object."""
        alone = {"grow": False, "least_pixels": 0, "largest_hole": 0, "largest_seed": None}
        seeds = label_elevation(self.elevation(rules), rules.model_copy(update=alone))
        table = overlap_table(self.truth, seeds)
        of_objects = table.select((table.truth_labels[table.truth] > 0) & (table.result_labels[table.result] > 0))
        within = np.zeros(len(table.result_labels), np.int64)
        np.maximum.at(within, of_objects.result, of_objects.pixels)
        pixels = table.result_pixels
        single: NDArray[np.int64] = pixels[(within > 0) & (within >= SINGLE * pixels)]
        return single
