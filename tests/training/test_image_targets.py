"""Images from images, from the folder to the drawn file: recognised or refused, learnt, drawn in units of the truth."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from torch import nn

import biounet
from biounet.cli.train import describe
from biounet.config import AugmentConfig, RunConfig
from biounet.config.tasks import TASKS
from biounet.core.errors import ConfigError, DatasetError, LabelError, ShapeError
from biounet.core.geometry import Geometry
from biounet.data import find_dataset
from biounet.data.annotated_image import AnnotatedImage
from biounet.data.augment import Sample, bend
from biounet.data.normalize import Normalization
from biounet.data.sample_cache import SamplesOnDevice, prepare_samples
from biounet.evaluation import evaluate
from biounet.inference.files import predict_files
from biounet.inference.model import load_model
from biounet.inference.overlap_tile import predict_array
from biounet.io import Image, read, write
from biounet.metrics.image_quality import image_errors, image_scores
from biounet.models import OF_CLASSES
from biounet.models.model_file import read_card
from biounet.models.pix2pix import PatchGAN
from biounet.training import adversarial as adversary
from biounet.training.losses import LOSSES
from biounet.training.prepare import fit_to_data
from biounet.training.validation import Validation, predict, score
from training_sets import load_training_set

TINY = {"model.width": 4, "model.depth": 2, "train.patch": 32, "train.reports": 1, "train.steps": 40}


def denoising(folder, *, images=4, size=(40, 48)):
    """Smooth scenes, of which few photons are detected; the truth is 100 times as bright as a photon."""
    rng = np.random.default_rng(0)
    for number in range(images):
        scene = gaussian_filter(rng.normal(size=size), 3)
        scene = np.clip(8 + 4 * scene / scene.std(), 0, None)
        write(folder / "images" / f"{number}.tif", Image(rng.poisson(scene).astype(np.uint8), "YX"))
        write(folder / "targets" / f"{number}.tif", Image((100 * scene).astype(np.float32), "YX"))
    return folder


# The folder


def test_images_with_targets_are_recognised_and_read_as_they_are(tmp_path):
    dataset = find_dataset(denoising(tmp_path))
    assert (dataset.layout, dataset.pairs[0].kind) == ("images and targets", "images")
    image, target = dataset.load(dataset.pairs[1])
    assert (image.dtype, target.dtype, image.shape, target.shape) == ("uint8", "float32", (1, 40, 48), (1, 40, 48))
    np.testing.assert_array_equal(target[0], read(tmp_path / "targets" / "1.tif").array)


def test_a_single_image_is_divided_into_rows_with_its_target(tmp_path):
    data = load_training_set(denoising(tmp_path, images=1), Normalization(), validation=0.25)
    assert (data.train[0].labels.shape, data.validation[0].labels.shape) == ((1, 30, 48), (1, 10, 48))


def test_a_target_that_is_missing_or_too_many_is_named(tmp_path):
    folder = denoising(tmp_path)
    (folder / "targets" / "2.tif").rename(folder / "2.tif")
    with pytest.raises(DatasetError, match=r"2.tif has no target; add targets/2.tif or move the image away"):
        find_dataset(folder)
    (folder / "images" / "2.tif").unlink()
    (folder / "2.tif").rename(folder / "targets" / "2.tif")
    with pytest.raises(DatasetError, match=r"2.tif has no image; add it or move the target away"):
        find_dataset(folder)


def test_targets_of_another_size_are_refused(tmp_path):
    folder = denoising(tmp_path)
    write(folder / "targets" / "1.tif", Image(np.ones((40, 47), np.float32), "YX"), overwrite=True)
    with pytest.raises(ShapeError, match=r"1.tif has 40 x 47 pixels, its image 1.tif has 40 x 48"):
        find_dataset(folder)


def test_targets_of_other_channels_are_refused(tmp_path):
    folder = denoising(tmp_path)
    write(folder / "targets" / "1.tif", Image(np.ones((2, 40, 48), np.float32), "CYX"), overwrite=True)
    with pytest.raises(DatasetError, match=r"has 1 channels, 1.tif has 2"):
        find_dataset(folder)


def test_labels_are_no_images_unless_they_are_floats(tmp_path):
    labels = np.zeros((40, 48))
    labels[3:9] = 2
    for kind in (np.uint8, np.float32):
        folder = denoising(tmp_path / np.dtype(kind).name)
        for number in range(4):
            write(folder / "targets" / f"{number}.tif", Image(labels.astype(kind), "YX"), overwrite=True)
    with pytest.raises(LabelError, match="2 values in all targets are labels, not images; call the folder labels"):
        find_dataset(tmp_path / "uint8")
    assert find_dataset(tmp_path / "float32").pairs[0].kind == "images"


def test_labels_beside_targets_are_refused(tmp_path):
    (denoising(tmp_path) / "labels").mkdir()
    with pytest.raises(DatasetError, match="has both targets and labels; leave there what is to be learnt"):
        find_dataset(tmp_path)


def test_what_is_to_be_learnt_must_be_there(tmp_path):
    folder = denoising(tmp_path)
    with pytest.raises(DatasetError, match=r"has targets, train.target is classes; it needs a folder labels"):
        load_training_set(folder, Normalization(), validation=0.25, target="classes")
    (folder / "targets").rename(folder / "labels")
    for number in range(4):
        labels = np.zeros((40, 48), np.uint8)
        labels[9:] = 1
        write(folder / "labels" / f"{number}.tif", Image(labels, "YX"), overwrite=True)
    with pytest.raises(DatasetError, match=r"has labels, train.target is image; it needs a folder targets"):
        load_training_set(folder, Normalization(), validation=0.25, target="image")


# The mathematics


@given(st.sampled_from(TASKS["images"].losses), st.booleans())
def test_losses_of_images(name, weighted):
    chance = torch.Generator().manual_seed(0)
    truth = torch.randn(2, 3, 4, 5, generator=chance, dtype=torch.float64)
    truth[0, 1, 2] = torch.nan
    drawn = torch.randn(2, 3, 4, 5, generator=chance, dtype=torch.float64).requires_grad_()
    weight = torch.rand(2, 4, 5, generator=chance, dtype=torch.float64) if weighted else None
    assert torch.autograd.gradcheck(lambda given: LOSSES[name](given, truth, weight), drawn)
    LOSSES[name](drawn, truth, weight).backward()
    assert not drawn.grad[0, 1, 2].any()
    assert float(LOSSES[name](truth.nan_to_num(), truth, weight)) == 0


@pytest.mark.parametrize("name", TASKS["images"].losses)
def test_classes_are_no_target_of_a_loss_of_images(name):
    with pytest.raises(ShapeError, match="must fit"):
        LOSSES[name](torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4, dtype=torch.int64), None)


def test_scores_of_a_stack_are_not_the_mean_of_those_of_its_images():
    counts = [image_errors(np.array([0, 2]), np.array([0, 0])), image_errors(np.array([8, 8]), np.array([8, 8]))]
    # One pixel of 4 is off by 2; the truth is 4.5 on average, its squares 132, its range 8.
    scores = image_scores(counts)
    assert (scores["mae"], scores["rmse"]) == (0.5, 1.0)
    assert scores["psnr"] == pytest.approx(20 * np.log10(8))
    assert scores["r2"] == pytest.approx(1 - 4 / (132 - 4 * 4.5**2))
    assert np.isnan(image_scores(counts[1:])["r2"])


def test_one_field_bends_an_image_and_its_target():
    image = torch.rand(1, 24, 24, generator=torch.Generator().manual_seed(0))
    sample = Sample(image, torch.cat([2 * image, image + 1]))
    bent = bend(np.random.default_rng(1), sample, AugmentConfig())
    torch.testing.assert_close(bent.labels, torch.cat([2 * bent.image, bent.image + 1]))
    ignoring = AugmentConfig(labels_outside="ignore", rotate=45, elastic=0)
    unknown = bend(np.random.default_rng(1), sample, ignoring).labels.isnan()
    assert unknown.any()
    assert not unknown.all()


def test_images_and_targets_are_normalised_with_the_training_set(tmp_path):
    data = load_training_set(denoising(tmp_path), Normalization(), validation=0.25)
    images = np.concatenate([item.image.ravel() for item in data.train])
    assert (images.mean(), images.std()) == (pytest.approx(0, abs=1e-5), pytest.approx(1, rel=1e-5))
    config = fit_to_data(RunConfig.preset("default"), data)
    samples = prepare_samples(data, config, SamplesOnDevice(torch.device("cpu")))
    targets = torch.cat([sample.labels.flatten() for sample in samples])
    assert (float(targets.mean()), float(targets.std())) == (pytest.approx(0, abs=1e-4), pytest.approx(1, rel=1e-3))
    assert data.train[0].labels.max() > 500


def test_settings_of_images_are_those_not_named_by_hand(tmp_path):
    data = load_training_set(denoising(tmp_path), Normalization(), validation=0.25)
    config = fit_to_data(RunConfig.preset("default").updated({"augment.noise": 0.3}), data)
    assert (config.model.classes, config.train.loss, config.augment.gamma, config.augment.noise) == (1, "l1", 1.0, 0.3)
    with pytest.raises(ConfigError, match=r"train.loss must be one of l1, l2 for such targets, got 'dice'"):
        fit_to_data(RunConfig.preset("default").updated({"train.loss": "dice"}), data)


class Twice(nn.Module):
    """Draws what it sees, and its double."""

    geometry = Geometry((1, 1), (0, 0), (0, 0), padded=True)

    def forward(self, image):
        return torch.cat([image, 2 * image], dim=1)


def test_a_drawn_image_comes_in_its_units():
    image = np.array([[[-1.0, 0.0, 1.0, 2.0]]], np.float32)
    units = Normalization(offset=(10.0, 0.0), scale=(5.0, 1.0))
    drawn = predict_array(Twice(), image, device=torch.device("cpu"), precision=torch.float32, units=units, tta=True)
    assert drawn.tolist() == [[[5, 10, 15, 20]], [[-2, 0, 2, 4]]]
    item = AnnotatedImage("a", image, drawn + np.array([0, 1])[:, None, None], np.zeros((1, 4), np.int64))
    validation = Validation([item], torch.device("cpu"), torch.float32, target_normalization=units)
    result = score(predict(Twice(), validation), validation)
    scores = result.scores
    assert scores["mae"] == pytest.approx(0.5)
    assert scores["score"] == pytest.approx(result.per_image[0]["r2"]) == pytest.approx(1 - 4 / (786 - 58**2 / 8))


# The whole way


@pytest.mark.parametrize("name", ["unet", "pix2pix"])
def test_noise_is_taken_away(tmp_path, monkeypatch, name):
    monkeypatch.setattr(adversary, "PatchGAN", partial(PatchGAN, width=4))
    folder = denoising(tmp_path / "set")
    changes = {"model.name": name, "train.validation": 0.25, "train.precision": "float32"}
    if name == "pix2pix":  # learns slower, since no skip goes around its first stride
        changes |= {"train.adversarial": 0.01, "model.width": 16, "train.steps": 150}
    settings = RunConfig.preset("default").updated(TINY | changes)
    biounet.train(folder, tmp_path / "run", settings=settings, device="cpu")
    card = read_card(tmp_path / "run")
    assert (card.target, card.model.classes) == ("image", 1)
    assert card.training["scores"]["score"] > 0.3
    assert (tmp_path / "run" / "report.html").stat().st_size > 1000

    held_out = folder / "images" / f"{card.training['validated_on'][0]}"
    options = {"tile": 16, "device": "cpu", "precision": "float32"}
    (written,) = predict_files(tmp_path / "run", [held_out], tmp_path / "out", **options)
    drawn, truth = read(written).array, read(folder / "targets" / held_out.name).array
    assert (drawn.dtype, drawn.shape) == (np.float32, truth.shape)
    assert np.abs(drawn - truth).mean() == pytest.approx(card.training["scores"]["mae"], rel=1e-3)

    model = load_model(tmp_path / "run")
    again = model.predict(read(held_out).array, precision="float32")[0]
    np.testing.assert_allclose(again, drawn, rtol=1e-4, atol=1e-2)
    with pytest.raises(ConfigError, match="the model draws images, which have no labels"):
        model.segment(read(held_out).array)
    with pytest.raises(ConfigError, match="has learnt target image, it cannot save classes"):
        predict_files(tmp_path / "run", [held_out], tmp_path / "classes", save="classes")


@pytest.mark.parametrize("name", sorted(OF_CLASSES))
def test_architectures_of_classes_are_refused_before_anything_is_written(tmp_path, name):
    settings = RunConfig.preset("default").updated(TINY | {"model.name": name, "train.validation": 0.25})
    folder = denoising(tmp_path / "set")
    with pytest.raises(ConfigError, match=f"{name} learns classes, the targets are images; try --model unet") as caught:
        biounet.train(folder, tmp_path / "run", settings=settings, device="cpu")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match=f"{name} learns classes"):
        list(describe(folder, settings, device="cpu"))


def test_check_says_what_is_there(tmp_path):
    settings = RunConfig.preset("default").updated(TINY | {"train.validation": 0.25})
    lines = list(describe(denoising(tmp_path), settings, device="cpu"))
    assert "targets: images of 1 channel" in lines
    assert any("no change of light" in line for line in lines)


def test_drawn_images_are_scored_against_true_ones(tmp_path):
    folder = denoising(tmp_path / "set", images=2)
    for number in range(2):
        true = read(folder / "targets" / f"{number}.tif").array
        write(tmp_path / "drawn" / f"{number}.tif", Image(true[None] + number, "CYX"))
    scores = evaluate(tmp_path / "drawn", folder, metrics=["image"])
    assert scores.scores["mae"] == pytest.approx(0.5)
    assert scores.images["0.tif"]["psnr"] == np.inf
    with pytest.raises(LabelError, match="labels are integers"):
        evaluate(tmp_path / "drawn", folder)
    with pytest.raises(ConfigError, match="metrics must be image alone, or among"):
        evaluate(tmp_path / "drawn", folder, metrics=["image", "overlap"])
    write(tmp_path / "drawn" / "1.tif", Image(true[:-1], "YX"), overwrite=True)
    with pytest.raises(ShapeError, match=r"1.tif has axes YX \(39, 48\), 1.tif has YX \(40, 48\)"):
        evaluate(tmp_path / "drawn", folder, metrics=["image"])


@pytest.mark.parametrize(("axes", "first"), [("ZYX", 0), ("TZYX", 0), ("CZYX", 1)])
def test_some_sections_of_drawn_images_are_scored(tmp_path, axes, first):
    """Section 1 is off by 1, section 2 by 3; of a stack in time, sections are frames."""
    truth = np.random.default_rng(0).random((3, *(2, 8, 8)[-len(axes) + 1 :]))
    off = np.array([0, 1, 3]).reshape(3, *[1] * (truth.ndim - 1))
    true, drawn = (np.moveaxis(array.astype(np.float32), 0, first) for array in (truth, truth + off))
    write(tmp_path / "true.tif", Image(true, axes))
    write(tmp_path / "whole.tif", Image(drawn, axes))
    write(tmp_path / "part.tif", Image(drawn.take([1, 2], first), axes))
    for name in ("whole", "part"):
        scores = evaluate(tmp_path / f"{name}.tif", tmp_path / "true.tif", metrics=["image"], sections=slice(1, 3))
        assert scores.scores["mae"] == pytest.approx(2)
    with pytest.raises(ConfigError, match=r"sections 5: select nothing of the 3 in true\.tif"):
        evaluate(tmp_path / "whole.tif", tmp_path / "true.tif", metrics=["image"], sections=slice(5, None))
