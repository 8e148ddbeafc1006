"""Make the shipped models again: `python scripts/make_models.py nuclei --data ../shared/data`, or `make models`.

A recipe gathers or draws its images, trains, scores on images that training never saw, and writes the weights as
float16 into `src/biounet/shipped/NAME.safetensors`, with a card beside it. --run takes a run that is finished.
"""

import argparse
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file, save

import biounet
from biounet.config.resolve import resolve_settings
from biounet.config.shipped import FOLDER, ShippedCard, shipped_card
from biounet.core.random import generator
from biounet.data import find_dataset
from biounet.data.synthetic import draw_membranes, draw_varied_cells
from biounet.data.training_set import read_split
from biounet.io import Image, open_lazily, read, write
from biounet.metrics import average_precision, isbi2012, seg
from biounet.models.model_file import read_card
from biounet.training.prepare import split_by_settings

DATA = Path(os.environ.get("BIOUNET_DATA", Path(__file__).parents[2] / "shared" / "data"))
HELA = "DIC-C2DH-HeLa"
ISBI_HELD_OUT = range(20, 24)
Scores = tuple[dict[str, float], float]
"""Scores by name, and CPU seconds per megapixel."""


@dataclass(frozen=True)
class Recipe:
    """How a shipped model is made and scored, and what its card says."""

    minutes: float
    made: str
    """How the file in the package was trained, where that differs."""
    settings: Mapping[str, Any]
    gather: Callable[[Path, Path], None]
    """(folder of public images, folder for the dataset) -> the dataset lies in the second."""
    score: Callable[[Path, Path], Scores]
    """(folder of public images, model file) -> scores on images that were held out."""
    card: Mapping[str, str]
    spacing: tuple[float, ...] | None = None
    """Micrometres per pixel, where no image says it."""


def held_out_nuclei(data: Path) -> list[Path]:
    """Images of dsb2018-more that are kept for scores: every seventh, in the order of their colours and sizes."""

    def kind(path: Path) -> tuple[int, int, int, str]:
        with open_lazily(path) as image:
            sizes = dict(zip(image.axes, image.shape, strict=True))
            return sizes.get("C", 1), sizes["X"], sizes["Y"], path.name

    return sorted((data / "dsb2018-more" / "images").iterdir(), key=kind)[3::7]


def gather_nuclei(data: Path, folder: Path, *, sets: str = "dsb2018*") -> None:
    """Copy the images of both folders, or of those that a pattern names, but for those held out."""
    held_out = held_out_nuclei(data)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for image in sorted(data.glob(f"{sets}/images/*.png")):
        if image not in held_out:
            shutil.copy(image, folder / "images")
            shutil.copy(masks_of(image), folder / "masks")


def masks_of(image: Path) -> Path:
    """The label file of an image of DSB 2018."""
    return image.parents[1] / "masks" / f"{image.stem}.tif"


def score_nuclei(data: Path, file: Path) -> Scores:
    """Average precision of nuclei, and seconds per megapixel."""
    stained = {path for path in held_out_nuclei(data) if "C" in read(path).axes}
    fluorescence = [path for path in held_out_nuclei(data) if path not in stained]
    groups = {"fluorescence": precisions(file, fluorescence), "stained": precisions(file, sorted(stained))}
    scores, every = dict[str, float](), np.concatenate([found for found, _, _ in groups.values()])
    for name, values in {"all": every, **{name: found for name, (found, _, _) in groups.items()}}.items():
        scores |= {f"AP50 {name}": float(values[:, 0].mean()), f"AP50-90 {name}": float(values.mean())}
    return scores, 1e6 * sum(seconds for _, seconds, _ in groups.values()) / sum(size for _, _, size in groups.values())


def precisions(file: Path, images: list[Path]) -> tuple[NDArray[np.float64], float, int]:
    """Average precision of images at 0.5, 0.55, ..., 0.9, seconds in which they were predicted, and their pixels."""
    model, found, seconds, pixels = biounet.load_model(file), list[list[float]](), 0.0, 0
    for path in images:
        truth = read(masks_of(path)).array
        began = time.process_time()
        result = model.segment(path)
        seconds, pixels = seconds + time.process_time() - began, pixels + truth.size
        found.append(precision(truth, result))
    return np.array(found), seconds, pixels


