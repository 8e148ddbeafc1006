"""The check of exactness finds a network that is not what it says."""

from dataclasses import replace

import numpy as np
import pytest

from biounet.config import ModelConfig
from biounet.data.normalize import Normalization
from biounet.inference.job import Job, OpenJob, Predictor
from biounet.inference.verify import largest_difference
from biounet.io import Image, write
from biounet.models import build
from biounet.models.model_file import ModelCard, save_network


@pytest.fixture
def job(tmp_path):
    config = ModelConfig(width=4, depth=2, padding="same")
    save_network(tmp_path / "m.safetensors", build(config), ModelCard(model=config, normalization=Normalization()))
    pixels = np.random.default_rng(0).integers(0, 255, (150, 130)).astype(np.uint8)
    write(tmp_path / "in.tif", Image(pixels, "YX"))
    return Job((tmp_path / "m.safetensors",), tmp_path / "in.tif")


@pytest.mark.parametrize("step", [(40, 40), (64, 132), (152, 132), (4, 40)])
def test_exact_tiles_differ_by_rounding(job, step):
    with OpenJob(job, Predictor(job), step=step) as opened:
        assert largest_difference(opened) <= 1e-5


def test_tiles_off_the_grid_are_found(job):
    predictor = Predictor(job)
    geometry = predictor.net.geometry
    assert geometry.grid == (4, 4)
    # As if the network pooled once instead of twice: poolings meet the pixels in other groups in every second tile.
    predictor.net.geometry = replace(geometry, grid=(2, 2))
    with OpenJob(job, predictor, step=(36, 36)) as opened:
        assert largest_difference(opened) > 1e-3
