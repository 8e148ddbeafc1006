"""The page of a run: its settings, scores and pictures."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from biounet.config.object_rules import ObjectRules
from biounet.report.log import best_row, health, load_log
from biounet.report.page import write_report
from biounet.report.views import Picture
from biounet.training.run import TrainingRun
from biounet.training.time_budget import of_too_few
from biounet.training.validation import Validation

__all__ = ["found_with", "labelled_pixels", "pictures_of", "without_levels"]


def report(experiment: TrainingRun, *, finished: bool, stopped: str = "", again: str = "") -> dict[str, str]:
    """Write the report of a run as it stands; return what looks wrong with it. See `write_report`."""
    validation, log = experiment.validation, load_log(experiment.folder / "log.csv")
    drawn, objects = not experiment.data.task.has_labels, experiment.data.task.numbered
    names = ["background", "objects"] if objects else [f"class {n}" for n in range(experiment.config.model.classes)]
    confusion = validation.confusion if len(validation.confusion) and not drawn else None
    findings = health(log, confusion, class_names=names)
    if finished and log and (few := of_too_few(experiment.config.train, int(log[-1]["step"]))):
        findings["few steps"] = f"{few}; biounet check shows where they go."
    write_report(
        experiment.folder / "report.html",
        title=experiment.folder.name,
        facts=facts_of(experiment, log),
        log=without_levels(log) if objects else log,
        pictures=[] if drawn else list(pictures_of(validation)),
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
    """Leave out of a log how well levels of distance are told apart: of objects that tells nobody anything."""
    return [{name: row[name] for name in row if not name.startswith("dice_")} for row in log]


def labelled_pixels(experiment: TrainingRun, classes: int) -> dict[str, NDArray[np.int64]]:
    """Pixels of each image to train on that are unknown, and of each class, as the report names them.

    What is learnt of an object, in levels or as its border, is of the object.
    """
    counts = {}
    for image in experiment.data.statistics:
        of_classes = np.pad(image.counts, (0, max(0, 1 + classes - len(image.counts))))
        counts[image.name] = np.append(of_classes[:classes], of_classes[classes:].sum())
    return counts


def facts_of(experiment: TrainingRun, log: list[dict[str, float]]) -> dict[str, str]:
    """What stands at the top of a report."""
    validation, best, facts = experiment.validation, best_row(log), dict[str, str]()
    if validation.has_labels and best is not None:
        facts["best score"] = f"{best['score']:.4f} at step {best['step']:.0f}"
    facts["images"] = f"{len(experiment.data.train)} to train on, {len(validation.items)} to validate on"
    if log:
        facts["minutes"] = f"{log[-1]['seconds'] / 60:.1f}"
    if experiment.calibration is not None:
        facts["probabilities"] = str(experiment.calibration)
    if validation.rules_in_use is not None:
        facts["objects"] = found_with(validation, validation.rules_in_use)
    return facts


def found_with(validation: Validation, rules: ObjectRules) -> str:
    """How many objects were found on the held-out images, and the rules in use that made them."""
    found, objects = (sum(int(scores[name]) for scores in validation.each) for name in ("found", "objects"))
    kept = rules.model_dump(exclude={"target", "grow"}, exclude_none=True)
    said = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in kept.items())
    return f"{found:,} of {objects:,} found, with {said}"


def pictures_of(validation: Validation) -> Iterator[Picture]:
    """The held-out images as a report shows them: with their objects where rules make some, else with classes."""
    for index, given in enumerate(validation.probabilities):  # none before the first validation
        item, scores = validation.items[index], validation.each[index]
        found = validation.found[index] if validation.found else None
        truth = item.target if found is None else item.labels
        yield Picture(item.name, item.image, truth, given, scores, found, objects=found is not None)
