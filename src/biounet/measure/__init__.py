"""Measurements of objects: label images in, a table out; whole or region by region."""

from biounet.measure.confidence import ForegroundSums
from biounet.measure.counting import tally_region
from biounet.measure.inputs import check_labels, in_pieces, split_objects
from biounet.measure.outlines import outline_polygons
from biounet.measure.table import Table, measure_objects, table_of
from biounet.measure.tally import Tally, join
from biounet.measure.uncertain import entropy, uncertain_regions

__all__ = [
    "ForegroundSums",
    "Table",
    "Tally",
    "check_labels",
    "entropy",
    "in_pieces",
    "join",
    "measure_objects",
    "outline_polygons",
    "split_objects",
    "table_of",
    "tally_region",
    "uncertain_regions",
]
