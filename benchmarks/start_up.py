"""Processor time until commands answer: help, wrong paths and settings, and the prediction of one small image.

``python benchmarks/start_up.py [MODEL]`` prints one JSON line: seconds of processor time, the least of three runs.
With a model, an image of 512 x 512 px is predicted, too.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from biounet.io import Image, write

RUNS = 3

COMMANDS = {
    "help": ["--help"],
    "check, wrong path": ["check", "no/such"],
    "train, wrong setting": ["train", ".", "--out", "run", "--set", "train.learning_rte=1"],
    "predict, wrong path": ["predict", "no-model", "no.tif", "--out", "result.tif"],
    "evaluate, wrong path": ["evaluate", "no.tif", "no.tif"],
}


def seconds(words: list[str]) -> float:
    """Processor time of a command, user and system, the least of several runs."""
    taken = []
    for _ in range(RUNS):
        command = [sys.executable, "-m", "biounet", *words]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            used = os.wait4(process.pid, 0)[2]
        taken.append(used.ru_utime + used.ru_stime)
    return round(min(taken), 2)


def main() -> None:
    """Measure all commands."""
    found = {name: seconds(words) for name, words in COMMANDS.items()}
    if len(sys.argv) > 1:
        with tempfile.TemporaryDirectory() as folder:
            image = Path(folder) / "image.tif"
            noise = np.random.default_rng(0).integers(0, 4096, (512, 512))
            write(image, Image(noise.astype(np.uint16), "YX"))
            words = ["predict", sys.argv[1], str(image), "--out", str(Path(folder) / "result.tif"), "--overwrite"]
            found["predict, 512 x 512 px"] = seconds(words)
    print(json.dumps({"benchmark": "start_up", "processor seconds": found}))


if __name__ == "__main__":
    main()
