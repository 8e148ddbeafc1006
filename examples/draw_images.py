"""Draw the images of the tutorials: nuclei, a stack, tissue with classes, membranes."""

from collections.abc import Callable

import numpy as np

from biounet.data.synthetic import draw_cells, draw_membranes, draw_volume
from biounet.data.synthetic.brushes import smooth_noise
from biounet.io import Image, write


def draw_tissue(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Image and classes: 0 background, 1 nuclei, 2 fibres."""
    image, cells = draw_cells(rng, cells=14)
    fibres = np.abs(smooth_noise(rng, image.shape, 60)) < 0.05
    light = 95 * fibres + 14 * smooth_noise(rng, image.shape, 2)
    return np.where(fibres, np.maximum(image, light), image).clip(0, 255).astype(np.uint8), np.where(
        fibres, 2, cells > 0
    )


def write_images(folder: str, draw: Callable, *, seed: int, training: int = 15, more: int = 3) -> None:
    """Write annotated images into FOLDER, and images of the same kind into FOLDER-new and FOLDER-truth."""
    for number in range(training + more):
        image, labels = draw(np.random.default_rng([seed, number]))
        axes, name = "ZYX"[-image.ndim :], f"image_{number:02}.tif"
        spacing = (1.0, 0.5, 0.5)[-image.ndim :]  # micrometres per pixel
        images, truth = (f"{folder}/images", f"{folder}/labels")
        if number >= training:
            images, truth = f"{folder}-new", f"{folder}-truth"
        write(f"{images}/{name}", Image(image, axes, spacing), overwrite=True)
        write(f"{truth}/{name}", Image(labels.astype(np.uint16), axes, spacing), overwrite=True)


if __name__ == "__main__":
    write_images("nuclei", draw_cells, seed=1)
    write_images("stack", draw_volume, seed=2, training=3, more=1)
    write_images("tissue", draw_tissue, seed=3)
    write_images("membranes", lambda rng: draw_membranes(rng, size=(256, 256)), seed=4)
