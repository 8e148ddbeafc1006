"""Datasets become annotated images: targets from objects, weights where asked for, settings that fit."""

from dataclasses import replace

import numpy as np
import PIL.Image
import pytest
import torch

from biounet.config import RunConfig
from biounet.core.errors import ConfigError, ShapeError
from biounet.core.labels import IGNORE
from biounet.data.annotated_image import AnnotatedImage
from biounet.data.normalize import Normalization
from biounet.data.sample_cache import SamplesOnDevice, prepare_samples
from biounet.data.training_set import TrainingSet
from biounet.io import Image, write
from biounet.training.prepare import fit_to_data
from training_sets import load_training_set

CPU = torch.device("cpu")
TWO_CELLS = np.array([[1, 1, 0, 2, 2], [1, 1, 0, 2, 2]])


def item(labels, *, channels=1, target=None):
    target = np.minimum(labels, 1) if target is None else target
    return AnnotatedImage("a.tif", np.zeros((channels, *labels.shape), np.float32), labels, target.astype(np.int64))


def dataset(folder, labels, *, images=3):
    for number in range(images):
        image = np.arange(labels.size, dtype=np.uint8).reshape(labels.shape)
        write(folder / "images" / f"{number}.tif", Image(image, "YX"))
        write(folder / "labels" / f"{number}.tif", Image(labels.astype(np.int16), "YX"))
    return folder


def test_touching_objects_get_a_line_of_background_and_unknown_stays_unknown(tmp_path):
    labels = np.array([[1, 1, 2, 2, 0, -3]] * 3)
    data = load_training_set(dataset(tmp_path, labels), Normalization(), validation=0.34, target="foreground")
    assert (data.kind, data.classes, data.channels, data.largest) == ("objects", 2, 1, (3, 6))
    assert data.train[0].target.tolist() == [[1, 0, 1, 1, 0, IGNORE]] * 3


@pytest.mark.parametrize(("target", "learnt", "classes"), [("auto", "distance", 9), ("paper", "foreground", 2)])
def test_what_is_learnt_of_objects_where_the_layout_decides(tmp_path, target, learnt, classes):
    labels = np.repeat([[1] * 17 + [2] * 17 + [3] * 17], 17, axis=0).astype(np.int16)
    folder = dataset(tmp_path, labels)
    write(folder / "labels" / "0.tif", Image(labels * (labels < 3), "YX"), overwrite=True)  # numbers, no classes
    data = load_training_set(folder, Normalization(), validation=0.34, target=target)
    assert (data.kind, data.target, data.classes) == ("objects", learnt, classes)


@pytest.mark.parametrize(("target", "classes"), [("foreground", 2), ("border", 3), ("distance", 9)])
def test_a_target_has_all_its_classes_where_objects_are_small_and_do_not_touch(tmp_path, target, classes):
    labels = np.zeros((12, 12), np.int16)
    labels[2, 2], labels[9, 9] = 1, 2
    folder = dataset(tmp_path, labels)
    assert load_training_set(folder, Normalization(), validation=0.34, target=target).classes == classes


@pytest.mark.parametrize(("target", "said"), [("auto", 1), ("paper", 1), ("classes", 0), ("distance", 0)])
def test_a_target_that_is_given_needs_no_guess_of_what_labels_mean(tmp_path, target, said):
    labels = np.repeat([[1] * 17 + [2] * 17], 17, axis=0)
    folder, other = dataset(tmp_path / "a", labels), dataset(tmp_path / "b", labels)
    data = load_training_set(folder, Normalization(), validation=str(other), target=target)
    assert sum("each label number is taken for" in note for note in data.notes) == 2 * said


def test_images_are_normalised_each_by_its_own_statistics(tmp_path):
    data = load_training_set(dataset(tmp_path, np.array([[0, 1, 2]] * 3)), Normalization(), validation=0.34)
    image = data.train[0].image
    assert image.mean() == pytest.approx(0, abs=1e-6)
    assert image.std() == pytest.approx(1, rel=1e-5)


