"""Small projects: folders of drawn images, and labels that are drawn in them."""

import numpy as np

from biounet.core.boxes import Box
from biounet.core.labels import IGNORE
from biounet.io import Image, write
from biounet.workspace import Edit

SIZE = (96, 120)


def draw_spots(folder, *, images=1, size=SIZE, axes="YX", leading=()):
    """Write images of bright squares on dark ground; return the folder."""
    rng = np.random.default_rng(0)
    for number in range(images):
        pixels = rng.normal(20, 3, (*leading, *size))
        for top, left in rng.integers(0, min(size) - 12, (6, 2)):
            pixels[..., top : top + 10, left : left + 10] += 120
        write(folder / "images" / f"spots_{number}.tif", Image(pixels.clip(0, 255).astype(np.uint8), axes))
    return folder


def nothing(box):
    """Predict nothing."""
    return np.full(box.shape, IGNORE, np.int32)


def rectangle(top, left, bottom, right, **options):
    """Make an edit that outlines a rectangle."""
    return Edit(kind="outline", points=((top, left), (top, right), (bottom, right), (bottom, left)), **options)


def everything(store, plane=(0, 0)):
    """Read all labels of a plane."""
    return store.plane(plane).read(Box((0, 0), store.file.size))
