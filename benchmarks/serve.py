"""A person at `biounet serve`, played by a script that paints as the truth says: AP at 0.5 against minutes and strokes.

Usage: python benchmarks/serve.py [DATASET] [--minutes 4] [--model nuclei] [--full] [--view 128] [--out FILE]

The person goes from image to image, one view each. In a view she clicks on the objects that are predicted well, draws
round the others, and marks the view as finished. An outline takes 5 seconds, a click 1.5, a new view 3; the network
learns meanwhile, on one core: a second of hers is a processor second of the process that learns. `--full`: all
objects of the same images are drawn before the clock starts, and a run of `--minutes` of one core is made as by the
page's button. A line of JSON for each look at the images held out; `--out` adds the run to a list in a
file, which has what there is after each look.
"""

import argparse
import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    time.monotonic = time.process_time  # before anything takes it: budgets of runs are of processor time

import numpy as np
from scipy.ndimage import binary_dilation, distance_transform_edt

from biounet import load_model
from biounet.core.boxes import Box
from biounet.core.labels import IGNORE
from biounet.data import find_dataset
from biounet.io import Image, read, write
from biounet.metrics import average_precision, iou
from biounet.workspace import Edit, Project, ProjectImage
from biounet.workspace.finish import FollowedRun, finish_run
from biounet.workspace.learner import Learner

PLANE = (0, 0)
OUTLINE, CLICK, VIEW = 5.0, 1.5, 3.0
"""Seconds of the person."""

RIGHT = 0.8
"""Least IoU of a predicted object that the person finds right."""

DRAWN = 0.5
"""Share of the pixels of an object that are labelled, from which it is drawn."""

LEAST_TIME = 5.0
"""Seconds between predictions of what is on the screen, as of the page."""


def corners(mask: np.ndarray) -> tuple[tuple[float, float], ...]:
    """Corners of the outline of a mask, as a steady hand would draw it: row by row down one side and up the other."""
    rows = np.flatnonzero(mask.any(axis=1))
    left = [(float(y), float(np.flatnonzero(mask[y])[0])) for y in rows]
    right = [(float(y), float(np.flatnonzero(mask[y])[-1] + 1)) for y in rows]
    down = [point for y, x in left for point in ((y, x), (y + 1, x))]
    up = [point for y, x in reversed(right) for point in ((y + 1, x), (y, x))]
    return (*down, *up)


def near_side(mask: np.ndarray, objects: np.ndarray) -> tuple[tuple[float, float], ...]:
    """A dozen points of the background along the free side of an object, three pixels away from it."""
    ring = binary_dilation(mask, iterations=4) & ~binary_dilation(mask, iterations=3)
    places = np.argwhere(ring & ~binary_dilation(objects, iterations=2))
    if not len(places):
        places = np.argwhere(~objects)[:1]
    start = places[0]
    near = places[np.argsort(np.abs(places - start).sum(axis=1), kind="stable")[:12]]
    return tuple((float(y) + 0.5, float(x) + 0.5) for y, x in near)


