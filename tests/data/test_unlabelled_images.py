"""Images without labels: which ones are taken, how much of each, and what is refused."""

import shutil

import numpy as np
import pytest

from biounet.core.errors import DatasetError, ImageError, ShapeError
from biounet.core.labels import IGNORE
from biounet.data import unlabelled_images
from biounet.data.normalize import Normalization
from biounet.data.unlabelled_images import read_unlabelled
from biounet.io import Image, Selection, write
from small_sets import CELLS, IMAGE, make_set
from training_sets import load_training_set


@pytest.fixture
def data(tmp_path):
    return load_training_set(
        make_set(tmp_path / "data", [CELLS] * 2, images=[IMAGE, IMAGE[::-1]]),
        Normalization(),
        validation=0.5,
        target="distance",
    )


def taken(place, data, *, pixels=10**6, selection=Selection()):
    return read_unlabelled(place, data, Normalization(), pixels=pixels, selection=selection)


def noise(seed, shape=(8, 10)):
    return np.random.default_rng(seed).integers(0, 255, shape).astype(np.uint8)


def test_images_are_normalised_and_have_no_label(tmp_path, data):
    for number in range(3):
        write(tmp_path / "more" / f"{number}.png", Image(noise(number), "YX"))
    images = taken(tmp_path / "more", data)
    assert [image.name for image in images] == ["0", "1", "2"]
    for number, image in enumerate(images):
        pixels = noise(number).astype(float)
        np.testing.assert_allclose(image.image[0], (pixels - pixels.mean()) / pixels.std(), atol=1e-5)
        assert (image.labels == IGNORE).all()
        assert (image.target == IGNORE).all()


def test_images_that_have_labels_are_left_out(tmp_path, data):
    for name, pixels in {"learnt": IMAGE, "held out": IMAGE[::-1], "new": noise(0)}.items():
        write(tmp_path / "more" / f"{name}.png", Image(np.ascontiguousarray(pixels), "YX"))
    assert [image.name for image in taken(tmp_path / "more", data)] == ["new"]
    (tmp_path / "more" / "new.png").unlink()
    with pytest.raises(DatasetError, match=r"more \(--unlabelled\) has no image but those with labels; name others"):
        taken(tmp_path / "more", data)


def test_files_of_the_dataset_and_copies_are_left_out_however_little_is_read(tmp_path, data, monkeypatch):
    monkeypatch.setitem(unlabelled_images.MOST, 2, (6, 6))
    folder = tmp_path / "data" / "images"
    write(folder / "new.png", Image(noise(0), "YX"))
    assert [image.name for image in taken(folder, data)] == ["new"]
    (tmp_path / "copies").mkdir()
    for path in folder.iterdir():
        shutil.copy(path, tmp_path / "copies" / f"copy of {path.name}")
    assert [image.name for image in taken(tmp_path / "copies", data)] == ["copy of new"]
    with pytest.raises(DatasetError, match="no image but those with labels"):
        taken(tmp_path / "data" / "labels", data)


def test_of_a_dataset_of_one_image_whose_last_rows_are_held_out_nothing_is_taken(tmp_path):
    labels, rows = np.zeros((64, 32), np.uint16), np.arange(8, 64, 16)
    for number, row in enumerate(rows, start=1):
        labels[row : row + 4, 8:16] = number
    make_set(tmp_path / "data", [labels], images=[noise(0, (64, 32))])
    data = load_training_set(tmp_path / "data", Normalization(), validation=0.25, target="distance")
    with pytest.raises(DatasetError, match="no image but those with labels"):
        taken(tmp_path / "data" / "images", data)


def test_as_many_as_there_is_room_for_and_always_the_same(tmp_path, data):
    for number in range(20):
        write(tmp_path / "more" / f"{number:02}.png", Image(noise(number), "YX"))
    names = [image.name for image in taken(tmp_path / "more", data, pixels=5 * 80)]
    assert len(names) == 5
    assert names == sorted(names)
    assert names == [image.name for image in taken(tmp_path / "more", data, pixels=5 * 80 + 79)]
    assert names != [f"{number:02}" for number in range(5)]
    assert len(taken(tmp_path / "more", data, pixels=1)) == 1


