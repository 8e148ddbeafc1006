"""Images drawn from images: noise taken away by a U-Net, and by pix2pix without and with its discriminator.

python benchmarks/image_to_image.py [--minutes 5] [--only NAME]... [--results FILE]

Sections 0 to 19 of ISBI 2012 (in the folder that BIOUNET_DATA names) with noise to learn from, 20 to 23 to score on, by
the command line as a person calls it. As soon as one is done a line of JSON is printed, and appended to FILE. `detail`
is the energy of what is drawn on scales of two or three pixels, that of the true images being 1.
"""

import argparse
import csv
import json
import os
import subprocess
import tempfile
from itertools import chain
from pathlib import Path

import numpy as np
import tifffile
import torch
from scipy.ndimage import gaussian_filter, gaussian_laplace

RESULTS = Path(__file__).parent / "results" / "image_to_image.json"
NOISE = 50
"""Standard deviation, in grey values."""
LEARNT = 20
"""Sections to learn from."""
TRAINED = {
    "unet": [],
    "pix2pix": ["--model", "pix2pix"],
    "pix2pix with its discriminator": ["--model", "pix2pix", "--set", "train.adversarial=0.01"],
}


def write_pairs(folder):
    """Write noisy sections and clean ones, to learn from and to score on."""
    sections = tifffile.imread(Path(os.environ["BIOUNET_DATA"], "isbi2012", "train-volume.tif")).astype(np.float32)
    noisy = sections + np.random.default_rng(0).normal(0, NOISE, sections.shape).astype(np.float32)
    for number, pair in enumerate(zip(noisy, sections, strict=True)):
        for part, section in zip(("images", "targets"), pair, strict=True):
            place = folder / ("learnt" if number < LEARNT else "unseen") / part
            place.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(place / f"{number:02}.tif", section)


def score(drawn, truth):
    """What `biounet evaluate --metrics image` says, and how much fine detail there is."""
    table = drawn.with_name(f"{drawn.name}.json")
    run("evaluate", drawn, truth, "--metrics", "image", "--json", table)
    energy = [
        sum(float(np.square(gaussian_laplace(tifffile.imread(path), 1)).mean()) for path in folder.glob("*.tif"))
        for folder in (drawn, truth)
    ]
    return {**json.loads(table.read_text())["scores"], "detail": energy[0] / energy[1]}


def run(*words):
    """Call biounet as a person does, but show nothing of it unless it fails."""
    done = subprocess.run(["biounet", *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"biounet {words[0]}: {done.stderr}")


def plain(folder):
    """What anyone has without training: the noisy sections, and these under the Gaussian that has the best PSNR."""
    images, truth = folder / "unseen" / "images", folder / "unseen" / "targets"
    yield {"name": "the noisy images", **score(images, truth)}
    blurred = []
    for sigma in (0.75, 1.0, 1.25, 1.5, 2.0):
        place = folder / f"gaussian-{sigma}"
        place.mkdir()
        for path in images.iterdir():
            tifffile.imwrite(place / path.name, gaussian_filter(tifffile.imread(path), sigma))
        blurred.append({"name": f"a Gaussian of {sigma:g} px", **score(place, truth)})
    yield max(blurred, key=lambda line: line["psnr"])


def train(name, minutes, folder):
    """Train one, and draw the sections that it has not seen."""
    place, drawn = folder / name, folder / f"{name}, drawn"
    run("train", folder / "learnt", "--out", place, "--minutes", minutes, *TRAINED[name])
    run("predict", place, folder / "unseen" / "images", "--out", drawn)
    with (place / "log.csv").open() as stream:
        *_, last = csv.DictReader(stream)
    scores = score(drawn, folder / "unseen" / "targets")
    return {"name": name, "minutes": minutes, "updates": int(last["step"]), **scores}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--only", action="append", choices=TRAINED, metavar="NAME")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    machine = {"threads": torch.get_num_threads(), "processor": torch.cpu.get_capabilities().get("cpu_name", "")}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_pairs(folder)
        for line in chain(plain(folder), (train(name, given.minutes, folder) for name in given.only or TRAINED)):
            rounded = {key: round(value, 4) if isinstance(value, float) else value for key, value in line.items()}
            print(text := json.dumps({**rounded, **machine}), flush=True)
            with given.results.open("a") as stream:
                stream.write(text + "\n")


if __name__ == "__main__":
    main()
