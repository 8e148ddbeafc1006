"""A small image with three objects, and datasets of it."""

import numpy as np
import PIL.Image
import tifffile

IMAGE = np.arange(8 * 10, dtype=np.uint8).reshape(8, 10)
CELLS = np.zeros((8, 10), np.uint16)
CELLS[1:3, 1:3], CELLS[1:3, 3:5], CELLS[5:7, 1:9] = 1, 2, 7


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        PIL.Image.fromarray(array).save(path)
    else:
        tifffile.imwrite(path, array, photometric="minisblack", **options)


def make_set(folder, labels, *, images=None, labels_folder="labels", suffix=".tif"):
    for number, array in enumerate(labels):
        save(folder / "images" / f"cell{number}{suffix}", IMAGE if images is None else images[number])
        save(folder / labels_folder / f"cell{number}.tif", array)
    return folder