def precision(truth: NDArray[Any], result: NDArray[Any]) -> list[float]:
    """Average precision of an image at 0.5, 0.55, ..., 0.9."""
    return [average_precision(truth, result, threshold=t) for t in np.arange(0.5, 0.91, 0.05)]


def draw_dishes(_: Path, folder: Path) -> None:
    """Draw 400 images of cells, 384 x 384 px, each with another look."""
    for number in range(400):
        image, labels = draw_varied_cells(generator(0, 0, number, stream="cells"))
        write(folder / "images" / f"cells_{number:03d}.png", Image(image, "YX"))
        write(folder / "labels" / f"cells_{number:03d}.tif", Image(labels, "YX"))


def labelled_frames(data: Path) -> list[str]:
    """Numbers of the HeLa frames that experts labelled, in their order."""
    return sorted(path.stem[-3:] for path in (data / HELA / "01_GT" / "SEG").iterdir())


def score_frames(data: Path, file: Path, *, first: int = 0) -> Scores:
    """SEG on HeLa frames that experts labelled, from one of them on, and seconds per megapixel."""
    model, found, pixels, seconds = biounet.load_model(file), list[float](), 0, 0.0
    for number in labelled_frames(data)[first:]:
        truth = read(data / HELA / f"01_GT/SEG/man_seg{number}.tif", labels=True).array
        began = time.process_time()
        result = model.segment(data / HELA / f"01/t{number}.tif")
        seconds, pixels = seconds + time.process_time() - began, pixels + truth.size
        found.append(seg(truth, result))
    return {"SEG": float(np.mean(found))}, 1e6 * seconds / pixels


def draw_tissue(_: Path, folder: Path) -> None:
    """Draw 40 sections of tissue, 256 x 256 px: 1 inside of cells, 0 on membranes."""
    for number in range(40):
        image, labels = draw_membranes(generator(0, 0, number, stream="membranes"), size=(256, 256))
        write(folder / "images" / f"section_{number:02d}.png", Image(image, "YX"))
        write(folder / "labels" / f"section_{number:02d}.tif", Image((labels > 0).astype(np.uint8), "YX"))


def score_membranes(data: Path, file: Path) -> Scores:
    """The five scores of the ISBI 2012 challenge on sections that no choice was made by, and seconds per megapixel."""
    model, dataset = biounet.load_model(file), find_dataset(data / "isbi2012")
    truths, results, seconds = list[NDArray[Any]](), list[NDArray[Any]](), 0.0
    for number in ISBI_HELD_OUT:
        image, truth = dataset.load(dataset.pairs[number])
        began = time.process_time()
        results.append(model.predict(image)[1])
        seconds += time.process_time() - began
        truths.append(truth > 0)
    truth, result = np.stack(truths), np.stack(results)
    return isbi2012(truth, result), 1e6 * seconds / truth.size


RECIPES: Mapping[str, Recipe] = {
    "nuclei": Recipe(
        40.0,
        "25 minutes, then --resume --minutes 40, two busy cores",
        {"train.validation": 0.1, "augment.scale": 1.6, "train.reports": 5, "model.width": 16},
        gather_nuclei,
        score_nuclei,
        {
            "purpose": "nuclei as numbered objects, in fluorescence and in stained tissue, grey or RGB, 2D",
            "not_for": "volumes, diagnosis, whole cells, phase contrast; nuclei of more than about 100 px across",
            "data": "353 images of BBBC038 (2018 Data Science Bowl, corrected labels; Caicedo et al. 2019)",
            "licence": "data CC0; model Apache-2.0, as biounet",
            "scored_on": "39 other images of BBBC038, 33 fluorescence and 6 stained",
        },
    ),
    "cells": Recipe(
        20.0,
        "one thread, two busy cores",
        {"train.validation": 0.06, "train.reports": 5, "model.width": 16, "model.coarse": 2, "augment.scale": 1.5},
        draw_dishes,
        score_frames,
        {
            "purpose": "a start for whole cells in phase contrast, interference contrast or fluorescence, grey, 2D",
            "not_for": "results without annotation, volumes, diagnosis; begin with it, and annotate an image or two",
            "data": "400 drawn images (biounet.data.synthetic), no real image; frames of DIC-C2DH-HeLa were looked at",
            "licence": "model Apache-2.0, as biounet",
            "scored_on": "9 frames of DIC-C2DH-HeLa with labels of experts (not trained on)",
        },
    ),
    "membranes": Recipe(
        8.0,
        "one thread, two busy cores",
        {"train.target": "classes", "train.reports": 4, "model.width": 16, "augment.scale": 1.5},
        draw_tissue,
        score_membranes,
        {
            "purpose": "the inside of cells against membranes, in electron micrographs of about 4 nm per pixel, 2D",
            "not_for": "light microscopy, thick sections, organelles; once a section is annotated, train on that one",
            "data": "40 drawn sections (biounet.data.synthetic), no real image",
            "licence": "model Apache-2.0, as biounet",
            "scored_on": "sections 20 to 23 of ISBI 2012 (Cardona et al. 2010; not trained on)",
        },
        (0.004, 0.004),
    ),
}


