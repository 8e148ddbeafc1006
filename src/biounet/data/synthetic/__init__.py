"""Synthetic microscope images with exact labels: neural membranes in EM, touching cells in light microscopy."""

from biounet.data.synthetic.cells import draw_cells, draw_volume
from biounet.data.synthetic.membranes import draw_membranes

__all__ = ["draw_cells", "draw_membranes", "draw_volume"]
