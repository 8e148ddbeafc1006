"""Jobs that are attacked: commands of a second or less, with what they read, and the files of an undisturbed run."""

import atexit
import csv
import io
import json
import re
import shutil
import struct
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch

from biounet.config import ModelConfig
from biounet.data.normalize import Normalization
from biounet.io import Image, write
from biounet.models import build
from biounet.models.model_file import ModelCard, save_network

from .commands import Command, files

OUT = "out"
"""Folder that all jobs write into."""

NOT_BEGUN = "train without --resume"
"""Words of a refusal to resume a run that has not begun."""


@dataclass(frozen=True)
class Job:
    """A command, and how it is given again.

    words : of the command
    again : words that are added to go on after a kill
    anew : words that are added to replace a result; none if there is no way
    swap : a word of `words`, and the one in its place in a command with another result
    """

    words: tuple[str, ...]
    again: tuple[str, ...] = ("--resume",)
    anew: tuple[str, ...] = ("--overwrite",)
    swap: tuple[str, str] = ("a.model", "b.model")

    @property
    def others(self) -> tuple[str, ...]:
        """Words of the command with another result."""
        word, instead = self.swap
        return tuple(instead if each == word else each for each in self.words)


PREDICT = ("--tile", "32", "--precision", "float32")
TRAIN = (
    "train", "data", "--out", "out/run", "--steps", "6", "--precision", "float32", "--set", "model.width=2",
    "--set", "model.depth=1", "--set", "train.patch=16", "--set", "train.reports=3", "--set", "train.batch=2",
)  # fmt: skip

JOBS: Mapping[str, Job] = MappingProxyType({
    "tiff": Job(("predict", "a.model", "x.tif", "--save", "probabilities", "--out", "out/o.tif", *PREDICT)),
    "zarr": Job(("predict", "a.model", "x.tif", "--save", "probabilities", "--out", "out/o.zarr", *PREDICT)),
    "of-zarr": Job(("predict", "a.model", "x.zarr", "--save", "classes", "--out", "out/o.zarr", *PREDICT)),
    "objects": Job(("predict", "a.model", "x.tif", "--table", "--out", "out/o.zarr", *PREDICT)),
    "objects-tiff": Job(("predict", "a.model", "x.tif", "--table", "--out", "out/o.tif", *PREDICT)),
    "folder": Job(("predict", "a.model", "many", "--table", "--out", "out", *PREDICT)),
    "stack": Job(("predict", "a.model", "stack.tif", "--link", "--table", "--out", "out/o.zarr", *PREDICT)),
    "sections": Job(("predict", "a.model", "stack.tif", "--save", "classes", "--out", "out/o.zarr", *PREDICT)),
    "ensemble": Job(("predict", "a.model", "x.tif", "--with", "c.model", "--tta", "--save", "probabilities", "--out",
                     "out/o.zarr", *PREDICT)),
    "train": Job((*TRAIN, "--seed", "7"), anew=(), swap=("7", "8")),
    "measure": Job(("measure", "labels.tif", "--image", "x.tif", "--out", "out"), again=("--overwrite",),
                   swap=("labels.tif", "others.tif")),
    "convert": Job(("convert", "labels.tif", "--to", "geojson", "--out", "out/o.geojson"), again=("--overwrite",),
                   swap=("labels.tif", "others.tif")),
})  # fmt: skip


@cache
def inputs() -> Path:
    """A folder with all that the jobs read."""
    folder = Path(tempfile.mkdtemp(prefix="biounet-chaos-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    config = ModelConfig(width=4, depth=2, padding="same")
    for seed, name in enumerate(("a.model", "b.model", "c.model")):
        net, drawn = build(config), torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weights in net.parameters():
                weights += 0.2 * torch.randn(weights.shape, generator=drawn)
        save_network(folder / name, net, ModelCard(model=config, normalization=Normalization(), target="foreground"))
    rng = np.random.default_rng(0)
    pixels = noise(rng, (70, 90))
    for name in ("x.tif", "x.zarr"):
        write(folder / name, Image(pixels, "YX"))
    write(folder / "stack.tif", Image(noise(rng, (3, 40, 50)), "ZYX"))
    for name in ("x", "y"):
        write(folder / "many" / f"{name}.png", Image(noise(rng, (40, 50)), "YX"))
    for number in range(4):
        write(folder / "data" / "images" / f"{number}.png", Image(noise(rng, (40, 40)), "YX"))
        write(folder / "data" / "labels" / f"{number}.png", Image(noise(rng, (40, 40)) // 128, "YX"))
    for name in ("labels.tif", "others.tif"):
        squares = np.kron(rng.integers(0, 2, (7, 9)) * np.arange(1, 64).reshape(7, 9), np.ones((10, 10)))
        write(folder / name, Image(squares.astype(np.uint16), "YX"))
    return folder


def noise(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """An image of noise."""
    return rng.integers(0, 255, shape).astype(np.uint8)


def lay_out(folder: Path) -> None:
    """Copy all that jobs read, with its times, into a folder."""
    shutil.copytree(inputs(), folder, dirs_exist_ok=True)
    (folder / OUT).mkdir()


@dataclass(frozen=True)
class Undisturbed:
    """What an undisturbed run leaves, how long it takes, and how many changes to the disk it makes."""

    files: dict[str, bytes]
    seconds: float
    changes: int


@cache
def undisturbed(job: str, *, other: bool = False) -> Undisturbed:
    """A run of a job that nobody disturbs; the quicker of two, since the first one waits for files."""
    runs = []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as folder:
            lay_out(Path(folder))
            command = Command(JOBS[job].others if other else JOBS[job].words, place=Path(folder))
            assert command.end() == 0, command.said
            runs.append(Undisturbed(contents(Path(folder)), command.seconds, command.changes))
    return min(runs, key=lambda run: run.seconds)


def contents(folder: Path) -> dict[str, bytes]:
    """Contents of all files of a job, without the times that are written into the files of a training run."""
    found = files(folder)
    for name, content in found.items():
        if name.endswith("log.csv"):
            rows = csv.DictReader(io.StringIO(content.decode()))
            kept = [{key: row[key] for key in row if key not in ("seconds", "waiting")} for row in rows]
            found[name] = repr(kept).encode()
        elif "/last/step-" in name:
            found[name] = without_times(content)
        elif name.endswith("run/report.html"):
            found[name] = re.sub(rb"(?s).*(best validation score[^<]*).*", rb"\1", content)
    return found


def without_times(content: bytes) -> bytes:
    """A checkpoint without the seconds of the run."""
    (length,) = struct.unpack("<Q", content[:8])
    header, tensors = json.loads(content[8 : 8 + length]), content[8 + length :]
    progress = json.loads(header["__metadata__"]["run"])
    header["__metadata__"]["run"] = {key: value for key, value in progress.items() if key not in ("seconds", "gone")}
    return json.dumps(header, sort_keys=True).encode() + tensors


def difference(found: Mapping[str, bytes], wanted: Mapping[str, bytes]) -> str:
    """Which files differ, in words; nothing if none do."""
    wrong = [f"{name} is left" for name in found if name not in wanted]
    wrong += [f"{name} is missing" for name in wanted if name not in found]
    wrong += [f"{name} has other bytes" for name in wanted if name in found and found[name] != wanted[name]]
    return "; ".join(wrong[:4])


def finish(job: Job, folder: Path, *more: str) -> Command:
    """Give a command again, as a person does after a kill, until it has come to its end."""
    command = Command((*job.words, *job.again, *more), place=folder)
    if command.end() == 2 and NOT_BEGUN in command.said:
        command = Command(job.words, place=folder)
        command.end()
    return command
