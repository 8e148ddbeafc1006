"""Several images and levels in a TIFF file: one is chosen where it is plain, and the others are told."""

import numpy as np
import pytest
import tifffile

from biounet.core.errors import ImageError
from biounet.io import open_lazily, read
from biounet.io.image import notes_of

NOISE = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)


def save(path, *images, **options):
    with tifffile.TiffWriter(path, **options) as writer:
        for image in images:
            writer.write(image, photometric="minisblack")
    return path


def said_of(path, **options):
    with open_lazily(path, **options) as image:
        return notes_of(image)


@pytest.mark.parametrize("ome", [True, False])
def test_smaller_images_are_left_out_and_told(tmp_path, ome):
    path = save(tmp_path / "two.ome.tif", NOISE, NOISE[:60, :60], ome=ome)
    assert np.array_equal(read(path).array, NOISE)
    [note] = said_of(path)
    assert note.startswith("it holds 2 images, the first is read; left out: 1 ")
    assert note.endswith("(60 x 60 px); --series N takes another") or "1 60 x 60 px;" in note


@pytest.mark.parametrize("ome", [True, False])
def test_the_second_image_is_read_by_its_number(tmp_path, ome):
    path = save(tmp_path / "two.ome.tif", NOISE, NOISE[:60, :60], ome=ome)
    assert np.array_equal(read(path, series=1).array, NOISE[:60, :60])
    assert said_of(path, series=1) == ()
    with pytest.raises(ImageError, match="images 0 to 1; there is no series 2"):
        read(path, series=2)


def test_images_of_one_size_are_asked_about(tmp_path):
    path = save(tmp_path / "two.ome.tif", NOISE, NOISE[::-1], ome=True)
    with pytest.raises(ImageError, match=r"holds 2 images: 0 .*, 1 .*; choose one by --series N"):
        read(path)


def test_a_slide_has_levels_with_larger_pixels(tmp_path):
    slide = np.kron(NOISE, np.ones((8, 8), np.uint8))
    told = "Aperio Image Library v11.2.1 \r\n512x512 [0,0 512x512] (64x64) JPEG/RGB Q=70|AppMag = 20|MPP = 0.5"
    with tifffile.TiffWriter(tmp_path / "slide.svs") as writer:
        writer.write(slide, tile=(64, 64), description=told, metadata=None)
        writer.write(slide[::8, ::8], description="Aperio thumbnail", metadata=None, rowsperstrip=16)
        writer.write(slide[::4, ::4], tile=(64, 64), description="Aperio Image Library", metadata=None)
    found = read(tmp_path / "slide.svs", level=1)
    assert np.array_equal(found.array, slide[::4, ::4])
    assert found.spacing == (2.0, 2.0)
    with pytest.raises(ImageError, match="levels 0 to 1, no level 2"):
        read(tmp_path / "slide.svs", level=2)


def test_a_plain_file_has_one_image_of_one_size(tmp_path):
    path = save(tmp_path / "a.tif", NOISE)
    with pytest.raises(ImageError, match="one image, 0; there is no series 1"):
        read(path, series=1)
    with pytest.raises(ImageError, match="one size of its image, no level 1"):
        read(path, level=1)


PAGES = np.random.default_rng(1).integers(0, 255, (10, 20, 30)).astype(np.uint8)


@pytest.mark.parametrize(
    ("axes", "shape"), [("T2ZYX", (2, 5, 20, 30)), ("TZ2YX", (5, 2, 20, 30)), ("t2z5yx", (2, 5, 20, 30))]
)
def test_pages_are_divided_by_the_sizes_of_axes(tmp_path, axes, shape):
    tifffile.imwrite(tmp_path / "a.tif", PAGES, photometric="minisblack", metadata=None)
    found = read(tmp_path / "a.tif", axes=axes)
    assert found.axes == "TZYX"
    assert np.array_equal(found.array, PAGES.reshape(shape))


def test_pages_without_sizes_are_along_the_first_axis_and_it_is_said(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", PAGES, photometric="minisblack", metadata=None)
    found = read(tmp_path / "a.tif", axes="TZYX")
    assert (found.axes, found.array.shape) == ("TYX", PAGES.shape)
    [note] = said_of(tmp_path / "a.tif", axes="TZYX")
    assert (
        note
        == "its 10 pages are all taken for T; if there are several Z, say how many of the others, as in --axes T2ZYX"
    )


@pytest.mark.parametrize("axes", ["T3ZYX", "T2Z4YX"])
def test_sizes_that_do_not_divide_the_pages_are_refused(tmp_path, axes):
    tifffile.imwrite(tmp_path / "a.tif", PAGES, photometric="minisblack", metadata=None)
    with pytest.raises(ImageError, match=f"10 pages do not divide into --axes {axes}"):
        read(tmp_path / "a.tif", axes=axes)


def test_the_pages_of_a_plain_stack_are_told(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", PAGES, photometric="minisblack", metadata=None)
    assert said_of(tmp_path / "a.tif") == ("its 10 pages are taken for sections (Z); if it is a film give --axes TYX",)
    assert said_of(tmp_path / "a.tif", axes="ZYX") == ()


def test_what_is_converted_is_told(tmp_path):
    tifffile.imwrite(tmp_path / "white.tif", PAGES[0], photometric="miniswhite")
    tifffile.imwrite(tmp_path / "side.tif", PAGES[0], photometric="minisblack", extratags=[(274, 3, 1, 6, True)])
    colours = np.zeros((3, 256), np.uint16)
    tifffile.imwrite(tmp_path / "palette.tif", PAGES[0], photometric="palette", colormap=colours)
    assert "WhiteIsZero" in said_of(tmp_path / "white.tif")[0]
    assert "Orientation" in said_of(tmp_path / "side.tif")[0]
    assert "palette" in said_of(tmp_path / "palette.tif")[0]
