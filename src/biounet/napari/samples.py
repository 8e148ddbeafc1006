"""Sample data: an image to try the widgets on, drawn so that nothing is downloaded."""

from typing import Any

from biounet.core.random import generator
from biounet.data.synthetic import draw_cells

__all__ = ["cells"]


def cells() -> list[tuple[Any, dict[str, Any], str]]:
    """Touching cells and their annotation, as layers of napari.

    Examples
    --------
    >>> [(pixels.shape, kind) for pixels, options, kind in cells()]
    [((256, 256), 'image'), ((256, 256), 'labels')]
    """
    image, labels = draw_cells(generator(0, 0, 0))
    return [(image, {"name": "cells"}, "image"), (labels, {"name": "annotation"}, "labels")]
