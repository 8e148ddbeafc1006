"""Synthetic microscope images with exact labels: neural membranes in EM, touching cells in light microscopy."""

from biounet.data.synthetic.cells import draw_cells, draw_volume
from biounet.data.synthetic.membranes import draw_membranes
from biounet.data.synthetic.varied import draw_varied_cells

__all__ = ["draw_cells", "draw_membranes", "draw_varied_cells", "draw_volume"]
