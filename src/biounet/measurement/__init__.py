"""Measurements of the objects of a label image, as a table; in memory or region by region."""

from biounet.core.components import in_pieces, split_objects
from biounet.core.labels import check_labels
from biounet.measurement.confidence import ForegroundSums
from biounet.measurement.counts import RegionCounts, join
from biounet.measurement.region_counts import count_region
from biounet.measurement.region_properties import Table, measure_objects, table_of
from biounet.measurement.uncertainty import entropy, uncertain_regions

__all__ = [
    "ForegroundSums",
    "RegionCounts",
    "Table",
    "check_labels",
    "count_region",
    "entropy",
    "in_pieces",
    "join",
    "measure_objects",
    "split_objects",
    "table_of",
    "uncertain_regions",
]
