"""Read and write a file format of your own: here pixels as text, as ImageJ saves a Text Image, without pixel size."""

from pathlib import Path

import numpy as np

from biounet.core.errors import ImageError, OutputError
from biounet.data import find_dataset
from biounet.data.synthetic import draw_cells
from biounet.io import ArrayImage, Format, Holds, Image, Selection, formats, read, write


def open_text(path, *, selection=Selection(), labels=False):
    """Open an image for reading by region; an ArrayImage holds all of it."""
    selection.check_single(path, "a text image")
    try:
        array = np.loadtxt(path, dtype=np.uint16, ndmin=2)
    except ValueError as error:
        raise ImageError(f"{path.name} is no text of numbers; save it as Text Image") from error
    return ArrayImage(Image(array, "YX"))


def write_text(path, image, *, overwrite=False):
    """Write a whole image; without this function the format is only read."""
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists; delete it or choose another name")
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, image.array, fmt="%d")


holds = Holds(axes="YX", dtypes=("uint8", "uint16"))
text = Format(name="Text Image", suffixes=(".txt",), open_lazily=open_text, write=write_text, holds=(holds,))
formats.FORMATS = formats.FORMATS | {"Text Image": text}
for number in range(4):
    image, labels = draw_cells(np.random.default_rng(number), size=(64, 64))
    write(f"cells/images/{number}.txt", Image(image, "YX"), overwrite=True)
    write(f"cells/labels/{number}.txt", Image(labels, "YX"), overwrite=True)
dataset = find_dataset(Path("cells"))  # biounet train would take it, too
image = read("cells/images/0.txt")
