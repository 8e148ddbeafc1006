"""Report of a training run: its settings, scores and pictures."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from biounet.config.object_rules import ObjectRules
from biounet.report.log import best_row, health, load_log
from biounet.report.page import write_report
from biounet.report.views import Picture
from biounet.training.run import TrainingRun
from biounet.training.time_budget import warning_of_few_steps
from biounet.training.validation import Validation, ValidationResult

__all__ = ["found_with", "labelled_pixels", "pictures_of", "without_levels"]


def report(experiment: TrainingRun, *, finished: bool, stopped: str = "", again: str = "") -> dict[str, str]:
    """Write the report of a run so far, see `write_report`; return a warning for each problem of the run."""
    result, log = experiment.result, load_log(experiment.folder / "log.csv")
    drawn, objects = not experiment.data.task.has_labels, experiment.data.task.numbered
    names = ["background", "objects"] if objects else [f"class {n}" for n in range(experiment.config.model.classes)]
    confusion = result.confusion if result and len(result.confusion) and not drawn else None
    findings = health(log, confusion, class_names=names)
    if finished and log and (few := warning_of_few_steps(experiment.config.train, int(log[-1]["step"]))):
        findings["few steps"] = f"{few}; biounet check shows where they go."
    write_report(
        experiment.folder / "report.html",
        title=experiment.folder.name,
        facts=facts_of(experiment, log),
        log=without_levels(log) if objects else log,
        pictures=[] if drawn or result is None else list(pictures_of(experiment.validation, result)),
        confusion=confusion,
        class_names=names,
        config=experiment.config.to_toml(reasons=experiment.reasons),
        warnings=list(findings.values()),
        trained={} if drawn else labelled_pixels(experiment, len(names)),
        finished=finished,
        stopped=stopped,
        again=again,
    )
    return findings


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
    """Summary at the top of a report."""
    validation, best, facts = experiment.validation, best_row(log), dict[str, str]()
    if validation.has_labels and best is not None:
        facts["best score"] = f"{best['score']:.4f} at step {best['step']:.0f}"
    facts["images"] = f"{len(experiment.data.train)} to train on, {len(validation.images)} to validate on"
    if log:
        facts["minutes"] = f"{log[-1]['seconds'] / 60:.1f}"
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


def pictures_of(validation: Validation, result: ValidationResult) -> Iterator[Picture]:
    """Pictures of the held-out images: with their objects where there are rules, else with classes."""
    for index, given in enumerate(result.probabilities):
        image, scores = validation.images[index], result.per_image[index]
        objects = result.objects[index] if result.objects else None
        truth = image.target if objects is None else image.labels
        yield Picture(image.name, image.image, truth, given, scores, objects, objects=objects is not None)
