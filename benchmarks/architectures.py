"""Every architecture that tells classes in the plane: the same data, minutes and machine; scores, speed and memory.

python benchmarks/architectures.py [--minutes 10] [--only NAME]... [--results FILE]

Trains on ISBI-2012 (in the folder that BIOUNET_DATA names) with the default settings, sections 20 to 23 held out, and
scores the network that validation chose on those. Each architecture is trained, and used, in a process of its own whose
peak of memory is taken from outside. As soon as one is done a line of JSON is appended to FILE, and printed; those that
have a line of this machine there already are left out. `docs/make_architectures.py` makes a table of them.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from biounet.config import RunConfig
from biounet.data import find_dataset, split
from biounet.inference.model import load_model
from biounet.metrics import isbi2012
from biounet.models import MODELS
from biounet.models.sliding_window import PixelClassifier
from biounet.training.distributed import make_fabric
from biounet.training.prepare import prepare
from biounet.training.run import TrainingRun

RESULTS = Path(__file__).parent / "results" / "architectures.json"
NAMES = [name for name in MODELS if name != "pix2pix"]  # which draws images
MEGA = 1e6


def train(name, dataset, folder, minutes):
    """Train as `biounet train --model NAME` does; tell how long steps took."""
    began = time.monotonic()
    settings = RunConfig.preset("default").updated({"model.name": name, "train.minutes": minutes})
    config, data, normalization, _ = prepare(dataset, settings)
    experiment = TrainingRun(config, data, normalization, folder, make_fabric("auto", "auto"), began)
    experiment.choose_settings()
    seconds, last = [], None
    for step in experiment.run():
        now = time.perf_counter()
        if step.report is None and last is not None:  # no validation in it
            seconds.append(now - last)
        last = now
    with (folder / "log.csv").open() as stream:
        *_, row = csv.DictReader(stream)
    return {
        "precision": str(experiment.validation.precision).removeprefix("torch."),
        "width": experiment.config.model.width,
        "updates": int(row["step"]),
        "seconds_per_step": round(statistics.median(seconds or [float(row["seconds"]) / int(row["step"])]), 3),
        "last_loss": round(float(row["loss"]), 4),
    }


def predict(name, dataset, folder):
    """Predict the sections that training has not seen, and score them."""
    found = find_dataset(dataset)
    pairs = split(found, RunConfig().train.validation).validation
    images, labels = zip(*(found.load(pair) for pair in pairs), strict=True)
    model = load_model(folder)
    model.predict(images[0])  # libraries warm up
    results, seconds = [], []
    for image in images:
        began = time.perf_counter()
        results.append(model.predict(image)[1])
        seconds.append(time.perf_counter() - began)
    row = {
        "parameters": sum(weight.numel() for weight in model.net.parameters()),
        "kept_update": model.card.training["step"],
        **{score: round(value, 5) for score, value in isbi2012(np.stack(labels), np.stack(results)).items()},
        "prediction_seconds_per_megapixel": round(min(seconds) / labels[0].size * MEGA, 2),
    }
    if name == "sliding-window":
        row["prediction_seconds_per_megapixel_window_by_window"] = round(window_by_window(model.net), 1)
    return row


def window_by_window(net):
    """Seconds per megapixel as in the paper, by one row of windows."""
    classifier, pixels = PixelClassifier(net).eval(), 512
    image = torch.zeros(1, net.layers[0].in_channels, classifier.window, classifier.window + pixels - 1)
    with torch.inference_mode():
        classifier.scan(image)
        began = time.perf_counter()
        classifier.scan(image)
        return (time.perf_counter() - began) / pixels * MEGA


def child(kind, *words):
    """Do a part in a process of its own; return what it found and the most memory that it held."""
    command = [sys.executable, __file__, "--child", kind, *map(str, words)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{kind} {words[0]} ended with status {process.returncode}")
    return {**json.loads(said.splitlines()[-1]), f"{kind}_peak_bytes": usage.ru_maxrss * 1024}


def work(kind, name, dataset, folder, *minutes):
    """What a child does."""
    if kind == "train":
        return train(name, Path(dataset), Path(folder), float(minutes[0]))
    return predict(name, Path(dataset), Path(folder))


def measure(name, dataset, minutes):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "run")
        trained = child("train", name, dataset, folder, minutes)
        predicted = child("predict", name, dataset, folder)
    return {"name": name, "minutes": minutes, **trained, **predicted, **machine()}


def machine():
    """What results are compared on."""
    return {"threads": torch.get_num_threads(), "processor": torch.cpu.get_capabilities().get("cpu_name", "")}


def finished(results):
    """Names of the architectures that have a line of this machine."""
    lines = map(json.loads, results.read_text().splitlines() if results.exists() else [])
    return {line["name"] for line in lines if machine().items() <= line.items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--only", action="append", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--child", nargs="+")
    given = parser.parse_args()
    if given.child:
        print(json.dumps(work(*given.child)))
        return
    dataset = Path(os.environ["BIOUNET_DATA"], "isbi2012")
    failed = []
    for name in given.only or NAMES:
        if name in finished(given.results):
            continue
        try:
            line = json.dumps(measure(name, dataset, given.minutes))
        except RuntimeError as error:  # the others are worth their minutes all the same
            print(error, file=sys.stderr)
            failed.append(name)
            continue
        with given.results.open("a") as stream:
            stream.write(line + "\n")
        print(line, flush=True)
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
