"""Write docs/architectures.md: what every entry of MODELS costs and sees. Run it after a change of the table."""

import functools
import inspect
import json
import re
import tomllib
from collections.abc import Mapping
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import torch
from torch import nn

from biounet.config import ModelConfig
from biounet.core.errors import ConfigError
from biounet.inference.cost import count_cost
from biounet.models import MODELS

PAGE = Path(__file__).with_name("architectures.md")
PAPERS = Path(__file__).with_name("papers.toml")
RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
TRAININGS = RESULTS / "architectures.json"
USUAL = {"padding": "same", "norm": "batch"}
HEAD = """# Architectures

`biounet train DATASET --model NAME` trains any of them, everything else equal.

For images of one channel and two classes, with `width = 64` and `depth = 4`, padded convolutions and batch
normalisation:

| name | what it is | parameters | GFLOP per megapixel | receptive field (px) | context (px) | grid (px) | unpadded too | volumes too |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""  # noqa: E501  # a row of a table is one line
TAIL = """
* **GFLOP per megapixel**: what one more megapixel of a large image takes in prediction, a multiplication and an
  addition being two operations.
* **receptive field**: from the first to the last pixel, along an axis, that the result of one pixel depends on, at the
  place in the grid where this is most. It is the same without padding.
* **context**: pixels that a tile reads on each side beyond what it delivers, so that tiles equal the whole. It is
  the reach of the receptive field, rounded up to the grid.
* **grid**: tiles begin at multiples of it; it is the product of all poolings or strides.
* `width` is the number of channels of the outermost level, `depth` the number of poolings. Widths of
  `dense-unet` are multiples of 8, of `inception-unet` of 4.
* `unet++` and `cascade-unet` have several outputs. With `model.deep_supervision` (the default) all of them are
  trained. A trained `unet++` holds U-Nets of all smaller depths: `biounet predict --depth D` takes one out.
* `cascade-unet` predicts with its second network only in and around the foreground of the first;
  its GFLOP are those of a full image. {cascade}
* `biounet predict --save attention` writes the coefficients of the gates of an `attention-unet`.
* `sliding-window` is N4 of its paper, with `model.window=65` N3. N1 and N2 see the periphery of their window more
  coarsely: `model.foveation` is `blur` (they see 69 px), `sampling` (95 px) or `both` (99 px), with `model.window=65
  model.padding=valid model.norm=none`. They have the weights of N3 but no dense form, since the input at a pixel
  depends on its place in the window. So they predict, and validate, window by window, which takes 200 to 300 times as
  long as the dense form of N3, and learn from small patches: `train.patch=130` holds 1,024 windows of `both`.
* `pix2pix` draws images: `classes` are its output channels. `biounet.models.pix2pix.PatchGAN` is its discriminator.
* As ONNX: `torch.onnx.export(net, (image,), dynamo=True, dynamic_shapes=({{2: Dim.DYNAMIC, 3: Dim.DYNAMIC}},))` writes
  each network of the table, from normalised images of any size on the grid to logits. `net` is
  `biounet.load_model(RUN).net`, `Dim` is in `torch.export`; it takes the extra `onnx`. The tests compare the logits of
  ONNX Runtime with those of torch.
"""
CASCADE = """Of one of {size} x {size} px with {nuclei} nuclei on noise, the second
  network got {refined:.0%} of the pixels: {boxes_seconds:.1f} s in place of {everywhere_seconds:.1f} s, \
and {empty_seconds:.1f} s without nuclei; probabilities differed by
  at most {largest_difference:.1g} (`width = {width}`, {updates} updates on DSB 2018, {threads} core of {processor}; \
`benchmarks/cascade.py`)."""
PUBLISHED = """
## Parameters, against the papers

The number is *stated* by the authors, or *counted* from the layers that a paper lists or public code has. *Ours* is the
network here with the settings of theirs; those not named are the defaults of `ModelConfig`.

| name | settings | published | ours | why | source |
| --- | --- | --- | --- | --- | --- |
"""
TRAINED = """
## Trained in the same minutes

ISBI 2012, sections 0 to 19 to learn from and 20 to 23 to score on, `--preset default`, one seed, no weights from
elsewhere. The width is what the minutes pay for (`train.auto`). `pix2pix` has no row: it draws images, and these scores
are for classes. Written by `benchmarks/architectures.py`.
"""
OF_MACHINE = """
{threads} core{s} of {processor}, {precision}:

| name | minutes | width | parameters | updates | pixel error | Rand error | warping error | V_rand | V_info | s per update | GiB in training | s per megapixel | GiB in prediction |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""  # noqa: E501  # a row of a table is one line
SLID = """
The sliding window is predicted in one pass. Window by window, as published, a megapixel takes {seconds:,.0f} s at this
width of {width} maps; the network of the paper has 48.
"""
END = """
This page is written by `docs/make_architectures.py`.
"""