@dataclass
class Person:
    """A person who labels images as the truth says.

    Parameters
    ----------
    images : those that she labels
    truths : name of an image -> (Y, X) numbered objects
    view : pixels along a side of a view
    wait : (image on the screen, seconds) -> None, called for the time that each act takes
    """

    images: list[ProjectImage]
    truths: dict[str, np.ndarray]
    view: int
    wait: Callable[[ProjectImage, float], None]
    predicted: dict[str, np.ndarray] = field(default_factory=dict)
    """Name of an image -> what the page shows."""
    strokes: int = 0

    def work(self) -> None:
        """Label view after view, until all are finished."""
        views = [[(image, box) for box in self._views(image)] for image in self.images]
        for turn in range(max(map(len, views))):
            for of_image in views:
                if turn < len(of_image):
                    self._finish(*of_image[turn])

    def _views(self, image: ProjectImage) -> Iterator[Box]:
        """Views of an image with objects, those in its middle first."""
        size, truth = image.planes.size, self.truths[image.name]
        corners = [(y, x) for y in range(0, size[0], self.view) for x in range(0, size[1], self.view)]
        for y, x in sorted(corners, key=lambda at: np.hypot(*(np.add(at, self.view / 2) - np.divide(size, 2)))):
            box = Box((y, x), (min(y + self.view, size[0]), min(x + self.view, size[1])))
            if (truth[box.slices] > 0).any():
                yield box

    def _finish(self, image: ProjectImage, box: Box) -> None:
        """Draw or click on all objects of a view, and finish it."""
        self.wait(image, VIEW)
        truth = self.truths[image.name]
        for number in np.unique(truth[box.slices]):
            mask = truth == number
            if number <= 0 or (self._labels(image)[mask] > 0).mean() > DRAWN:
                continue
            found = self._well_predicted(image, mask)
            if found is None:
                self._do(image, OUTLINE, kind="outline", points=corners(mask))
            else:
                self._do(image, CLICK, kind="right", points=(found,))
            if not (self._labels(image) == 0).any():
                self._do(image, CLICK, kind="paint", label=0, radius=1.5, points=near_side(mask, truth > 0))
        self._do(image, CLICK, kind="finish", box=(*box.start, *box.stop))

    def _labels(self, image: ProjectImage) -> np.ndarray:
        return image.store.plane(PLANE).read(Box((0, 0), image.planes.size))

    def _well_predicted(self, image: ProjectImage, mask: np.ndarray) -> tuple[float, float] | None:
        """A point in the predicted object that is right, if one is and nothing of it is drawn."""
        shown = self.predicted.get(image.name)
        number = 0 if shown is None else int(np.bincount(np.maximum(shown[mask], 0)).argmax())
        if number <= 0 or iou(mask, shown == number) < RIGHT or (self._labels(image)[shown == number] > 0).any():
            return None
        y, x = np.unravel_index(distance_transform_edt(shown == number).argmax(), mask.shape)
        return float(y) + 0.5, float(x) + 0.5

    def _do(self, image: ProjectImage, seconds: float, **edit: object) -> None:
        """Make an edit, which takes some time."""
        shown = self.predicted.get(image.name, np.full(image.planes.size, IGNORE, np.int32))
        image.store.apply(Edit(version=image.store.version, **edit), lambda box: shown[box.slices])
        self.strokes += 1
        self.wait(image, seconds)


class TimeIsUpError(Exception):
    """The minutes of a person are over."""


def correct(given: argparse.Namespace, sets: "Sets", tell: Callable[[dict], None]) -> None:
    """A person and a network at work together; tell how good the network is, again and again."""
    learner = Learner(sets.project, given.model)
    left = clock = shown_at = 0.0
    looks = iter((*range(15, 60, 15), *range(60, 3601, 30)))
    look = next(looks)

    def wait(image: ProjectImage, seconds: float) -> None:
        nonlocal left, clock, look, shown_at
        learner.follow()
        clock, left = clock + seconds, left + seconds
        while left > 0 and learner.predicts:
            began = time.process_time()
            if learner.state is not None and not learner.missing():
                learner.step()
            if clock - left >= shown_at:
                person.predicted[image.name] = learner.predict(image, PLANE, Box((0, 0), image.planes.size)).labels
                shown_at = clock - left + max(LEAST_TIME, 3 * (time.process_time() - began))
            left -= max(time.process_time() - began, 0.01)
        left = min(left, 0.0)
        while clock >= look:
            tell({**judged(learner), "minutes": round(look / 60, 2)})
            look = next(looks)
            if look > 60 * given.minutes:
                raise TimeIsUpError

    def judged(learner: Learner) -> dict[str, float]:
        if not learner.predicts:
            return {"strokes": person.strokes, "updates": 0, "ap50": 0.0}
        ap = sets.score(lambda image: learner.predict(image, PLANE, Box((0, 0), image.planes.size)).labels)
        return {"strokes": person.strokes, "updates": learner.steps, "ap50": ap}

    person = Person(sets.drawn, sets.truths, given.view, wait)
    if given.model:
        tell({**judged(learner), "minutes": 0.0})
    with contextlib.suppress(TimeIsUpError):
        person.work()


