"""Read and write a file format of your own: here arrays of NumPy, which know neither axes nor pixel size."""

from pathlib import Path

import numpy as np

from biounet import io
from biounet.core.errors import ImageError, OutputError
from biounet.data import find_dataset
from biounet.data.synthetic import draw_cells


class NumPy:
    """The functions that biounet asks of a format, see `biounet.io.Format`."""

    def open_lazily(self, path, *, axes=None, labels=False):
        """Open an image for reading by region; an ArrayImage holds all of it."""
        try:
            array = np.load(path, allow_pickle=False)
        except ValueError as error:
            raise ImageError(f"{path.name} is no array of NumPy; write it with numpy.save") from error
        return io.ArrayImage(io.Image(array, axes or "TCZYX"[-array.ndim :]))

    def write(self, path, image, *, overwrite=False):
        """Write a whole image."""
        if path.exists() and not overwrite:
            raise OutputError(f"{path} exists; delete it or choose another name")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, image.array)


io.FORMATS = io.FORMATS | {".npy": NumPy()}
for number in range(4):
    for folder, pixels in zip(
        ("images", "labels"), draw_cells(np.random.default_rng(number), size=(64, 64)), strict=True
    ):
        io.write(f"cells/{folder}/{number}.npy", io.Image(pixels, "YX"), overwrite=True)
dataset = find_dataset(Path("cells"))  # biounet train would take it, too
image = io.read("cells/images/0.npy")