def page() -> str:
    """Return the text of the page."""
    cascade = CASCADE.format(**json.loads((RESULTS / "cascade.json").read_text()))
    return HEAD + table([row(name) for name in MODELS]) + TAIL.format(cascade=cascade) + published() + trainings() + END


def table(rows: list[list[str]]) -> str:
    """Rows of a table."""
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def published() -> str:
    """How many parameters the networks of the papers have, and ours with the same settings."""
    papers = tomllib.loads(PAPERS.read_text())
    return PUBLISHED + table([published_row(name, papers[name]) for name in MODELS])


def published_row(name: str, paper: Mapping[str, Any]) -> list[str]:
    """What the table says of a paper."""
    settings = " ".join(f"{key}={value}" for key, value in paper["settings"].items())
    rounded = "about " if "rounding" in paper else ""
    return [
        f"`{name}`",
        f"`{settings}`" if settings else "",
        f"{rounded}{paper['published']:,}" if "published" in paper else "none",
        f"{count(sketch(name, **paper['settings'])):,}",
        "; ".join(f"{number:+,} {why}" for number, why in paper.get("differences", [])),
        paper["source"],
    ]


def trainings() -> str:
    """What the trainings of all architectures gave, as far as there are any."""
    if not TRAININGS.exists():
        return ""
    text, machine = TRAINED, itemgetter("threads", "processor", "precision")
    lines = sorted(map(json.loads, TRAININGS.read_text().splitlines()), key=place)
    for _, group in groupby(sorted(lines, key=machine, reverse=True), machine):
        found = {line["name"]: line for line in group}
        first, slid = next(iter(found.values())), found.get("sliding-window")
        text += OF_MACHINE.format(**first, s="s" * (first["threads"] > 1))
        text += table([trained_row(line) for line in found.values()])
        if slid:
            seconds = slid["prediction_seconds_per_megapixel_window_by_window"]
            text += SLID.format(seconds=seconds, width=slid["width"])
    return text


def place(line: Mapping[str, Any]) -> int:
    """Where a line of results stands in the table."""
    return list(MODELS).index(line["name"])


def trained_row(line: Mapping[str, Any]) -> list[str]:
    """What the table says of a training."""
    return [
        f"`{line['name']}`",
        *(f"{line[key]:,g}" for key in ("minutes", "width")),
        *(f"{line[key]:,}" for key in ("parameters", "updates")),
        *(f"{line[key]:.4f}" for key in ("pixel_error", "rand_error")),
        f"{line['warping_error']:.5f}",
        *(f"{line[key]:.3f}" for key in ("v_rand", "v_info", "seconds_per_step")),
        f"{line['train_peak_bytes'] / 2**30:.1f}",
        f"{line['prediction_seconds_per_megapixel']:.1f}",
        f"{line['predict_peak_bytes'] / 2**30:.1f}",
    ]


def row(name: str) -> list[str]:
    """What the table says of an architecture."""
    net = sketch(name, **USUAL)
    return [
        f"`{name}`",
        description(name),
        f"{count(net):,}",
        f"{operations_per_pixel(net) / 1000:,.0f}",
        str(net.geometry.receptive_field[0]),
        str(net.geometry.margin[0]),
        str(net.geometry.grid[0]),
        yes(name, padding="valid"),
        yes(name, dims=3),
    ]


def sketch(name: str, **settings: object) -> nn.Module:
    """Build a network without numbers."""
    with torch.device("meta"):
        return MODELS[name](ModelConfig(name=name, **settings)).eval()


def count(net: nn.Module) -> int:
    """Return how many parameters a network has."""
    return sum(weight.numel() for weight in net.parameters())


def description(name: str) -> str:
    """Return the first line of the module that the architecture is in, which names its paper."""
    entry = MODELS[name]
    while isinstance(entry, functools.partial):
        entry = entry.func
    lines = [(inspect.getdoc(thing) or "").partition("\n")[0] for thing in (entry, inspect.getmodule(entry))]
    return next(line for line in lines if re.search(r"[12][0-9]{3}\)", line)).rstrip(".")


def operations_per_pixel(net: nn.Module) -> float:
    """Return how operations grow with the area: edges, which grow with the side, count for nothing."""
    step = 4 * net.geometry.grid[0]
    sides = [net.geometry.input_size((step, step))[0] + number * step for number in range(3)]
    first, second, third = (count_cost(net, (1, 1, side, side), torch.float32).operations for side in sides)
    return (first - 2 * second + third) / (2 * step**2)


def yes(name: str, **settings: object) -> str:
    """Say whether the architecture comes in a kind."""
    try:
        sketch(name, **{**USUAL, **settings})
    except ConfigError:
        return "no"
    return "yes"


if __name__ == "__main__":
    PAGE.write_text(page())