def test_of_a_stack_sections_are_taken_and_of_several_one_of_each_first(tmp_path, data):
    for name, sections in {"a": 30, "b": 2}.items():
        stack = np.stack([noise(number + sections) for number in range(sections)])
        write(tmp_path / "more" / f"{name}.tif", Image(stack, "ZYX"))
    names = [image.name for image in taken(tmp_path / "more", data, pixels=6 * 80)]
    assert sorted(name[0] for name in names) == ["a"] * 4 + ["b"] * 2
    assert len(set(names)) == 6
    assert len(taken(tmp_path / "more" / "a.tif", data)) == 30  # the stack itself may be named


def test_of_a_large_image_the_middle_is_taken(tmp_path, data, monkeypatch):
    monkeypatch.setitem(unlabelled_images.MOST, 2, (6, 6))
    pixels = noise(0, (7, 20))
    write(tmp_path / "more" / "a.png", Image(pixels, "YX"))
    (image,) = taken(tmp_path / "more", data)
    middle = pixels[0:6, 7:13].astype(float)
    np.testing.assert_allclose(image.image[0], (middle - middle.mean()) / middle.std(), atol=1e-5)


def test_of_a_volume_the_middle_is_taken_too(tmp_path, monkeypatch):
    monkeypatch.setitem(unlabelled_images.MOST, 3, (2, 6, 8))
    for number in range(2):
        write(tmp_path / "data" / "images" / f"cell{number}.tif", Image(noise(number, (3, 8, 10)), "ZYX"))
        write(tmp_path / "data" / "labels" / f"cell{number}.tif", Image(np.stack([CELLS] * 3), "ZYX"))
    data = load_training_set(tmp_path / "data", Normalization(), validation=0.5, target="distance")
    pixels = noise(9, (5, 8, 10))
    write(tmp_path / "more" / "a.tif", Image(pixels, "ZYX"))
    (image,) = taken(tmp_path / "more", data)
    middle = pixels[1:3, 1:7, 1:9].astype(float)
    np.testing.assert_allclose(image.image[0], (middle - middle.mean()) / middle.std(), atol=1e-5)
    write(tmp_path / "flat" / "a.tif", Image(noise(9), "YX"))
    with pytest.raises(ShapeError, match=r"a\.tif: the network takes volumes, axes ZYX, the image has YX"):
        taken(tmp_path / "flat", data)


def test_channels_fit_those_of_the_training_set(tmp_path):
    colour = [np.stack([IMAGE, IMAGE[::-1], IMAGE]), np.stack([IMAGE, IMAGE, IMAGE[::-1]])]
    for number, pixels in enumerate(colour):
        write(tmp_path / "data" / "images" / f"cell{number}.png", Image(pixels, "CYX"))
        write(tmp_path / "data" / "labels" / f"cell{number}.tif", Image(CELLS, "YX"))
    data = load_training_set(tmp_path / "data", Normalization(), validation=0.5, target="distance")
    write(tmp_path / "more" / "grey.png", Image(noise(0), "YX"))
    (image,) = taken(tmp_path / "more", data)
    assert image.image.shape == (3, 8, 10)
    write(tmp_path / "two" / "two.tif", Image(np.stack([noise(0)] * 2), "CYX"))
    with pytest.raises(ShapeError, match="the network takes 3 channels, the image has 2"):
        taken(tmp_path / "two", data)
    (image,) = taken(tmp_path / "two", data, selection=Selection(channel=(1,)))
    assert image.image.shape == (3, 8, 10)


def test_what_cannot_be_read_is_named(tmp_path, data):
    with pytest.raises(DatasetError, match=r"nowhere: there is no such folder of images, or stack, for --unlabelled"):
        taken(tmp_path / "nowhere", data)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match=r"empty \(--unlabelled\) has no image; name a folder of images, or a stack"):
        taken(tmp_path / "empty", data)
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    with pytest.raises(ImageError, match=r"a\.png"):
        taken(tmp_path / "torn", data)
