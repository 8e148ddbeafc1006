"""Folds hold each image out once, and share what was read of the others."""

from math import inf

import numpy as np
import pytest

from biounet.config import RunConfig
from biounet.data import dataset as reading
from biounet.data.annotated_image import AnnotatedImageReader
from biounet.data.normalize import Normalization
from biounet.data.split import split_dataset
from biounet.data.subset import choose_strips
from biounet.data.training_set import read_split
from biounet.io import Image, write
from biounet.training.cross_validation import fold_data, of_one_fold, read_folds


@pytest.fixture
def dataset(noise_dataset):
    return noise_dataset(images=4, side=16)


def test_minutes_are_those_of_all_folds():
    settings = of_one_fold(RunConfig().updated({"train.minutes": 10}), 5)
    assert (settings.train.minutes, settings.train.validation) == (2, 0)
    assert of_one_fold(RunConfig().updated({"train.steps": 10}), 5).train.steps == 10


def test_images_to_draw_are_normalised_by_those_that_a_fold_learns_from(tmp_path):
    """Of two images and two folds each learns from one: the held-out one, brighter or darker, does not count."""
    dataset = tmp_path / "data"
    for number, brightness in enumerate((1, 100)):
        image = brightness * np.arange(256, dtype=np.float32).reshape(16, 16)
        write(dataset / "images" / f"{number}.tif", Image(image, "YX"))
        write(dataset / "targets" / f"{number}.tif", Image(3 * image, "YX"))
    dataset_split = split_dataset(dataset, validation=0.0)
    data = read_split(dataset_split, Normalization())
    for part, brightness in zip(fold_data(dataset_split, data, Normalization(), 2), (100, 1), strict=True):
        assert part.normalization.offset == pytest.approx((127.5 * brightness,))
        assert part.target_normalization.offset == pytest.approx((3 * 127.5 * brightness,))
        assert part.train[0].image.mean() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("folder", ["labels", "targets"])
def test_of_a_fold_as_many_images_are_validated_on_as_the_settings_have_room_for(tmp_path, folder):
    for number in range(4):
        image = np.arange(256, dtype=np.uint16 if folder == "targets" else np.uint8).reshape(16, 16)
        write(tmp_path / "images" / f"{number}.tif", Image(image, "YX"))
        write(tmp_path / folder / f"{number}.tif", Image(image if folder == "targets" else image // 128, "YX"))
    dataset_split = split_dataset(tmp_path, validation=0.0)
    data = read_split(dataset_split, Normalization())
    for part in fold_data(dataset_split, data, Normalization(), 2, pixels=300):
        assert (len(part.train), len(part.validation)) == (2, 1)
        assert sum("of 2 images held out, 1 are validated on" in note for note in part.notes) == 1


@pytest.mark.parametrize("memory", [0, inf])
def test_of_images_that_are_too_large_to_validate_on_strips_are(dataset, monkeypatch, memory):
    """Of 16 x 16 pixels as many rows as have 64: two strips of two rows."""
    for name, value in {"undivided": 0, "rows": 2}.items():
        monkeypatch.setitem(choose_strips.__kwdefaults__, name, value)
    dataset_split = split_dataset(dataset, validation=0.0)
    data = read_split(dataset_split, Normalization(), memory=memory)
    assert data.in_memory == (memory > 0)
    whole = {source.name: source.read() for source in data.train}
    for part in fold_data(dataset_split, data, Normalization(), 2, memory=memory, pixels=64):
        assert [item.labels.shape for item in part.validation] == [(2, 16)] * 2
        for item in part.validation:
            name, rows = item.name.split(", rows ")
            top = int(rows.split()[0])
            np.testing.assert_array_equal(item.image, whole[name].image[:, top : top + 2])
            assert name not in [image.name for image in part.train]


@pytest.mark.parametrize("memory", [0, inf])
def test_folds_read_no_image_for_what_is_known_of_it(dataset, monkeypatch, memory):
    """Of four images in two folds each is validated on once: in files it is read for that, its statistics are known."""
    dataset_split, read, names = split_dataset(dataset, validation=0.0), AnnotatedImageReader.read, []
    data = read_split(dataset_split, Normalization(), memory=memory)
    assert len(data.statistics) == 4
    monkeypatch.setattr(AnnotatedImageReader, "read", lambda *given: (names.append(given[-1].name), read(*given))[1])
    known = {image.name: image for image in data.statistics}
    for part in fold_data(dataset_split, data, Normalization(), 2, memory=memory):
        assert all(image is known[image.name] for image in part.statistics)
    assert sorted(names) == ([] if memory else sorted(known))


@pytest.mark.parametrize("memory", [0, inf])
def test_a_dataset_is_found_once_for_all_folds(dataset, tmp_path, monkeypatch, memory):
    """Labels are read to count them, and with their images: by the one who reads all, and by each fold if it has to."""
    read, read_labels = [], reading.read_labels
    monkeypatch.setattr(
        reading, "read_labels", lambda path, **how: (read.append(path.name), read_labels(path, **how))[1]
    )
    settings = of_one_fold(RunConfig.preset("default").updated({"train.target": "classes"}), 2)
    _, parts, *_ = read_folds(dataset, settings, 2, memory=memory)
    assert len(list(parts)) == 2
    assert [read.count(f"{number}.png") for number in range(4)] == [1 + 1 + (memory == 0)] * 4
