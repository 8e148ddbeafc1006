"""Report of a training run: its answer, its pictures, its settings."""

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from biounet.config import TrainConfig
from biounet.config.object_rules import ObjectRules
from biounet.config.tasks import Task
from biounet.core.words import counted, percent
from biounet.data.annotated_image import AnnotatedImage
from biounet.report.answer import Answer, answer_classes, answer_images, answer_objects, so_far
from biounet.report.log import best_row, health, load_log
from biounet.report.page import write_report
from biounet.report.thumbnails import Thumbnail, draw_strip, thumbnail
from biounet.report.views import Picture
from biounet.training.announcements import class_names
from biounet.training.monitor import NOTHING
from biounet.training.run import TrainingRun
from biounet.training.time_budget import warning_of_few_steps
from biounet.training.validation import Validation, ValidationResult

__all__ = ["RunReport", "answer_of", "found_with", "labelled_pixels", "next_steps", "pictures_of", "without_levels"]


STRIP, STRIP_PIXELS = 48, 2**24
"""Training images that have a thumbnail, at most, and pixels of an image beyond which it has none."""


LATE = 0.75
"""Share of a run from which on classes that are never predicted are worth a warning."""


@dataclass
class RunReport:
    """Writer of the page of one run; thumbnails of the images that it learns from are drawn once."""

    _strip: str | None = field(default=None, init=False)
    _guessed: str = field(default="", init=False)

    def __call__(
        self, experiment: TrainingRun, *, finished: bool, stopped: str = "", again: str = ""
    ) -> dict[str, str]:
        """Write the report of a run so far, see `write_report`; return a warning for each problem of the run."""
        result, log, objects = experiment.result, load_log(experiment.folder / "log.csv"), experiment.data.task.numbered
        names = class_names(experiment.config, experiment.data.task)
        drawn = not experiment.data.task.has_labels
        confusion = result.confusion if result and len(result.confusion) and not drawn else None
        train = experiment.config.train
        late = finished or (share_done(train, log) >= LATE and not objects)  # the end may find objects
        balanced = train.class_balance or objects  # whose classes are levels of distance
        findings = health(log, confusion, class_names=names, balanced=balanced, late=late)
        if finished and log and (few := warning_of_few_steps(experiment.config.train, int(log[-1]["step"]))):
            findings["few steps"] = f"{few}; biounet check shows where they go."
        answer = answer_of(experiment, names)
        if answer is not None and not finished:
            answer = so_far(answer, rules=objects and experiment.config.train.finalise)
        bad = answer is not None and answer.bad
        if bad:
            findings.pop("nothing else", None)  # the answer says it
        told, steps = list(findings.values()), next_steps(experiment, again, bad=bad) if finished else []
        if answer is not None and bad:
            helps = [f"  {what} {command}" for what, command in steps]
            findings[NOTHING] = "\n".join([f"{answer.heading}: {answer.sentence}", *helps])
        write_report(
            experiment.folder / "report.html",
            title=experiment.folder.name,
            facts=facts_of(experiment, log),
            log=without_levels(log) if objects else log,
            pictures=[] if result is None else list(pictures_of(experiment.validation, result, len(names))),
            confusion=confusion,
            class_names=names,
            config=experiment.config.to_toml(reasons=experiment.reasons),
            answer=answer,
            steps=steps,
            strip=self._strips(experiment),
            warnings=told,
            trained={} if drawn else labelled_pixels(experiment, len(names)),
            finished=finished,
            stopped=stopped,
            again=again,
        )
        return findings

    def _strips(self, experiment: TrainingRun) -> str:
        """Thumbnails of the images that are learnt from."""
        self._strip = training_strip(experiment) if self._strip is None else self._strip
        self._guessed = self._guessed or guessed_strip(experiment)
        return self._strip + self._guessed


def share_done(train: TrainConfig, log: Sequence[Mapping[str, float]]) -> float:
    """Share of a run that its last report stands at."""
    if not log:
        return 0.0
    if train.steps is not None:
        return log[-1]["step"] / train.steps
    return log[-1]["seconds"] / 60 / train.minutes if train.minutes else 0.0


def answer_of(experiment: TrainingRun, class_names: Sequence[str]) -> Answer | None:
    """The answer that the page begins with; None before the first validation and without held-out images."""
    result, images = experiment.result, experiment.validation.images
    if result is None or not result.per_image:
        return None
    per_image = {image.name: scores for image, scores in zip(images, result.per_image, strict=True)}
    if experiment.data.task.numbered:
        return answer_objects(per_image)
    if not experiment.data.task.has_labels:
        return answer_images(per_image)
    worst = min(per_image, key=lambda name: _mean_of(per_image[name].values()))
    return answer_classes(result.confusion, class_names, len(per_image), worst=worst if len(per_image) > 1 else "")


def _mean_of(values: object) -> float:
    known = [value for value in values if math.isfinite(value)]  # type: ignore[attr-defined]
    return sum(known) / len(known) if known else math.inf


def next_steps(experiment: TrainingRun, again: str, *, bad: bool) -> list[tuple[str, str]]:
    """What a person may do with a finished run, or with one that is `bad`, and the command for it."""
    words = shlex.split(again) if again.startswith("biounet train ") else []
    named = len(words) > 2 and not words[2].startswith("-")
    dataset, folder = words[2] if named else "DATASET", experiment.folder
    run, longer = shlex.quote(str(folder)), shlex.quote(f"{folder}-longer")
    minutes = max(20, 3 * (experiment.config.train.minutes or 0))
    given = shlex.quote(dataset)
    longer_run = f"biounet train {given} --out {longer} --minutes {minutes:g}"
    if bad:
        check = ("See what is read from the labels, and how long training should take:", f"biounet check {given}")
        return [check, ("Train longer:", longer_run)]
    table = ("Count and measure what it finds.", f"biounet predict {run} IMAGES --out results --table")
    return [
        ("Use the model on your own images.", f"biounet predict {run} IMAGES --out results"),
        *([table] if experiment.data.task.numbered else []),
        ("Train longer, or again after you have labelled more.", longer_run),
    ]


