"""Train MONet on drawn scenes without labels, score it on scenes that it never saw, and show what its slots hold."""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from crops import draw_crops, read_nuclei
from safetensors.torch import load_file, save_file
from scenes import draw_scenes
from torch import Tensor

from biounet.core.random import generator
from biounet.io import Image, write
from biounet.metrics import adjusted_rand_index, dice
from biounet.models.device import has_bfloat16
from monet import Decomposition, MONet, loss_of

SIZE, SLOTS, WIDTH = 32, 4, 16
REPORT = 250  # steps
UNSEEN = 200  # scenes that are scored in the end
HARDER = {"scenes with soft edges": {"soft": True}, "scenes of blobs of one colour": {"alike": True}}
BFLOAT16 = has_bfloat16(torch.device("cpu"))
Draw = Callable[[np.random.Generator, int, bool], tuple[np.ndarray, np.ndarray]]
"""Draws a number of images (N, C, Y, X) and labels (N, Y, X), of what is to be learnt from or of what is unseen."""


@dataclass(frozen=True)
class Report:
    """State of training: steps, mean loss since the last report, adjusted Rand index on unseen scenes."""

    step: int
    loss: float
    score: float


def decompose(net: MONet, images: np.ndarray) -> Decomposition:
    """Return the decomposition of images (N, C, Y, X), without chance."""
    net.eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=BFLOAT16):
        found = net(torch.from_numpy(images))
    net.train()
    return found


def score(found: Decomposition, labels: np.ndarray) -> float:
    """Return the mean adjusted Rand index over scenes with labels (N, Y, X), of all pixels whose label is above 0."""
    return float(np.mean(list(map(adjusted_rand_index, labels, found.labels().numpy()))))


def train_step(net: MONet, optimizer: torch.optim.Optimizer, images: Tensor) -> float:
    """Improve the network on a batch (N, C, Y, X); return the loss before."""
    with torch.autocast("cpu", torch.bfloat16, enabled=BFLOAT16):
        found = net(images)
    loss = loss_of(images, found)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def fit(
    net: MONet, optimizer: torch.optim.Optimizer, draw: Draw, *, steps: int, batch: int, seed: int = 0
) -> Iterator[Report]:
    """Train on new scenes in each step; chance is a function of seed and step.

    The learning rate is constant, and falls to 0 in the second half.
    """
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1, 2 * (1 - step / steps)))
    unseen, labels = draw(generator(seed, 0, 0, stream="unseen"), 100, False)
    losses: list[float] = []
    for step in range(steps):
        scenes, _ = draw(generator(seed, step, 0, stream="scenes"), batch, True)
        torch.manual_seed(int(generator(seed, step, 0, stream="latents").integers(2**63)))
        losses.append(train_step(net, optimizer, torch.from_numpy(scenes)))
        schedule.step()
        if (step + 1) % REPORT == 0 or step + 1 == steps:
            yield Report(step + 1, float(np.mean(losses)), score(decompose(net, unseen), labels))
            losses = []


def picture(images: np.ndarray, found: Decomposition) -> np.ndarray:
    """Return a picture (3, Y, X), uint8: in each row a scene, what all slots give, the masks, what each slot gives."""
    rows = [
        np.concatenate([image, mixture, *masks, *parts], axis=-1)
        for image, mixture, masks, parts in zip(
            images,
            found.mixture().numpy(),
            found.masks.exp()[:, :, None].expand(-1, -1, images.shape[1], -1, -1).numpy(),
            found.images.numpy(),
            strict=True,
        )
    ]
    whole = np.concatenate(rows, axis=1).repeat(3, axis=1).repeat(3, axis=2)
    return (255 * np.broadcast_to(whole, (3, *whole.shape[1:])).clip(0, 1)).astype(np.uint8)


def print_scores(net: MONet, name: str, scenes: tuple[np.ndarray, np.ndarray]) -> None:
    """Print how well the network takes scenes (N, C, Y, X) apart whose labels (N, Y, X) are known."""
    images, labels = scenes
    found = decompose(net, images)
    foreground = dice(labels > 0, found.labels().numpy() > 1)
    print(
        f"{name}: adjusted Rand index of the foreground {score(found, labels):.3f}, "
        f"Dice of all slots but the first {foreground:.3f}",
        flush=True,
    )


def draw_from(folder: Path | None, *, grey: bool) -> Draw:
    """Return what draws scenes: of blobs, or as crops of a dataset of nuclei, a quarter of whose images is held out."""
    if folder is None:
        return lambda rng, count, known: draw_scenes(rng, count, grey=grey)
    nuclei = read_nuclei(folder)
    parts = {
        known: [each for number, each in enumerate(nuclei) if (number % 4 > 0) == known] for known in (True, False)
    }
    return lambda rng, count, known: draw_crops(rng, parts[known], count)


def main(arguments: list[str] | None = None) -> None:
    """Train as the command line says; write ``model.safetensors`` and ``slots.png``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the network and the picture")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=1e-3, help="learning rate of Adam")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--grey", action="store_true", help="grey scenes")
    parser.add_argument("--nuclei", type=Path, help="a dataset of nuclei, whose crops are the scenes, e.g. dsb2018")
    parser.add_argument("--start", type=Path, help="model.safetensors to begin with")
    given = parser.parse_args(arguments)

    torch.manual_seed(given.seed)
    net = MONet(1 if given.grey else 3, SIZE, slots=SLOTS, width=WIDTH)
    if given.start:
        net.load_state_dict(load_file(given.start))
    draw = draw_from(given.nuclei, grey=given.grey)
    optimizer = torch.optim.Adam(net.parameters(), lr=given.rate)
    if given.start:
        print_scores(net, "before training", draw(generator(given.seed, 2, 0, stream="unseen"), UNSEEN, False))
    begin = time.monotonic()
    for report in fit(net, optimizer, draw, steps=given.steps, batch=given.batch, seed=given.seed):
        minutes = (time.monotonic() - begin) / 60
        print(
            f"step {report.step}, {minutes:.1f} min: loss {report.loss:.0f}, adjusted Rand index {report.score:.3f}",
            flush=True,
        )
    print_scores(net, "unseen scenes", draw(generator(given.seed, 2, 0, stream="unseen"), UNSEEN, False))
    if not given.nuclei:
        for name, options in HARDER.items():
            rng = generator(given.seed, 2, 0, stream="unseen")
            print_scores(net, name, draw_scenes(rng, UNSEEN, grey=given.grey, **options))
    given.out.mkdir(parents=True, exist_ok=True)
    save_file(net.state_dict(), given.out / "model.safetensors")
    scenes, _ = draw(generator(given.seed, 1, 0, stream="unseen"), 8, False)
    write(given.out / "slots.png", Image(picture(scenes, decompose(net, scenes)), "CYX"), overwrite=True)


if __name__ == "__main__":
    main()
