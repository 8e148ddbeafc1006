"""Jobs: tiles are read and encoded as the whole image would be, and settings fit the model."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from biounet.config import ModelConfig
from biounet.core.boxes import Box
from biounet.core.errors import ConfigError, ImageError
from biounet.data.normalize import Normalization
from biounet.inference.job import Job, JobSettings, load_ensemble
from biounet.inference.model import load_model
from biounet.io import Image, write
from biounet.models import build
from biounet.models.model_file import ModelCard, save_network


@pytest.fixture
def settings(tmp_path):
    config = ModelConfig(width=2, depth=1, padding="same")
    card = ModelCard(model=config, normalization=Normalization(), target="foreground")
    save_network(tmp_path / "model.safetensors", build(config), card)
    pixels = np.random.default_rng(0).integers(0, 255, (2, 20, 30)).astype(np.uint8)
    write(tmp_path / "in.tif", Image(pixels, "TYX"))
    return JobSettings((tmp_path / "model.safetensors",), tmp_path / "in.tif", save="probabilities")


def test_tiles_that_were_sent_are_those_of_the_whole_image(settings):
    with Job(settings, load_ensemble(settings), step=(16, 16)) as job:
        assert (job.shape, job.axes, job.dtype, job.channels) == ((2, 20, 30), "TYX", np.float32, 1)
        result = np.empty(job.shape, job.dtype)

        def put(task, pixels):
            result[task.frame][task.tile.output.slices] = pixels[0]

        tasks = pickle.loads(pickle.dumps([task for frame in range(2) for task in job.tasks(frame)]))
        assert sum(job.run(tasks, put, batch=3)) == 2 * 2 * 2
        whole = job.image.read(Box((0, 0, 0), job.shape))
    model = load_model(settings.models[0])
    for frame, pixels in zip(result, whole, strict=True):
        np.testing.assert_allclose(frame, model.predict(pixels)[1], atol=1e-6)


def test_a_tile_that_is_no_number_is_told_by_image_frame_and_place(settings):
    with Job(settings, load_ensemble(settings), step=(16, 16)) as job:
        last = list(job.tasks(1))[-1]
        job.net = lambda inputs, output: np.full((len(inputs), 2, *output), np.nan, np.float32)
        with pytest.raises(ImageError, match=r"in.tif: .*NaN or infinity at T 1, Y 16 to 20, X 16 to 30"):
            list(job.run([last], lambda task, pixels: pytest.fail("it was stored")))


@pytest.mark.parametrize(("confidence", "channels"), [(False, 1), (True, 2)])
def test_elevation_maps_come_with_the_foreground_where_confidence_is_wanted(settings, confidence, channels):
    settings = JobSettings(settings.models, settings.input, confidence=confidence)
    with Job(settings, load_ensemble(settings), step=(16, 16)) as job:
        assert job.numbers_objects
        task = list(job.tasks(0))[-1]
        given = np.random.default_rng(0).dirichlet((1, 1), (16, 16)).transpose(2, 0, 1).astype(np.float32)
        pixels = job.encode(task, given)
        assert pixels.shape == (channels, 4, 14)
        np.testing.assert_array_equal(pixels[0] > 0, given[1, :4, :14] > 0.5)
        np.testing.assert_array_equal(pixels[1:], given[1:channels, :4, :14])


def test_settings_fit_what_the_model_has_learnt():
    settings = JobSettings((), Path("in.tif"))
    cards = {
        target: ModelCard(model=ModelConfig(), normalization=Normalization(), target=target)
        for target in ("classes", "foreground", "image")
    }
    assert [settings.fitted(card).save for card in cards.values()] == ["labels", "labels", "image"]
    with pytest.raises(ConfigError, match="has learnt target image, it cannot save probabilities"):
        JobSettings((), Path("in.tif"), save="probabilities").fitted(cards["image"])
    with pytest.raises(ConfigError, match="leave link out"):
        JobSettings((), Path("in.tif"), link=True).fitted(cards["classes"])