def learnt_from(name: str, data: Path) -> dict[str, Any]:
    """Facts for the header of a model: size of the objects, and looks, of the images of its recipe, and pixel size."""
    recipe, card = RECIPES[name], read_card(FOLDER / f"{name}.safetensors")
    settings = resolve_settings(dict(recipe.settings), minutes=recipe.minutes)
    with tempfile.TemporaryDirectory() as place:
        recipe.gather(data, Path(place) / "data")
        training_set = read_split(split_by_settings(Path(place) / "data", settings), card.normalization)
        facts = training_set.remembered(magnified=settings.augment.scale)
    return facts | ({"spacing": recipe.spacing} if recipe.spacing else {})


def describe(name: str, data: Path) -> Path:
    """Write what a shipped model learnt from into its header; its file."""
    target = FOLDER / f"{name}.safetensors"
    card = read_card(target).model_copy(update=learnt_from(name, data))
    target.write_bytes(save(load_file(target), {"biounet": card.model_dump_json()}))
    return target


def renew(name: str, data: Path) -> None:
    """Write the header of a shipped model again, and the new SHA-256 into its card."""
    target = describe(name, data)
    facts = {**shipped_card(name).model_dump(), "sha256": hashlib.sha256(target.read_bytes()).hexdigest()}
    target.with_suffix(".json").write_text(ShippedCard.model_validate(facts).model_dump_json(indent=1) + "\n")


def pack(source: Path, target: Path) -> None:
    """Write a model file with its weights as float16, half of the size."""
    weights = {name: value.half() if value.is_floating_point() else value for name, value in load_file(source).items()}
    if not all(bool(value.isfinite().all()) for value in weights.values() if value.is_floating_point()):
        raise SystemExit(f"{source} has weights that float16 does not hold")
    target.write_bytes(save(weights, {"biounet": read_card(source).model_dump_json()}))


def make(name: str, data: Path, run: Path | None) -> None:
    """Train if there is no run, pack, score, and write the card."""
    recipe = RECIPES[name]
    with tempfile.TemporaryDirectory() as place:
        if run is None:
            run = Path(place) / "run"
            recipe.gather(data, Path(place) / "data")
            biounet.train(Path(place) / "data", run, minutes=recipe.minutes, settings=recipe.settings)
        whole, _ = recipe.score(data, run / "model.safetensors")
        pack(run / "model.safetensors", FOLDER / f"{name}.safetensors")
    target = describe(name, data)
    scores, seconds = recipe.score(data, target)
    print(json.dumps({"float32": whole, "float16": scores, "seconds per megapixel": seconds}, indent=1))
    settings = ", ".join(f"{key}={value}" for key, value in recipe.settings.items())
    facts = {
        "recipe": f"python scripts/make_models.py {name}: {recipe.minutes:g} minutes ({recipe.made}); {settings}",
        "scores": {key: round(value, 4) for key, value in scores.items()},
        "seconds_per_megapixel": round(seconds, 2),
        "sha256": hashlib.sha256(target.read_bytes()).hexdigest(),
    }
    card = ShippedCard.model_validate({**recipe.card, **facts})
    target.with_suffix(".json").write_text(card.model_dump_json(indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(RECIPES), help=f"of {', '.join(RECIPES)}")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with dsb2018, dsb2018-more, isbi2012 and HeLa")
    parser.add_argument("--renew", action="store_true", help="train nothing; write again what headers tell of the data")
    parser.add_argument("--run", type=Path, help="a finished run of the recipe")
    given = parser.parse_args()
    for each in given.names:
        if given.renew:
            renew(each, given.data)
        else:
            make(each, given.data, given.run)
