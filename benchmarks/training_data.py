"""The share of training in which a step waits for its patches: default preset, images of 512 x 512 pixels.

On a CPU patches are drawn between two steps, so that the share is that of the work. On a GPU they are drawn
beside the step before, and the bar is 3 %.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import torch

from biounet.config import RunConfig
from biounet.data.augment import Sample
from biounet.data.normalize import Normalization
from biounet.data.patches import PatchSampler
from biounet.data.synthetic import draw_membranes
from biounet.models import build
from biounet.models.model_file import ModelCard
from biounet.training.distributed import make_fabric
from biounet.training.loop import fit


def samples(count, device):
    """Images and labels on the device."""
    for number in range(count):
        image, labels = draw_membranes(np.random.default_rng(number), size=(512, 512))
        bright = torch.from_numpy(Normalization().measured(image[None]).apply(image[None]))
        yield Sample(bright.to(device), torch.from_numpy((labels > 0).astype(np.int64)).to(device), None)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--device", default="auto")
    options.add_argument("--width", type=int, default=16)
    options.add_argument("--batch", type=int, default=2)
    options.add_argument("--steps", type=int, default=10)
    given = options.parse_args()
    changes = {"model.width": given.width, "train.batch": given.batch, "train.reports": 2}
    config = RunConfig.preset("default").updated({**changes, "train.steps": 2 * given.steps})
    fabric = make_fabric(given.device, "auto")
    geometry = build(config.model).geometry
    source = PatchSampler(list(samples(4, fabric.device)), geometry, (256, 256), config.augment, config.train)
    card = ModelCard(model=config.model, normalization=Normalization())
    with tempfile.TemporaryDirectory() as folder:
        steps = list(fit(config, source, lambda net: {"score": 0.0}, card, Path(folder), fabric=fabric))
    first, last = (step.report for step in steps if step.report)  # the first half is to warm up
    result = {
        "benchmark": "training_data",
        "network": f"U-Net, width {given.width}, batch of {given.batch} x 256 x 256",
        "device": torch.cuda.get_device_name() if fabric.device.type == "cuda" else "cpu",
        "share_waiting": round(last.waiting, 4),
        "s_per_step": round((last.seconds - first.seconds) / given.steps, 4),
        "threads": torch.get_num_threads(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
