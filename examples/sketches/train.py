"""Train a U-Net to paint line drawings of cells as a reference shows them, and measure what the reference is worth."""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from drawings import STAINS, draw_cells
from painter import Painter, StyleDiscriminator, StyleFeatures
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from biounet.core.random import generator
from biounet.io import Image, write
from biounet.models.device import has_bfloat16

GREY, COLOUR, ADVERSARIAL = 0.3, 0.9, 0.01
"""Weights of the L1 losses of the guides, and of the adversarial loss, beside 1 for the L1 loss of the painting."""
BFLOAT16 = has_bfloat16(torch.device("cpu"))
LUMA = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)


def draw(seed: int, step: int, count: int, *, stream: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return line drawings (N, 1, Y, X), paintings (N, 3, Y, X) and numbers of stains (N,) of a step."""
    rng = generator(seed, step, 0, stream=stream)
    stains = rng.integers(len(STAINS), size=count)
    lines, paintings = draw_cells(rng, stains)
    return torch.from_numpy(lines), torch.from_numpy(paintings), torch.from_numpy(stains)


def autocast() -> torch.autocast:
    """Return the context in which networks compute in bfloat16 where the processor multiplies it."""
    return torch.autocast("cpu", torch.bfloat16, enabled=BFLOAT16)


def fit_features(features: StyleFeatures, *, steps: int, batch: int, seed: int) -> float:
    """Train the features to tell stains apart; return the share of unseen paintings that they tell right."""
    optimizer = torch.optim.Adam(features.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 1 / steps, total_iters=steps)
    for step in range(steps):
        _, paintings, stains = draw(seed, step, batch, stream="classes")
        with autocast():
            logits = features.classify(paintings)
        optimizer.zero_grad()
        functional.cross_entropy(logits.float(), stains).backward()
        optimizer.step()
        schedule.step()
    features.eval().requires_grad_(False)
    _, paintings, stains = draw(seed, 0, 64, stream="unseen")
    return (features.classify(paintings).argmax(dim=1) == stains).float().mean().item()


def l1_loss(outputs: tuple[Tensor, Tensor, Tensor], paintings: Tensor) -> Tensor:
    """L1 loss of the painting and, by their weights, of the guides; the grey guide learns the brightness."""
    painting, grey, colour = (output.float() for output in outputs)
    brightness = (LUMA * paintings).sum(dim=1, keepdim=True)
    guides = GREY * functional.l1_loss(grey, brightness) + COLOUR * functional.l1_loss(colour, paintings)
    return functional.l1_loss(painting, paintings) + guides


def verdict_loss(logits: Tensor, *, true: bool) -> Tensor:
    """Negative log-likelihood of patches being true, or drawn."""
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(true)))


class Training:
    """A painter, its discriminator and their optimisers."""

    def __init__(self, features: StyleFeatures, *, width: int = 16, rate: float = 1e-3) -> None:
        self.features = features
        self.painter = Painter(features.connected.out_features, width=width)
        self.discriminator = StyleDiscriminator(len(STAINS), width=width)
        for weight in self.discriminator.parameters():
            if weight.ndim > 1:
                nn.init.normal_(weight, std=0.02)
        self.optimizer = torch.optim.Adam(self.painter.parameters(), lr=rate)
        self.opponent = torch.optim.Adam(self.discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))

    def step(self, lines: Tensor, paintings: Tensor, stains: Tensor) -> float:
        """Improve both on a batch, in which each painting is the reference of its own line drawing; return the L1."""
        with autocast():
            outputs = self.painter(lines, self.features(paintings))
            judged, styles = self.discriminator(lines, outputs[0])
        adversarial = verdict_loss(judged.float(), true=True) + functional.cross_entropy(styles.float(), stains)
        loss = l1_loss(outputs, paintings)
        self.optimizer.zero_grad()
        (loss + ADVERSARIAL * adversarial).backward()
        self.optimizer.step()
        with autocast():
            judged, styles = self.discriminator(lines, paintings)
            drawn, _ = self.discriminator(lines, outputs[0].detach())
        found = functional.cross_entropy(styles.float(), stains)
        self.opponent.zero_grad()
        (verdict_loss(judged.float(), true=True) + found + verdict_loss(drawn.float(), true=False)).backward()
        self.opponent.step()
        return loss.item()


def fit(training: Training, *, steps: int, batch: int, seed: int) -> Iterator[tuple[int, float]]:
    """Train on new drawings in each step; yield the number of steps and the mean loss since the last report.

    The learning rate of the painter falls to 0 in the last quarter.
    """
    schedule = torch.optim.lr_scheduler.LambdaLR(training.optimizer, lambda step: min(1, 4 * (1 - step / steps)))
    losses = []
    for step in range(1, steps + 1):
        losses.append(training.step(*draw(seed, step, batch, stream="drawings")))
        schedule.step()
        if step % 100 == 0 or step == steps:
            yield step, float(np.mean(losses))
            losses = []


def paint(training: Training, lines: Tensor, references: Tensor) -> Tensor:
    """Return the line drawings (N, 1, Y, X) painted as references (N, 3, Y, X) are."""
    training.painter.eval()
    with torch.no_grad():
        painting, _, _ = training.painter(lines, training.features(references))
    training.painter.train()
    return painting


def evaluate(training: Training, *, seed: int, count: int = 64) -> dict[str, float]:
    """Return the mean absolute difference from the true painting, by what the reference is."""
    lines, paintings, stains = draw(seed, 0, count, stream="unseen")
    rng = generator(seed, 1, 0, stream="unseen")
    others = (stains.numpy() + rng.integers(1, len(STAINS), count)) % len(STAINS)
    references = {
        "itself": paintings,
        "another drawing of the same stain": torch.from_numpy(draw_cells(rng, stains.numpy())[1]),
        "a drawing of another stain": torch.from_numpy(draw_cells(rng, others)[1]),
    }
    return {
        name: (paint(training, lines, reference) - paintings).abs().mean().item()
        for name, reference in references.items()
    }


def picture(training: Training, *, seed: int) -> np.ndarray:
    """Return a picture (3, Y, X), uint8: a row for each of six line drawings, a column for each stain's reference."""
    rng = generator(seed, 2, 0, stream="unseen")
    lines, _ = draw_cells(rng, np.zeros(6, np.int64))
    _, references = draw_cells(rng, np.arange(len(STAINS)))
    rows = [np.concatenate([np.ones_like(references[0]), *references], axis=2)]
    for line in lines:
        painted = paint(
            training, torch.from_numpy(line)[None].expand(len(STAINS), -1, -1, -1), torch.from_numpy(references)
        )
        rows.append(np.concatenate([line.repeat(3, axis=0), *painted.numpy()], axis=2))
    whole = np.concatenate(rows, axis=1).repeat(2, axis=1).repeat(2, axis=2)
    return (255 * whole).round().astype(np.uint8)


def main(arguments: list[str] | None = None) -> None:
    """Train as the command line says; write ``model.safetensors`` and ``painted.png``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the network and the picture")
    parser.add_argument(
        "--steps", type=int, default=700, help="of the painter; its features learn for a quarter as many"
    )
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--width", type=int, default=8, help="channels of the outermost level")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)

    begin = time.monotonic()
    torch.manual_seed(given.seed)
    features = StyleFeatures(len(STAINS))
    told = fit_features(features, steps=max(given.steps // 4, 1), batch=16, seed=given.seed)
    print(f"features tell {told:.0%} of unseen paintings right")
    training = Training(features, width=given.width)
    for step, loss in fit(training, steps=given.steps, batch=given.batch, seed=given.seed):
        print(f"step {step}, {(time.monotonic() - begin) / 60:.1f} min: loss {loss:.4f}", flush=True)
    for name, value in evaluate(training, seed=given.seed).items():
        print(f"mean absolute difference from the truth, where the reference is {name}: {value:.4f}")
    given.out.mkdir(parents=True, exist_ok=True)
    weights = {f"features.{name}": value for name, value in features.state_dict().items()}
    weights |= {f"painter.{name}": value for name, value in training.painter.state_dict().items()}
    save_file(weights, given.out / "model.safetensors")
    write(given.out / "painted.png", Image(picture(training, seed=given.seed), "CYX"), overwrite=True)


if __name__ == "__main__":
    main()