def training_strip(experiment: TrainingRun) -> str:
    """Thumbnails of the training images with their labels; of many, evenly spread ones."""
    data = experiment.data
    if not data.in_memory:  # each would be read once more
        return ""
    every = max(1, -(-len(data.train) // STRIP))
    chosen = list(range(0, len(data.train), every))
    small = [number for number in chosen if math.prod(data.statistics[number].shape[1:]) <= STRIP_PIXELS]
    said = f"{len(small)} of {len(data.train)} images" if len(small) < len(data.train) else f"All {len(small)} images"
    look = "each object in its own colour" if data.task.numbered else "classes in their colours"
    what = (
        f"with their labels, {look}: look for labels that are missing, shifted or merged."
        if data.task.has_labels
        else ""
    )
    return draw_strip((_thumbnail(experiment, number) for number in small), f"{said} to train on {what}".rstrip())


def guessed_strip(experiment: TrainingRun) -> str:
    """Thumbnails of images without labels, with those that the run guessed; empty before it did."""
    images, task = experiment.guessed, experiment.data.task
    shown = images[:: max(1, -(-len(images) // STRIP))]
    said = f"{len(shown)} of {counted(len(images), 'image')} without labels, with those that were guessed"
    return draw_strip(
        (_thumbnail_of(image, task) for image in shown), f"{said}; stripes are in doubt, and not learnt from."
    )


def _thumbnail(experiment: TrainingRun, number: int) -> Thumbnail:
    """Thumbnail of one training image."""
    return _thumbnail_of(experiment.data.train[number].read(), experiment.data.task)


def _thumbnail_of(image: AnnotatedImage, task: Task) -> Thumbnail:
    """Thumbnail of an image with its labels."""
    if not task.has_labels:
        return thumbnail(image.name, image.image, None, numbered=False)
    count = int(np.count_nonzero(np.unique(image.labels) > 0)) if task.numbered else 0
    notes = [f"{count:,} object{'' if count == 1 else 's'}"] if task.numbered else []
    return thumbnail(image.name, image.image, image.labels, numbered=task.numbered, notes=notes)


def without_levels(log: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    """Rows of a log without the Dice of each class, since classes of objects are only levels of distance."""
    return [{name: row[name] for name in row if not name.startswith("dice_")} for row in log]


def labelled_pixels(experiment: TrainingRun, classes: int) -> dict[str, NDArray[np.int64]]:
    """Pixels of each training image that are unknown, and of each class of the report.

    Further classes of the target, such as levels of distance or the borders of objects, count as the last class.
    """
    counts = {}
    for image in experiment.data.statistics:
        of_classes = np.pad(image.counts, (0, max(0, 1 + classes - len(image.counts))))
        counts[image.name] = np.append(of_classes[:classes], of_classes[classes:].sum())
    return counts


def facts_of(experiment: TrainingRun, log: list[dict[str, float]]) -> dict[str, str]:
    """Facts among the details of a report."""
    validation, best, facts = experiment.validation, best_row(log), dict[str, str]()
    if validation.has_labels and best is not None:
        facts["best score"] = f"{best['score']:.4f} at step {best['step']:.0f}"
    facts["images"] = f"{len(experiment.data.train)} to train on, {len(validation.images)} to validate on"
    if log:
        facts["minutes"] = f"{log[-1]['seconds'] / 60:.1f}"
    if experiment.share is not None:
        share, start = percent(experiment.share), experiment.config.train.init
        facts["weights"] = f"{share} of the way from {start} to what was trained"
    if experiment.calibration is not None:
        facts["probabilities"] = str(experiment.calibration)
    if experiment.result is not None and experiment.result.rules is not None:
        facts["objects"] = found_with(experiment.result.per_image, experiment.result.rules)
    return facts


def found_with(per_image: Sequence[Mapping[str, float]], rules: ObjectRules) -> str:
    """Number of objects that were found on the held-out images, and the rules that made them."""
    found, objects = (sum(int(scores[name]) for scores in per_image) for name in ("found", "objects"))
    shown = rules.model_dump(exclude={"target", "grow"}, exclude_none=True)
    values = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in shown.items())
    return f"{found:,} of {objects:,} found, with {values}"


def pictures_of(validation: Validation, result: ValidationResult, classes: int) -> Iterator[Picture]:
    """Pictures of the held-out images: of objects where there are rules, of images where these are the target."""
    threshold = result.scores.get("threshold", 0.5)
    for index, given in enumerate(result.probabilities):
        image, scores = validation.images[index], result.per_image[index]
        size = image.anisotropy
        if validation.target_normalization is not None:
            yield Picture(image.name, image.image, image.labels, given, "image", scores, anisotropy=size)
        elif result.objects:
            objects = result.objects[index]
            yield Picture(image.name, image.image, image.labels, objects, "objects", scores, anisotropy=size)
        else:
            two = len(given) == 2
            labels = (given[1] > threshold).astype(np.uint8) if two else given.argmax(0).astype(np.uint8)
            yield Picture(
                image.name,
                image.image,
                image.target,
                labels,
                "classes",
                scores,
                probability=given[1] if two else None,
                anisotropy=size,
                classes=classes,
            )
