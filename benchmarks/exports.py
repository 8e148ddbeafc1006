"""Every architecture as an exported file: how far other runtimes are from torch, at three sizes and block by block.

python benchmarks/exports.py [--onnxruntime PYTHON]... [--bioimageio PYTHON] [--only NAME]... [--table]

Prints one JSON line, or with --table the rows of the table in docs/export.md: the largest difference of a probability
from `biounet predict --precision float32`. PYTHON is the interpreter of an environment of its own, with the release of
onnxruntime that is to be compared, or with bioimageio.core and onnxruntime. Nothing is trained: weights are drawn, and
the temperature brings the logits to the size that they have in a trained network.
Blocks: bioimageio.core cuts noise into blocks with the halo that the package declares, and normalises it. The edge of
the image is left out as far as the receptive field reaches, since bioimageio.core mirrors it in another way.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Generator, nn

from biounet.config import ModelConfig
from biounet.data.normalize import Normalization
from biounet.export import export_model
from biounet.export.pipeline import load_pipeline
from biounet.models import MODELS, build
from biounet.models.model_file import ModelCard, save_network

SETTINGS: Mapping[str, dict[str, object]] = {
    "unet3d": {"dims": 3, "depth": 2},
    "sliding-window": {"norm": "none"},
    "pix2pix": {"depth": 4},
}
"""What an architecture needs beside the width and the depth of the others."""
BLOCKS = 4
"""Blocks per axis."""
OF_PACKAGE = {"license": "CC0-1.0", "author": "biounet"}

ONNX = """
import json, sys, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1] + "/model.onnx", providers=["CPUExecutionProvider"])
worst = 0.0
with numpy.load(sys.argv[1] + "/expected.npz") as arrays:
    for number in range(3):
        got = session.run(None, {"image": arrays[f"image{number}"]})[0]
        worst = max(worst, float(abs(got - arrays[f"output{number}"]).max()))
print(json.dumps([onnxruntime.__version__, worst]))
"""

BLOCKWISE = """
import json, sys, numpy, bioimageio.core
from bioimageio.core import create_prediction_pipeline, load_description
from bioimageio.core.digest_spec import create_sample_for_model
model = load_description(sys.argv[1] + "/model.zip", perform_io_checks=False)
image = numpy.load(sys.argv[1] + "/image.npy")
inner, grid, reach = (json.loads(text) for text in sys.argv[2:5])
with create_prediction_pipeline(model, weight_format="onnx") as pipeline:
    sample = create_sample_for_model(model, inputs={"image": image})
    result = pipeline.predict_sample_with_blocking(sample, ns=inner // grid - 1)
    got = numpy.asarray(result.members["output"].data)
cut = (slice(None), slice(None), *(slice(side, -side) for side in reach))
difference = abs(got - numpy.load(sys.argv[1] + "/output.npy"))[cut]
print(json.dumps([bioimageio.core.__version__, float(difference.max())]))
"""


def main() -> None:
    """Compare each architecture in every runtime."""
    warnings.simplefilter("ignore")
    options = arguments()
    rows = {}
    for name in options.only or MODELS:
        rows[name] = row = compared(name, options)
        if options.table:
            if len(rows) == 1:
                print(f"| architecture | {' | '.join(row)} |\n| --- |{' ---: |' * len(row)}")
            print(f"| `{name}` |", " | ".join(f"{worst:.1e}" for worst in row.values()), "|", flush=True)
    if not options.table:
        print(json.dumps(rows))


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--onnxruntime", metavar="PYTHON", action="append", default=[])
    parser.add_argument("--bioimageio", metavar="PYTHON")
    parser.add_argument("--only", metavar="NAME", action="append", choices=list(MODELS))
    parser.add_argument("--table", action="store_true")
    return parser.parse_args()


def compared(name: str, options: argparse.Namespace) -> dict[str, float]:
    """Largest differences of one architecture, by runtime."""
    row = {}
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        path = save(folder / "model.safetensors", name)
        row["TorchScript"] = export_model(path, folder / "model.pt", to="torchscript")
        export_model(path, folder / "model.onnx", to="onnx")
        write_expected(path, folder)
        for python in options.onnxruntime or [sys.executable]:
            version, worst = elsewhere(python, ONNX, folder)
            row[f"ONNX Runtime {version}"] = worst
        if options.bioimageio:
            export_model(path, folder / "model.zip", to="bioimageio", **OF_PACKAGE)
            words = [json.dumps(each) for each in write_image(path, folder)]
            version, worst = elsewhere(options.bioimageio, BLOCKWISE, folder, *words)
            row[f"blocks of bioimageio.core {version}"] = worst
    return row


def save(path: Path, name: str) -> Path:
    """Write a model of drawn weights, none of which is 0."""
    config = ModelConfig(name=name, **({"width": 8, "depth": 3} | SETTINGS.get(name, {})))  # type: ignore[arg-type]
    net = build(config).eval()
    for weight in net.parameters():
        if not weight.any():
            nn.init.normal_(weight, std=0.1, generator=Generator().manual_seed(1))
    of_images = {"target": "image", "target_normalization": Normalization(offset=(0.0,) * 2, scale=(1.0,) * 2)}
    with torch.no_grad():
        side = net.geometry.input_size((32,) * config.dims)
        spread = float(net(torch.randn(1, config.in_channels, *side, generator=Generator().manual_seed(0))).std())
    known = {"temperature": max(spread, 1.0), "smoothing": 1} | (of_images if name == "pix2pix" else {})
    save_network(path, net, ModelCard(model=config, normalization=Normalization(), **known))  # type: ignore[arg-type]
    return path


def write_expected(path: Path, folder: Path) -> None:
    """Write normalised images of three sizes, and what biounet predicts of them."""
    pipeline, arrays = load_pipeline(path), {}
    for number, size in enumerate(pipeline.sizes()):
        arrays[f"image{number}"] = pipeline.sample(size)
        arrays[f"output{number}"] = pipeline.expected(arrays[f"image{number}"])
    np.savez(folder / "expected.npz", **arrays)


def write_image(path: Path, folder: Path) -> tuple[int, int, list[int]]:
    """Write an image of several blocks, and what biounet predicts; return sides of blocks, the grid and the edge."""
    pipeline = load_pipeline(path)
    grid, reach = max(pipeline.grid), list(pipeline.halo)
    inner = -(-max(reach) // grid) * grid  # so that a block with its halo is not larger than the image
    rng = np.random.default_rng(0)
    image = rng.normal(100, 20, (pipeline.card.model.in_channels, *(BLOCKS * inner for _ in reach))).astype(np.float32)
    np.save(folder / "image.npy", image[np.newaxis])
    normalised = pipeline.card.normalization.measured(image).apply(image)
    np.save(folder / "output.npy", pipeline.expected(normalised[np.newaxis]))
    return inner, grid, reach


def elsewhere(python: str, code: str, *words: object) -> tuple[str, float]:
    """Version of a library in another environment, and the largest difference there."""
    done = subprocess.run([python, "-c", code, *map(str, words)], check=True, stdout=subprocess.PIPE, text=True)
    version, worst = json.loads(done.stdout.splitlines()[-1])
    return version, worst


if __name__ == "__main__":
    main()
