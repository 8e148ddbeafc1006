"""Microscope images that never were, with exact labels: membranes in electron microscopy, touching cells in light."""

from biounet.synthetic.cells import draw_cells, draw_volume
from biounet.synthetic.membranes import draw_membranes

__all__ = ["draw_cells", "draw_membranes", "draw_volume"]
