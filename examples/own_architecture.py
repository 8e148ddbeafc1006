"""Train an architecture of your own: dilated convolutions in place of poolings (Yu and Koltun 2016)."""

from pathlib import Path

import numpy as np
from torch import nn

import biounet.models
from biounet.config import ModelConfig, RunConfig
from biounet.core.geometry import Geometry
from biounet.data.synthetic import draw_cells
from biounet.io import Image, write
from biounet.training.distributed import make_fabric
from biounet.training.prepare import prepare
from biounet.training.run import TrainingRun


def dilated(config: ModelConfig) -> nn.Module:
    """Return a network that keeps the size of an image (N, C, Y, X) and sees 1 + 2 + 4 + 8 px to each side."""
    layers, channels = [], config.in_channels
    for dilation in (1, 2, 4, 8):
        layers += [nn.Conv2d(channels, config.width, 3, padding=dilation, dilation=dilation), nn.ReLU()]
        channels = config.width
    net = nn.Sequential(*layers, nn.Conv2d(channels, config.classes, 1))
    net.geometry = Geometry(grid=(1, 1), margin=(15, 15), remainder=(0, 0), padded=True)  # what tiles need
    return net


biounet.models.MODELS = biounet.models.MODELS | {"dilated": dilated}  # in each script that opens the model
for number in range(4):
    for folder, pixels in zip(
        ("images", "labels"), draw_cells(np.random.default_rng(number), size=(128, 128)), strict=True
    ):
        write(f"cells/{folder}/{number}.tif", Image(pixels, "YX"), overwrite=True)
settings = {"model.name": "dilated", "model.width": 16, "train.patch": 64, "train.batch": 4, "train.steps": 60}
config, data, normalization, _ = prepare(Path("cells"), RunConfig.preset("default").updated(settings))
run = TrainingRun(config, data, normalization, Path("own-run"), make_fabric("cpu", "float32"))
scores = [step.report.scores["score"] for step in run.run() if step.report]
model = biounet.load_model("own-run")
