"""Whether the channels of an image are colours, or grey that is stored three times."""

import numpy as np

from biounet.data.dataset import Pair, strips
from biounet.data.label_files import region
from biounet.io import LazyImage

__all__ = ["has_colours"]


def has_colours(file: LazyImage, frame: Pair) -> bool:
    """Whether the channels of an image differ anywhere."""
    parts = (file.read(region(file, part.section, part.rows)) for part in strips(frame))
    channels = (np.moveaxis(part, file.axes.index("C"), 0) for part in parts)
    return any(bool((part != part[:1]).any()) for part in channels)
