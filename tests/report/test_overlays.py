"""Labels in colours on their image."""

import numpy as np
import PIL.Image
import pytest

from biounet.core.errors import OutputError, ShapeError
from biounet.io import Image, Selection, write
from biounet.report.layers import CLASS_COLORS
from biounet.report.overlays import draw_labels, is_overlay, middle_plane, write_overlay

GREY = np.zeros((1, 8, 8), np.uint8)
LABELS = np.zeros((8, 8), np.int32)
LABELS[1:4, 1:4], LABELS[1:4, 4:7], LABELS[6, :] = 1, 2, -1


def test_background_stays_and_labels_that_touch_differ():
    drawn = np.asarray(draw_labels(GREY, LABELS, numbered=True, edges=True))
    assert (drawn[0] == 128).all()  # a constant image is grey
    assert (drawn[2, 2] != drawn[2, 5]).any()
    assert (drawn[2, 3] != drawn[2, 2]).any()  # the edge
    assert {bool((drawn[6, x] == 158).all()) for x in range(8)} == {True, False}  # stripes


def test_classes_have_the_colours_of_the_page():
    drawn = np.asarray(draw_labels(GREY, LABELS, numbered=False, edges=True))
    assert (drawn[3, 1] == CLASS_COLORS[1]).all()  # of an edge, the full colour
    assert (drawn[3, 5] == CLASS_COLORS[2]).all()


def test_a_picture_is_of_the_middle_of_a_stack_in_the_channels_that_were_read(tmp_path):
    pixels = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)
    write(tmp_path / "a.tif", Image(pixels, "CZYX"))
    assert (middle_plane(tmp_path / "a.tif", Selection(channel=(1,))) == pixels[1:, 1]).all()
    labels = np.zeros((3, 4, 5), np.uint16)
    labels[1, 1:3, 1:3] = 1
    write(tmp_path / "labels.tif", Image(labels, "ZYX"))
    where = {"image": tmp_path / "a.tif", "result": tmp_path / "labels.tif"}
    write_overlay(tmp_path / "new" / "a.png", **where, numbered=True)
    with PIL.Image.open(tmp_path / "new" / "a.png") as picture:
        assert (picture.size, picture.mode) == ((5, 4), "RGB")
        assert len({tuple(pixel) for pixel in np.asarray(picture)[1:3, 1:3].reshape(-1, 3).tolist()}) > 1
    with pytest.raises(OutputError, match="exists"):
        write_overlay(tmp_path / "new" / "a.png", **where, numbered=True)


def test_large_images_are_shown_smaller_and_larger_ones_not_at_all(tmp_path, monkeypatch):
    write(tmp_path / "a.tif", Image(np.zeros((10, 6), np.uint8), "YX"))
    monkeypatch.setattr("biounet.report.overlays.LONGEST", 4)
    write_overlay(tmp_path / "a.png", tmp_path / "a.tif", tmp_path / "a.tif", numbered=True)
    with PIL.Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (2, 4)
    with pytest.raises(ShapeError, match="too many for a picture"):
        middle_plane(tmp_path / "a.tif", Selection(), largest=59)


def test_pictures_of_ours_are_known(tmp_path):
    write(tmp_path / "a.tif", Image(np.zeros((4, 4), np.uint8), "YX"))
    write_overlay(tmp_path / "a.png", tmp_path / "a.tif", tmp_path / "a.tif", numbered=True)
    assert is_overlay(tmp_path / "a.png")
    PIL.Image.new("L", (4, 4)).save(tmp_path / "b.png")
    (tmp_path / "c.png").write_bytes(b"notes")
    assert not any(is_overlay(tmp_path / name) for name in ("a.tif", "b.png", "c.png", "d.png"))