def test_another_dataset_can_be_the_validation(tmp_path):
    labels = np.array([[0, 1, 1]] * 3)
    ours, theirs = dataset(tmp_path / "a", labels), dataset(tmp_path / "b", labels, images=2)
    data = load_training_set(ours, Normalization(), validation=str(theirs))
    assert (len(data.train), len(data.validation)) == (3, 2)


def test_a_validation_set_of_other_channels_is_named(tmp_path):
    labels = np.array([[0, 1, 1]] * 3)
    ours, theirs = dataset(tmp_path / "a", labels), dataset(tmp_path / "b", labels, images=1)
    write(theirs / "images" / "0.tif", Image(np.zeros((2, 3, 3), np.uint8), "CYX"), overwrite=True)
    with pytest.raises(ShapeError, match=r"^0.tif has shape \(2, 3, 3\)"):
        load_training_set(ours, Normalization(), validation=str(theirs))


def test_settings_take_what_the_data_say_and_refuse_the_contrary():
    data = TrainingSet([item(TWO_CELLS, channels=3)], [], "objects", ())
    config = fit_to_data(RunConfig.preset("default"), data)
    assert (config.model.in_channels, config.model.classes, config.model.dims) == (3, 2, 2)
    with pytest.raises(ConfigError, match="in_channels is set to 1, the images and labels have 3"):
        fit_to_data(RunConfig().updated({"model.in_channels": 1}), data)


def test_coverage_counts_unknown_first():
    labels = np.array([[0, 1, 1, IGNORE]])
    data = TrainingSet([item(labels, target=labels)], [], "classes", ())
    assert data.coverage.tolist() == [0.25, 0.25, 0.5]


def test_weights_are_those_of_the_paper():
    data = TrainingSet([item(TWO_CELLS)], [], "objects", ())
    config = RunConfig().updated({"train.class_balance": False, "train.border_weight": 10.0})
    (sample,) = prepare_samples(data, config, SamplesOnDevice(CPU))
    assert sample.weights[0, 2].item() == pytest.approx(1 + 10 * np.exp(-((1 + 1) ** 2) / 50), rel=1e-5)
    assert sample.weights[0, 0].item() == 1


def test_a_gap_of_one_thick_slice_weighs_by_its_true_width():
    stack = np.zeros((5, 3, 3), int)
    stack[:2], stack[3:] = 1, 2
    config = RunConfig().updated({"train.class_balance": False, "train.border_weight": 10.0, "train.border_sigma": 5.0})

    def weight(spacing):
        data = TrainingSet([replace(item(stack), spacing=spacing)], [], "objects", ())
        return prepare_samples(data, config, SamplesOnDevice(CPU))[0].weights[2, 1, 1].item()

    assert weight((0.5, 0.1, 0.1)) == pytest.approx(2.353, abs=5e-4)  # 1 + 10 exp(-(5 + 5)**2 / 50)
    assert weight(None) == pytest.approx(10.231, abs=5e-4)  # 1 + 10 exp(-(1 + 1)**2 / 50)


def test_depth_in_an_object_of_thick_slices_is_its_true_depth(tmp_path):
    cell = np.zeros((3, 15, 15), np.int16)
    cell[1, 1:14, 1:14] = 1
    for name, array in (("images", cell.astype(np.uint8)), ("labels", cell)):
        for number in range(2):
            write(tmp_path / name / f"{number}.tif", Image(array, "ZYX", (0.4, 0.1, 0.1)))
    (image,) = load_training_set(tmp_path, Normalization(), validation=0.5, target="distance").train
    levels = image.target[1, 7]
    assert levels[1:8].tolist() == [2, 4, 6, 8, 8, 8, 8]  # 1, 2, 3, then 4 px: the next slice is 4 px away


