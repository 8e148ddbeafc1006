"""Read and write a file format of your own: here arrays of NumPy, which know neither axes nor pixel size."""

from pathlib import Path

import numpy as np

from biounet.core.errors import ImageError, OutputError
from biounet.data import find_dataset
from biounet.data.synthetic import draw_cells
from biounet.io import ArrayImage, Format, Holds, Image, Selection, formats, read, write


def open_npy(path, *, selection=Selection(), labels=False):
    """Open an image for reading by region; an ArrayImage holds all of it."""
    selection.check_single(path, "NumPy")
    try:
        array = np.load(path, allow_pickle=False)
    except ValueError as error:
        raise ImageError(f"{path.name} is no array of NumPy; write it with numpy.save") from error
    return ArrayImage(Image(array, selection.axes or "TCZYX"[-array.ndim :]))


def write_npy(path, image, *, overwrite=False):
    """Write a whole image; without this function the format is only read."""
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists; delete it or choose another name")
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, image.array)


holds = Holds(axes="ZYX", dtypes=("uint8", "uint16", "uint32", "float32"))
numpy = Format(name="NumPy", suffixes=(".npy",), open_lazily=open_npy, write=write_npy, holds=(holds,))
formats.FORMATS = formats.FORMATS | {"NumPy": numpy}
for number in range(4):
    image, labels = draw_cells(np.random.default_rng(number), size=(64, 64))
    write(f"cells/images/{number}.npy", Image(image, "YX"), overwrite=True)
    write(f"cells/labels/{number}.npy", Image(labels, "YX"), overwrite=True)
dataset = find_dataset(Path("cells"))  # biounet train would take it, too
image = read("cells/images/0.npy")
