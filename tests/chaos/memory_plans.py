"""Random images, networks and options with `--memory`: the peak of the processes is under what was said.

A run is right if it is refused in words, or done with a peak under the budget and under what the plan said. These
processes are started anew, not forked: what their libraries take counts.
"""

import re
import subprocess
import sys
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import tifffile
from PIL import Image as Picture

from biounet.config import ModelConfig
from biounet.core.memory import parse_bytes
from biounet.data.normalize import Normalization
from biounet.io import Image, write
from biounet.models import build
from biounet.models.model_file import ModelCard, save_network

from .outcome import Outcome

CASES = ("plan",)
FORMATS = ("raw", "strips", "one strip", "tiles", "png", "zarr", "one chunk")
WATCHED = 0.02
"""Seconds between two looks at the processes."""


@dataclass(frozen=True)
class Drawn:
    """One plan: a network, an image and the options of the command."""

    dims: int
    width: int
    depth: int
    shape: tuple[int, ...]
    dtype: str
    form: str
    models: int
    save: str
    suffix: str
    options: tuple[str, ...]
    memory: int
    workers: int

    def __str__(self) -> str:
        size = " x ".join(map(str, self.shape))
        words = [f"{self.dims}D width {self.width} depth {self.depth}", f"{size} {self.dtype} {self.form}"]
        words += [f"{self.models} models"] * (self.models > 1) + [f"{self.save} to {self.suffix}", *self.options]
        return ", ".join(words)


def draw(seed: int) -> Drawn:
    """One plan, the same for the same seed."""
    rng = np.random.default_rng(seed)
    dims = int(rng.choice([2, 2, 3]))
    side = int(rng.integers(100, 3000))
    shape: tuple[int, ...] = (side, int(rng.integers(100, 3000)))
    if dims == 3:
        shape = tuple(int(size) for size in rng.integers((8, 50, 50), (60, 300, 300)))
    elif rng.random() < 0.25:  # a stack, section by section
        shape = (int(rng.integers(2, 6)), *(min(size, 900) for size in shape))
    form = str(rng.choice(FORMATS))
    if form == "png" and len(shape) == 3:
        form = "one strip"
    workers = int(rng.choice([1, 1, 1, 1, 2]))
    options = ("--tta",) * bool(rng.random() < 0.2) + (("--workers", str(workers)) if workers > 1 else ())
    return Drawn(
        dims=dims,
        width=int(rng.choice([4, 8, 16, 24])) // (2 if dims == 3 else 1),
        depth=int(rng.integers(1, 5 if dims == 2 else 3)),
        shape=shape,
        dtype=str(rng.choice(["uint8", "uint16"] if form == "png" else ["uint8", "uint16", "float32"])),
        form=form,
        models=int(rng.choice([1, 1, 1, 2])),
        save=str(rng.choice(["labels", "classes", "probabilities"])),
        suffix=str(rng.choice([".tif", ".zarr"])),
        options=options,
        memory=int(rng.integers(600, 1100)) * workers * 2**20 + (workers > 1) * 400 * 2**20,
        workers=workers,
    )


def make(drawn: Drawn, folder: Path) -> tuple[list[Path], Path]:
    """Write the models and the image of a plan."""
    settings = {"dims": drawn.dims, "width": drawn.width, "depth": drawn.depth, "padding": "same", "norm": "batch"}
    config = ModelConfig(**settings, max_width=16 * drawn.width)
    models = [folder / f"{number}.safetensors" for number in range(drawn.models)]
    card = ModelCard(model=config, normalization=Normalization(), target="foreground")
    for path in models:
        save_network(path, build(config), card)
    rng = np.random.default_rng(1)
    small = rng.integers(0, 255, tuple(-(-size // 8) for size in drawn.shape))  # cells of 8 px
    for axis, size in enumerate(drawn.shape):
        small = np.take(np.repeat(small, 8, axis), range(size), axis)
    pixels = small.astype(drawn.dtype)
    path = folder / f"image{'.png' if drawn.form == 'png' else '.zarr' if drawn.form in FORMATS[5:] else '.tif'}"
    axes = "ZYX"[-pixels.ndim :]
    if drawn.form == "png":
        Picture.fromarray(pixels).save(path)
    elif drawn.form == "zarr":
        write(path, Image(pixels, axes))
    elif drawn.form == "one chunk":
        import zarr

        group = zarr.open_group(path, mode="w", zarr_format=3)
        group.create_array("0", shape=pixels.shape, chunks=pixels.shape, dtype=pixels.dtype)[:] = pixels
        scale = [{"type": "scale", "scale": [1.0] * pixels.ndim}]
        listed = [{"name": axis, "type": "space"} for axis in axes.lower()]
        image = {"axes": listed, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
        group.attrs["ome"] = {"version": "0.5", "multiscales": [image]}
    else:
        ways = {
            "raw": {},
            "strips": {"compression": "zlib", "rowsperstrip": 32},
            "one strip": {"compression": "zlib", "rowsperstrip": drawn.shape[-2]},
            "tiles": {"compression": "zlib", "tile": (256, 256)},
        }
        tifffile.imwrite(path, pixels, photometric="minisblack", metadata={"axes": axes}, ome=True, **ways[drawn.form])
    return models, path


def high_water(process: psutil.Process) -> int:
    """Most memory of a process so far. The system's own sum at its end counts what its parent had when it began it."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0


def tree_bytes(process: psutil.Process) -> int:
    """Memory of a process and its children together, now."""
    total = 0
    for each in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            total += each.memory_info().rss
    return total


def measure(drawn: Drawn, folder: Path) -> tuple[str, int]:
    """Run the command; return what it said, and its peak in bytes, 0 if it refused or failed."""
    (model, *others), image = make(drawn, folder)
    command = [
        sys.executable,
        "-m",
        "biounet",
        "predict",
        "-v",
        str(model),
        str(image),
        "--out",
        str(folder / f"o{drawn.suffix}"),
    ]
    for other in others:
        command += ["--with", str(other)]
    command += ["--memory", str(drawn.memory), "--save", drawn.save, "--precision", "float32", *drawn.options]
    peaks = [0]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    over = threading.Event()

    def watch() -> None:
        with suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            watched = psutil.Process(process.pid)
            while not over.wait(WATCHED):
                peaks[0] = max(peaks[0], tree_bytes(watched) if drawn.workers > 1 else high_water(watched))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    assert process.stderr is not None
    with process.stderr:
        said = process.stderr.read()
    process.wait()
    over.set()
    watcher.join()
    return said, 0 if process.returncode else peaks[0]


def run(case: str, seed: int, folder: Path) -> Outcome:
    """Predict with one plan, and compare its peak with what was said."""
    drawn = draw(seed)
    said, peak = measure(drawn, folder)
    if not peak:
        last = said.strip().splitlines()[-1]
        right = "--memory" in last and "Traceback" not in said
        return Outcome("" if right else last, Counter({"refused": 1}), f"{drawn}: {last}")
    told = re.search(r"at most ([\d.]+ \wiB)", said)
    planned = parse_bytes(told[1]) if told else 0
    figures = f"peak {peak / 2**20:.0f} MiB, said {planned / 2**20:.0f}, budget {drawn.memory / 2**20:.0f}"
    rounded = 0.005 * planned + 2**20  # what is said is rounded
    right = peak <= min(drawn.memory, planned + rounded) and planned <= drawn.memory + rounded
    return Outcome("" if right else f"{drawn}: {figures}", Counter({"done": 1}), f"{drawn}: {figures}")
