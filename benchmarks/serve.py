"""A person at `biounet serve`, played by a script that paints as the truth says: AP at 0.5 against strokes and updates.

Usage: python benchmarks/serve.py DATASET [--turns 10] [--updates 30] [--strokes 4] [--images 4] [--held-out 6] [--full]

Every turn the person looks at the prediction of an image, outlines objects that it has missed or got wrong, and deletes
one that is none; the network then makes some updates. `--full`: all objects of the images are drawn before the
first update, as for `biounet train`.
"""

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.ndimage import binary_dilation

from biounet.core.boxes import Box
from biounet.core.labels import IGNORE
from biounet.data import find_dataset
from biounet.io import Image, read, write
from biounet.metrics import average_precision, iou
from biounet.workspace import Edit, Project
from biounet.workspace.learner import Learner

PLANE = (0, 0)


def corners(mask: np.ndarray) -> list[tuple[float, float]]:
    """Corners of the outline of a mask, as a steady hand would draw it: row by row down one side and up the other."""
    rows = np.flatnonzero(mask.any(axis=1))
    left = [(float(y), float(np.flatnonzero(mask[y])[0])) for y in rows]
    right = [(float(y), float(np.flatnonzero(mask[y])[-1] + 1)) for y in rows]
    down = [point for y, x in left for point in ((y, x), (y + 1, x))]
    up = [point for y, x in reversed(right) for point in ((y + 1, x), (y, x))]
    return down + up


def wrong_objects(truth: np.ndarray, labels: np.ndarray, predicted: np.ndarray) -> list[int]:
    """Objects that are not drawn yet, the worst predicted first."""
    found = []
    for number in np.unique(truth[truth > 0]):
        mask = truth == number
        if (labels[mask] > 0).mean() > 0.5:
            continue
        numbers, counts = np.unique(predicted[mask], return_counts=True)
        best = max(
            (iou(mask, predicted == each) for each, _ in zip(numbers, counts, strict=True) if each > 0), default=0.0
        )
        found.append((best, -int(mask.sum()), int(number)))
    return [number for _, _, number in sorted(found)]


def turn(store, truth: np.ndarray, predicted: np.ndarray, strokes: int, rng: np.random.Generator) -> int:
    """Draw a few objects and a stroke of background; return how many strokes that were."""
    whole = Box((0, 0), truth.shape)

    def guess(box: Box) -> np.ndarray:
        return predicted[box.slices]

    done = 0
    for number in wrong_objects(truth, store.plane(PLANE).read(whole), predicted)[: strokes - 1]:
        points = tuple(corners(truth == number))
        store.apply(Edit(kind="outline", points=points, version=store.version), guess)
        done += 1
    outside = ~binary_dilation(truth > 0, iterations=2)
    false = outside & (predicted > 0) & (store.plane(PLANE).read(whole) < 0)
    places = np.argwhere(false if false.any() else outside)
    y, x = places[rng.integers(len(places))]
    brush = Edit(kind="paint", label=0, points=((y + 0.5, x + 0.5),), radius=2, version=store.version)
    store.apply(brush, guess)
    return done + 1


def play(given: argparse.Namespace, folder: Path) -> list[dict[str, float]]:
    """Play, and return how good the network was after each turn."""
    dataset = find_dataset(Path(given.dataset))
    pairs = [pair for pair in dataset.pairs if "C" not in read(pair.image).axes][:: max(1, given.every)]
    chosen, held = pairs[: given.images], pairs[given.images : given.images + given.held_out]
    for pair in (*chosen, *held):
        write(folder / "images" / f"{pair.name}.tif", Image(dataset.load(pair)[0][0], "YX"))
    project, rng = Project(folder), np.random.default_rng(given.seed)
    truths = {f"{pair.name}": dataset.load(pair)[1] for pair in (*chosen, *held)}
    learner = Learner(project, Path(given.model) if given.model else None)
    images = [project.by_name(pair.name) for pair in chosen]
    rows, strokes, learning = [], 0, 0.0
    predicted = {image.name: np.full(image.planes.size, IGNORE, np.int32) for image in images}
    for number in range(given.turns):
        if given.full and not number:
            for image in images:
                strokes += len(np.unique(truths[image.name])) - 1
                draw_all(image.store, truths[image.name])
        elif not given.full:
            image = images[number * len(images) // given.turns]
            if learner.state is not None:
                predicted[image.name] = learner.predict(image, PLANE, Box((0, 0), image.planes.size)).labels
            strokes += turn(image.store, truths[image.name], predicted[image.name], given.strokes, rng)
        learner.follow()
        began = time.process_time()
        for _ in range(given.updates):
            learner.step()
        learning += time.process_time() - began
        if (number + 1) % given.look == 0:
            scores = []
            for pair in held:
                image = project.by_name(pair.name)
                found = learner.predict(image, PLANE, Box((0, 0), image.planes.size)).labels
                scores.append(average_precision(truths[pair.name], found, threshold=0.5))
            row = {"turn": number + 1, "strokes": strokes, "updates": learner.steps}
            rows.append({**row, "processor_seconds": round(learning, 1), "ap50": round(float(np.mean(scores)), 3)})
    return rows


def draw_all(store, truth: np.ndarray) -> None:
    """Draw all objects and finish the image."""

    def nothing(box: Box) -> np.ndarray:
        return np.full(box.shape, IGNORE, np.int32)

    for number in np.unique(truth[truth > 0]):
        store.apply(Edit(kind="outline", points=tuple(corners(truth == number)), version=store.version), nothing)
    store.apply(Edit(kind="finish", version=store.version), nothing)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--model", help="model to begin with")
    parser.add_argument("--full", action="store_true")
    numbers = {"turns": 10, "updates": 30, "strokes": 4, "images": 4, "held-out": 6, "every": 7, "look": 2, "seed": 0}
    for name, value in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    try:
        print(json.dumps({"benchmark": "serve", **vars(given), "rows": play(given, folder)}))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
