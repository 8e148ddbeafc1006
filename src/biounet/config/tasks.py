"""Tasks: what a network is trained for, in one table that training, prediction, evaluation and report read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

__all__ = ["LABELS", "OUTPUTS", "TARGETS_OF_TASKS", "TASKS", "Task", "name_classes", "task_of"]


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task: what annotations mean, what a network learns of them, and what is written and scored.

    Examples
    --------
    >>> TASKS["objects"].target, TASKS["objects"].outputs[0]
    ('distance', 'labels')
    """

    name: str
    numbers: str = ""
    """What one number of an annotation stands for; empty where annotations are no labels."""
    numbered: bool = False
    """Each number is one object; results are numbered objects, too, which can be measured and linked."""
    target: str
    """What the network learns unless the settings say otherwise: one of `targets`."""
    paper_target: str
    """What it learns under ``--preset paper``."""
    targets: tuple[str, ...]
    """All that it can learn; see `biounet.data.targets.TARGETS`."""
    first_rules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By target, where the search for the rules of objects begins, if not at the defaults of `ObjectRules`."""
    losses: tuple[str, ...]
    """Keys of `biounet.training.losses.LOSSES` that fit the target; the first where none is asked for."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings in ``train.auto`` that follow from the task alone."""
    output: str = "labels"
    """What prediction writes where nothing is asked for."""
    outputs: tuple[str, ...]
    """All that prediction can write."""

    @property
    def has_labels(self) -> bool:
        """Whether annotations are labels; else they are images, which the network learns to draw."""
        return bool(self.numbers)

    @property
    def has_classes(self) -> bool:
        """Whether annotations number classes."""
        return self.has_labels and not self.numbered

    def saves_objects(self, save: str) -> bool:
        """Whether an output is numbered objects.

        >>> TASKS["objects"].saves_objects("labels"), TASKS["classes"].saves_objects("labels")
        (True, False)
        """
        return save == "objects" or (save == "labels" and self.numbered)


LOSSES_OF_LABELS = ("cross-entropy", "dice", "cross-entropy+dice", "focal")
LABELS = ("labels", "objects", "classes")
"""Outputs that are label images."""

OUTPUTS_OF_LABELS = (*LABELS, "probabilities", "attention")

TASKS: Mapping[str, Task] = MappingProxyType(
    {
        task.name: task
        for task in (
            Task(
                name="classes",
                numbers="a class",
                target="classes",
                paper_target="classes",
                targets=("classes",),
                losses=LOSSES_OF_LABELS,
                outputs=OUTPUTS_OF_LABELS,
            ),
            Task(
                name="objects",
                numbers="one object",
                numbered=True,
                target="distance",
                paper_target="foreground",
                targets=("foreground", "border", "distance"),
                first_rules={"distance": {"seed": 0.6, "peak": 0.7}},
                losses=LOSSES_OF_LABELS,
                outputs=OUTPUTS_OF_LABELS,
            ),
            # Other light would ask for another target: so intensities are not augmented.
            Task(
                name="images",
                target="image",
                paper_target="image",
                targets=("image",),
                losses=("l1", "l2"),
                settings={
                    "train.loss": "l1",
                    "train.class_balance": False,
                    "train.border_weight": 0.0,
                    "augment.brightness": 0.0,
                    "augment.contrast": 1.0,
                    "augment.gamma": 1.0,
                    "augment.noise": 0.0,
                    "augment.blur": 0.0,
                },
                output="image",
                outputs=("image", "attention"),
            ),
        )
    }
)
"""Name of a task -> what it is. ``train.target`` chooses one; else the layout and the labels of a dataset do."""

TARGETS_OF_TASKS: Mapping[str, Task] = MappingProxyType(
    {target: task for task in TASKS.values() for target in task.targets}
)
"""Target -> the task that it is of."""


OUTPUTS = tuple(dict.fromkeys(output for task in TASKS.values() for output in task.outputs))
"""All that ``predict --save`` may ask for."""


def name_classes(given: Sequence[str], classes: int) -> tuple[str, ...]:
    """Names of so many classes, background first: those given, or else plain ones.

    >>> name_classes((), 3), name_classes(("tissue", "vessel"), 2)
    (('background', 'class 1', 'class 2'), ('tissue', 'vessel'))
    """
    if len(given) == classes:
        return tuple(given)
    return ("background", "foreground") if classes == 2 else ("background", *(f"class {n}" for n in range(1, classes)))


def task_of(target: str) -> Task:
    """The task that a target is of.

    >>> task_of("border").name
    'objects'
    """
    return TARGETS_OF_TASKS[target]
