"""Microscope images that never were, with exact labels: membranes in electron microscopy, touching cells in light."""

from biounet.data.synthetic.cells import draw_cells, draw_volume
from biounet.data.synthetic.membranes import draw_membranes

__all__ = ["draw_cells", "draw_membranes", "draw_volume"]
