"""Runs of tiny networks: a whole run and the loop on its own, for the tests that train; one that has learnt nothing."""

import numpy as np
import torch
from lightning_fabric import Fabric

from biounet.config import ModelConfig, RunConfig
from biounet.data.annotated_image import AnnotatedImage
from biounet.data.augment import Sample
from biounet.data.normalize import Normalization
from biounet.data.patches import PatchSampler
from biounet.data.training_set import TrainingSet
from biounet.models import build
from biounet.models.model_file import ModelCard, save_network
from biounet.training.distributed import make_fabric
from biounet.training.loop import fit
from biounet.training.run import TrainingRun
from biounet.training.validation import ValidationResult

TINY = {"model.width": 2, "model.depth": 1, "train.patch": 16, "train.steps": 2, "train.reports": 1}
SMALL = {
    "model.width": 4,
    "model.depth": 2,
    "model.dropout": 0.3,
    "train.patch": 32,
    "train.batch": 2,
    "train.reports": 2,
    "train.steps": 8,
    "train.precision": "float32",
}


def experiment(folder, **changes):
    rng = np.random.default_rng(0)
    target = rng.integers(0, 2, (16, 16))
    items = [AnnotatedImage("a", rng.normal(size=(1, 16, 16)).astype(np.float32), target, target)]
    config = RunConfig.preset("default").updated({**TINY, **changes})
    fabric = make_fabric("cpu", config.train.precision)
    return TrainingRun(config, TrainingSet(items, items, "classes", ()), Normalization(), folder, fabric)


def squares() -> list[Sample]:
    """Bright squares on dark ground: a task that a few steps get better at."""
    rng = np.random.default_rng(0)
    samples = []
    for _ in range(3):
        labels = np.zeros((48, 48), np.int64)
        for row, column in rng.integers(0, 40, (4, 2)):
            labels[row : row + 8, column : column + 8] = 1
        image = labels + rng.normal(0, 0.2, labels.shape)
        samples.append(Sample(torch.from_numpy(image[None].astype(np.float32)), torch.from_numpy(labels), None))
    return samples


def run(
    folder,
    *,
    preset="default",
    scores=None,
    validate=None,
    stop=None,
    resume=False,
    yielded=None,
    options=None,
    **changes,
):
    """Train the tiny network with options of `fit`; return the steps that the loop yielded."""
    config = RunConfig.preset(preset).updated(
        {**SMALL, **{key.replace("__", "."): value for key, value in changes.items()}}
    )
    geometry = build(config.model).geometry
    size = (32, 32) if geometry.padded else geometry.input_size((8, 8))
    source = PatchSampler(squares(), geometry, size, config.augment, config.train)
    card = ModelCard(model=config.model, normalization=Normalization())
    given = iter(scores or [0.5] * 100)
    folder.mkdir(exist_ok=True)
    steps = fit(
        config,
        source,
        validate or (lambda net: ValidationResult({"score": next(given)})),
        card,
        folder,
        fabric=Fabric(accelerator="cpu", devices=1),
        resume=resume,
        **(options or {}),
    )
    yielded = [] if yielded is None else yielded
    for step in steps:
        yielded.append(step)
        if step.number == stop:
            steps.close()
            break
    return yielded


def write_constant_model(folder, *, trained_on, foreground, **train):
    """Write a run with a network that gives every pixel one probability of the foreground."""
    config = ModelConfig(width=2, depth=1, norm="none")
    net = build(config)
    with torch.no_grad():
        for weight in net.parameters():
            weight.zero_()
        net.head.bias[1] = np.log(foreground / (1 - foreground))
    training = {"trained_on": trained_on, "settings": {"train": train}}
    folder.mkdir(parents=True)
    save_network(
        folder / "model.safetensors", net, ModelCard(model=config, normalization=Normalization(), training=training)
    )