def train(given: argparse.Namespace, sets: "Sets", tell: Callable[[dict], None]) -> None:
    """Draw all objects, then train once, as long as the minutes say."""
    strokes = 0
    for image in sets.drawn:
        truth = sets.truths[image.name]
        for number in np.unique(truth[truth > 0]):
            outline = Edit(kind="outline", points=corners(truth == number), version=image.store.version)
            image.store.apply(outline, lambda box: np.full(box.shape, IGNORE, np.int32))
            strokes += 1
        image.store.apply(Edit(kind="finish", version=image.store.version), lambda box: np.zeros(box.shape, np.int32))
        strokes += 1
    folder = sets.project.next_run()
    finish_run(sets.project, folder, FollowedRun(lambda *_: None, lambda: ""), minutes=given.minutes, init=given.model)
    model = load_model(folder)
    ap = sets.score(lambda image: model.segment(image.planes.read(PLANE, Box((0, 0), image.planes.size))[0]))
    tell({"strokes": strokes, "ap50": ap, "minutes": given.minutes})


@dataclass(frozen=True)
class Sets:
    """A project, its images that are drawn in, those held out, and the truth of all."""

    project: Project
    drawn: list[ProjectImage]
    held: list[ProjectImage]
    truths: dict[str, np.ndarray]

    @classmethod
    def of(cls, given: argparse.Namespace, folder: Path) -> "Sets":
        """Copy grey images of a dataset into a folder: every so many to draw in, as many others to hold out."""
        dataset, truths, names = find_dataset(given.dataset), {}, []
        for pair in dataset.pairs:
            image, labels = dataset.load(pair)
            if "C" in read(pair.image).axes or (labels < 0).mean() > 0.5 or len(np.unique(labels)) < 4:
                continue  # in colours, or hardly annotated, or hardly an object
            names.append(Path(pair.name).stem)
            truths[names[-1]] = np.maximum(labels, 0)
            write(folder / "images" / f"{names[-1]}.tif", Image(image[0], "YX"))
        project = Project(folder)
        drawn = names[given.seed :: given.every][: given.images]
        held = [name for name in names if name not in drawn]
        held = held[:: max(1, len(held) // given.held_out)][: given.held_out]
        return cls(project, [project.by_name(name) for name in drawn], [project.by_name(name) for name in held], truths)

    def score(self, predict: Callable[[ProjectImage], np.ndarray]) -> float:
        """Mean AP at 0.5 of the images held out."""
        scores = [average_precision(self.truths[image.name], predict(image), threshold=0.5) for image in self.held]
        return round(float(np.mean(scores)), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "dataset",
        type=Path,
        nargs="?",
        default=Path(os.environ.get("BIOUNET_DATA", "../shared/data")) / "DIC-C2DH-HeLa",
    )
    parser.add_argument("--name", help="of the dataset in the results; that of its folder, if not given")
    parser.add_argument("--model", help="model to begin with")
    parser.add_argument("--full", action="store_true", help="train once, on images of which all is drawn")
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--out", type=Path, help="file with a list of runs")
    for name, value in {"view": 128, "images": 6, "held-out": 12, "every": 5, "seed": 0}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    given = parser.parse_args()
    way = {
        "dataset": given.name or given.dataset.name,
        "start": given.model or "nothing",
        "full": given.full,
        "minutes": given.minutes,
        "seed": given.seed,
    }
    runs = json.loads(given.out.read_text()) if given.out and given.out.exists() else []
    runs = [run for run in runs if {key: run[key] for key in way} != way]
    rows: list[dict] = []
    folder = Path(tempfile.mkdtemp())

    def tell(row: dict) -> None:
        rows.append(row)
        print(json.dumps({**way, **row}), flush=True)
        if given.out:
            given.out.write_text(json.dumps([*runs, {**way, "rows": rows}], indent=1) + "\n")

    try:
        (train if given.full else correct)(given, Sets.of(given, folder), tell)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
