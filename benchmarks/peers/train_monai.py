"""The plain 2D U-Net of MONAI's tutorials, on background, inside and border, with a watershed from the insides."""

import importlib.metadata

import monai
import numpy as np
import torch
from monai.transforms import (
    Compose,
    RandFlipd,
    RandGaussianNoised,
    RandRotate90d,
    RandScaleIntensityd,
    RandSpatialCropd,
    ScaleIntensityRangePercentilesd,
    SpatialPadd,
)
from program import processor_seconds, run, training_pairs
from scipy import ndimage
from skimage.morphology import remove_small_objects
from skimage.segmentation import find_boundaries, watershed

PATCH, BATCH, RATE, SMALLEST = 256, 4, 1e-3, 20
KEYS = ("image", "classes")
SCALE = ScaleIntensityRangePercentilesd("image", 1, 99.8, 0, 1, clip=False)


def classes(labels):
    """0 background, 1 inside, 2 the border: the outermost pixels of each object."""
    return np.where(find_boundaries(labels, mode="inner"), 2, labels > 0)


def objects(probabilities):
    """Objects grown by a watershed from the insides over all that is not background, from (3, Y, X)."""
    found = probabilities.argmax(axis=0)
    seeds, _ = ndimage.label(remove_small_objects(found == 1, max_size=SMALLEST - 1))
    return watershed(-probabilities[1], seeds, mask=found > 0)


def batches(samples):
    """Batches of patches without end, each image as often as the others."""
    draw = Compose(
        [
            SpatialPadd(KEYS, (PATCH, PATCH), mode="reflect"),
            RandSpatialCropd(KEYS, (PATCH, PATCH), random_size=False),
            RandRotate90d(KEYS, prob=0.75),
            RandFlipd(KEYS, prob=0.5, spatial_axis=0),
            RandScaleIntensityd("image", factors=0.4, prob=1),
            RandGaussianNoised("image", prob=0.5, std=0.02),
        ]
    ).set_random_state(0)
    rng, waiting = np.random.default_rng(0), []
    while True:
        while len(waiting) < BATCH:
            waiting += list(rng.permutation(len(samples)))
        drawn = [draw(samples[waiting.pop()]) for _ in range(BATCH)]
        yield tuple(torch.stack([sample[key].as_tensor() for sample in drawn]) for key in KEYS)


def sample(image, labels=None):
    """An image, scaled, with its classes if there are labels: a dictionary of (1, Y, X)."""
    given = {"image": image[None].astype(np.float32)}
    return SCALE(given if labels is None else given | {"classes": classes(labels)[None]})


def train(folder, seconds):
    torch.set_num_threads(1)
    monai.utils.set_determinism(0)
    samples = [sample(*pair) for pair in zip(*training_pairs(folder), strict=True)]
    net = monai.networks.nets.UNet(
        spatial_dims=2,
        in_channels=1,
        out_channels=3,
        channels=(16, 32, 64, 128, 256),
        strides=(2, 2, 2, 2),
        num_res_units=2,
        norm="batch",
    )
    loss = monai.losses.DiceCELoss(to_onehot_y=True, softmax=True)
    optimiser = torch.optim.Adam(net.parameters(), RATE)
    began, updates = processor_seconds(), 0
    for images, targets in batches(samples):
        used = (processor_seconds() - began) / seconds
        if used >= 1:
            break
        optimiser.param_groups[0]["lr"] = RATE * (1 + np.cos(np.pi * used)) / 2
        optimiser.zero_grad()
        loss(net(images), targets).backward()
        optimiser.step()
        updates += 1
    net.eval()

    def segment(image):
        whole = sample(image)["image"].as_tensor()[None]
        with torch.inference_mode():
            logits = monai.inferers.sliding_window_inference(whole, (PATCH, PATCH), BATCH, net, 0.25, mode="gaussian")
        return objects(logits[0].softmax(0).numpy())

    versions = {name: importlib.metadata.version(name) for name in ("monai", "torch")}
    return segment, {"updates": updates, "versions": versions}


if __name__ == "__main__":
    run(train)
