"""The check of exactness finds a network that is not what it says."""

from dataclasses import replace

import numpy as np
import pytest

from biounet.config import ModelConfig
from biounet.data.normalize import Normalization
from biounet.inference.job import Job, JobSettings, load_ensemble
from biounet.inference.verify import largest_difference
from biounet.io import Image, write
from biounet.models import build
from biounet.models.model_file import ModelCard, save_network


@pytest.fixture
def settings(tmp_path):
    config = ModelConfig(width=4, depth=2, padding="same")
    save_network(tmp_path / "m.safetensors", build(config), ModelCard(model=config, normalization=Normalization()))
    pixels = np.random.default_rng(0).integers(0, 255, (150, 130)).astype(np.uint8)
    write(tmp_path / "in.tif", Image(pixels, "YX"))
    return JobSettings((tmp_path / "m.safetensors",), tmp_path / "in.tif")


@pytest.mark.parametrize("step", [(40, 40), (64, 132), (152, 132), (4, 40)])
def test_exact_tiles_differ_by_rounding(settings, step):
    with Job(settings, load_ensemble(settings), step=step) as job:
        assert largest_difference(job) <= 1e-5


def test_tiles_off_the_grid_are_found(settings):
    net = load_ensemble(settings)
    assert net.geometry.grid == (4, 4)
    # As if the network pooled once instead of twice: poolings meet the pixels in other groups in every second tile.
    net.geometry = replace(net.geometry, grid=(2, 2))
    with Job(settings, net, step=(36, 36)) as job:
        assert largest_difference(job) > 1e-3