def test_images_of_two_pixel_sizes_are_told(tmp_path):
    folder = dataset(tmp_path, TWO_CELLS)
    for number, step in enumerate((0.1, 0.1, 0.25)):
        image = np.arange(TWO_CELLS.size, dtype=np.uint8).reshape(TWO_CELLS.shape)
        write(folder / "images" / f"{number}.tif", Image(image, "YX", (step, step)), overwrite=True)
    notes = load_training_set(folder, Normalization(), validation=str(folder)).notes
    (told,) = [note for note in notes if "pixels differ in size" in note]
    assert "0.1 x 0.1 um in" in told
    assert "0.25 x 0.25 um in 2.tif" in told


def test_where_labels_are_classes_the_parts_of_the_foreground_are_the_objects():
    membrane = np.array([[1, 1, 0, 1, 1]])
    data = TrainingSet([item(membrane, target=membrane)], [], "classes", ())
    (sample,) = prepare_samples(data, RunConfig().updated({"train.class_balance": False}), SamplesOnDevice(CPU))
    assert sample.weights[0, 2].item() == pytest.approx(1 + 10 * np.exp(-((1 + 1) ** 2) / 50), rel=1e-5)


def test_weights_balance_the_classes_of_the_whole_set():
    labels = np.array([[0, 0, 0, 1]])
    data = TrainingSet([item(labels, target=labels)], [], "classes", ())
    (sample,) = prepare_samples(data, RunConfig().updated({"train.border_weight": 0.0}), SamplesOnDevice(CPU))
    weights = sample.weights[0]
    assert 3 * weights[0] == pytest.approx(weights[3].item())


def test_no_weights_are_kept_where_none_are_asked_for():
    data = TrainingSet([item(TWO_CELLS)], [], "classes", ())
    config = RunConfig().updated({"train.class_balance": False, "train.border_weight": 0.0})
    assert prepare_samples(data, config, SamplesOnDevice(CPU))[0].weights is None


def test_objects_can_be_learnt_by_their_borders(tmp_path):
    labels = np.array([[1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2]] * 3)
    data = load_training_set(dataset(tmp_path, labels), Normalization(), validation=0.34, target="border")
    assert (data.kind, data.target, data.classes) == ("objects", "border", 3)
    assert data.train[0].target[0].tolist() == [1, 1, 1, 1, 2, 2, 2, 2, 1, 1, 1, 1]


@pytest.mark.parametrize(("folder", "kind"), [("labels", np.uint8), ("targets", np.uint16)])
def test_an_image_is_decoded_twice_to_measure_and_to_read_it(tmp_path, monkeypatch, folder, kind):
    for number in range(4):
        noise = np.random.default_rng(number).integers(0, 255, (30, 20)).astype(np.uint8)
        write(tmp_path / "images" / f"{number}.png", Image(noise, "YX", (0.5, 0.25)))
        write(tmp_path / folder / f"{number}.tif", Image(noise.astype(kind) // (128 if kind is np.uint8 else 1), "YX"))
    decoded, decode = [], PIL.Image.open
    monkeypatch.setattr(PIL.Image, "open", lambda path, **known: (decoded.append(path.name), decode(path, **known))[1])
    data = load_training_set(tmp_path, Normalization(), validation=0.25)
    assert sorted(decoded) == [f"{number}.png" for number in range(4) for _ in range(2)]
    for item in (*data.train, *data.validation):
        assert item.spacing == pytest.approx((0.5, 0.25), rel=1e-3)


def test_the_spacing_of_a_section_is_that_of_its_pixels(tmp_path):
    stack = np.random.default_rng(0).integers(0, 255, (4, 30, 20)).astype(np.uint8)
    write(tmp_path / "train-volume.tif", Image(stack, "ZYX", (2.0, 0.5, 0.25)))
    write(tmp_path / "train-labels.tif", Image(stack // 128 * 255, "ZYX"))
    data = load_training_set(tmp_path, Normalization(), validation=0.25)
    assert [item.spacing for item in (*data.train, *data.validation)] == [pytest.approx((0.5, 0.25))] * 4
