"""Images, models and datasets that change while they are read, or between a kill and `--resume`: nothing is a mixture.

A command that ends well has the bytes of what was there before, or of what is there after the change. If not, it says
what has changed. Files change by another that takes their name, in place, or by vanishing.
"""

import os
import random
import shutil
from collections import Counter
from pathlib import Path

import numpy as np

from biounet.io import Image, write

from .commands import Command
from .jobs import JOBS, contents, difference, finish, lay_out, noise, undisturbed
from .outcome import Outcome

CHANGED = {
    "tiff": "x.tif", "zarr": "x.tif", "of-zarr": "x.zarr", "objects": "x.tif", "objects-tiff": "x.tif",
    "folder": "many/x.png", "stack": "stack.tif", "sections": "stack.tif", "ensemble": "c.model",
    "train": "data/images/1.png", "measure": "labels.tif", "convert": "labels.tif",
}  # fmt: skip
"""Job -> what changes. In a run that is trained, labels may change instead."""

CASES = tuple(CHANGED)
SAID = (
    "chang",
    "was begun with",
    "there is no such",
    "is gone",
    "cannot be read",
    "no longer",
    "differ",
    "missing",
    "has no labels",
    "has no image",
)
"""Words by which a command says that something is another one."""


def run(case: str, seed: int, folder: Path) -> Outcome:
    """Change an input while the command is held up, or after it was killed, and let it come to its end."""
    rng, job, usual = random.Random(f"{case} {seed}"), JOBS[case], undisturbed(case)
    lay_out(folder)
    path = folder / CHANGED[case]
    if case == "train" and rng.random() < 0.5:
        path = folder / "data" / "labels" / path.name
    # Of a folder from which an image vanishes, the other images are predicted, as they are from any folder.
    way = rng.choice((replace, overwrite, vanish)[: 2 if case == "folder" else 3])
    killed = rng.random() < 0.5
    moment = rng.randint(1, usual.changes)
    command = Command(job.words, place=folder, **{"kill_at" if killed else "hold_at": moment})
    command.wait()
    way(path, seed)
    if killed:
        command = finish(job, folder)
    elif command.status is None:
        command.go_on()
        command.end()
    counts = Counter({"told": command.status == 2, "whole": command.status == 0, way.__name__: 1})
    if command.fault:
        return Outcome(command.fault, counts)
    if command.status == 2:
        told = any(said in command.said for said in SAID)
        return Outcome("" if told else f"not told what changed: {command.said.strip().splitlines()[-1:]}", counts)
    after = contents(folder)
    wrong = [difference(outputs(after), outputs(usual.files))]
    if wrong != [""] and path.exists():
        wrong.append(difference(outputs(after), outputs(anew(case, folder))))
    return Outcome("" if "" in wrong else f"a mixture: {wrong[0]}; of what is there now: {wrong[-1]}", counts)


def anew(case: str, folder: Path) -> dict[str, bytes]:
    """Files of an undisturbed run on the inputs that are there now."""
    shutil.rmtree(folder / "out")
    (folder / "out").mkdir()
    command = Command(JOBS[case].words, place=folder)
    command.end()
    return contents(folder)


def outputs(files: dict[str, bytes]) -> dict[str, bytes]:
    """The results among files."""
    return {name: content for name, content in files.items() if name.startswith("out")}


def other(path: Path, seed: int) -> Path:
    """A file of the same kind and size beside a file."""
    place = path.with_name(f"other-{path.name}")
    rng = np.random.default_rng(seed)
    if path.suffix == ".model":
        shutil.copy(path.with_name("b.model"), place)
    elif path.name == "labels.tif":
        shutil.copy(path.with_name("others.tif"), place)
    elif path.name == "stack.tif":
        write(place, Image(noise(rng, (3, 40, 50)), "ZYX"))
    else:
        shape = {"x.tif": (70, 90), "x.zarr": (70, 90), "x.png": (40, 50)}.get(path.name, (40, 40))
        write(place, Image(noise(rng, shape) // (128 if path.parent.name == "labels" else 1), "YX"))
    return place


def replace(path: Path, seed: int) -> None:
    """Give its name to another file."""
    place = other(path, seed)
    vanish(path, seed)
    place.rename(path)


def overwrite(path: Path, seed: int) -> None:
    """Write other bytes into it, half of the time with the time of change that it had."""
    place = other(path, seed)
    for file in [place] if place.is_file() else [each for each in place.rglob("*") if each.is_file()]:
        target = path / file.relative_to(place) if path.is_dir() else path
        status = target.stat()
        with target.open("r+b") as stream:
            stream.write(file.read_bytes())
            stream.truncate()
        if seed % 2 and path.is_file():
            os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
    vanish(place, seed)


def vanish(path: Path, seed: int) -> None:
    """Remove it."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()
