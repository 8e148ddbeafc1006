"""Boxes, tiles and sizes: which input pixels a network needs for which output pixels.

The overlap-tile strategy (Ronneberger et al. 2015, figure 2) in three ideas:

* A network says what it needs in a `Geometry`: a ``margin`` of context on every side, and a ``grid``,
  the product of its poolings, on which tile origins must lie to meet the same phase of every pooling.
* Outside the image stands its mirror image, so a pixel has one value wherever a tile begins.
* So every pixel is computed from the same numbers however the image is cut.
"""

from biounet.geometry.boxes import ArrayReader, ArrayWriter, Box, Reader, Writer
from biounet.geometry.covering import covering_boxes
from biounet.geometry.network import (
    Geometry,
    Needs,
    Span,
    above_linear,
    around,
    hull,
    pooled,
    traced_geometry,
    unet_geometry,
    unet_needs,
    unpooled,
)
from biounet.geometry.sizes import nearest_sizes, valid_output_size
from biounet.geometry.tiles import Tile, TilePlan, mirrored_indices, plan_tiles, read_mirrored

__all__ = [
    "ArrayReader",
    "ArrayWriter",
    "Box",
    "Geometry",
    "Needs",
    "Reader",
    "Span",
    "Tile",
    "TilePlan",
    "Writer",
    "above_linear",
    "around",
    "covering_boxes",
    "hull",
    "mirrored_indices",
    "nearest_sizes",
    "plan_tiles",
    "pooled",
    "read_mirrored",
    "traced_geometry",
    "unet_geometry",
    "unet_needs",
    "unpooled",
    "valid_output_size",
]
