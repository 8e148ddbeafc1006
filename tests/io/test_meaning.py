"""What the numbers of a file mean comes back as it was written, and other programs read the pixels as ever."""

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tifffile

from biounet.core.boxes import Box
from biounet.core.errors import ImageError
from biounet.io import Image, Meaning, attach, create, meaning_of, open_lazily, read, write
from biounet.io.meaning import meaning_of_text

CLASSES = Meaning(kind="classes", class_names=("background", "nucleus", 'Fäser, "1"'))
PIXELS = np.arange(12, dtype=np.uint8).reshape(3, 4) % 3
WHOLE = Box((0, 0), (3, 4))


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.zarr"])
@pytest.mark.parametrize("meaning", [None, Meaning(kind="objects"), CLASSES])
def test_a_file_says_what_its_numbers_mean(tmp_path, name, meaning):
    write(tmp_path / name, Image(PIXELS, "YX", None, meaning))
    found = read(tmp_path / name, labels=True)
    assert found.meaning == meaning
    assert (found.array == PIXELS).all()


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.zarr"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint32])
def test_a_file_that_is_written_by_region_says_it(tmp_path, name, dtype):
    with create(tmp_path / name, shape=(3, 4), dtype=dtype, axes="YX", meaning=CLASSES) as output:
        output.write(WHOLE, PIXELS.astype(dtype))
    assert read(tmp_path / name, labels=True).meaning == CLASSES


def test_a_store_that_another_process_completes_says_it(tmp_path):
    create(tmp_path / "a.zarr", shape=(3, 4), dtype="uint8", axes="YX", meaning=CLASSES)
    with attach(tmp_path / "a.zarr") as output:
        output.write(WHOLE, PIXELS)
    assert read(tmp_path / "a.zarr").meaning == CLASSES


def test_it_is_known_of_parts_of_a_file(tmp_path):
    write(tmp_path / "a.tif", Image(PIXELS[None, None], "CZYX", None, CLASSES))
    with open_lazily(tmp_path / "a.tif", channel=[0]) as image:
        assert image.axes == "YX"
        assert meaning_of(image) == CLASSES


def test_other_programs_read_what_they_read_before(tmp_path):
    write(tmp_path / "a.tif", Image(PIXELS, "YX", (0.5, 0.25), CLASSES))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_imagej
        assert (file.asarray() == PIXELS).all()
    write(tmp_path / "a.png", Image(PIXELS, "YX", None, CLASSES))
    assert (np.asarray(PIL.Image.open(tmp_path / "a.png")) == PIXELS).all()


@pytest.mark.parametrize("text", [None, "", "tifffile.py", "biounet-0.1", "ImageJ 1.53"])
def test_other_software_means_nothing(text):
    assert meaning_of_text(text, Path("a.tif")) is None


@pytest.mark.parametrize("document", ["{", '{"kind": "cells"}', '{"kind": "objects", "more": 1}', "[]"])
def test_damaged_words_are_refused_by_name(document):
    with pytest.raises(ImageError, match=r"a\.tif: its entry Software"):
        meaning_of_text(f"biounet-1.0 {document}", Path("a.tif"))
