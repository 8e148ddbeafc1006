"""The table of tasks: what it names exists, and no target is of two tasks."""

from collections import Counter

import pytest
from pydantic import ValidationError

from biounet.config import TrainConfig
from biounet.config.object_rules import ObjectRules
from biounet.config.tasks import OUTPUTS, TARGETS_OF_TASKS, TASKS, task_of
from biounet.data.targets import TARGETS
from biounet.training.losses import LOSSES


@pytest.mark.parametrize("name", TASKS)
def test_what_a_task_names_exists(name):
    task = TASKS[name]
    assert task.name == name
    assert {task.target, task.paper_target} <= set(task.targets)
    assert set(task.losses) <= set(LOSSES)
    assert task.output in task.outputs
    assert all(
        rules == ObjectRules(target=target, **rules).model_dump(include=set(rules))
        for target, rules in task.first_rules.items()
    )
    for setting in task.settings:
        section, _, field = setting.partition(".")
        assert section in ("train", "augment")
        assert field


def test_each_target_is_of_one_task():
    assert max(Counter(target for task in TASKS.values() for target in task.targets).values()) == 1
    assert all(task_of(target).targets.count(target) == 1 for target in TARGETS_OF_TASKS)
    assert {target for task in TASKS.values() if task.numbered for target in task.targets} == set(TARGETS)
    assert set(OUTPUTS) == {"labels", "objects", "classes", "probabilities", "image", "attention"}


def test_unknown_targets_are_refused_with_those_that_are_known():
    with pytest.raises(ValidationError, match=f"auto, paper, {', '.join(TARGETS_OF_TASKS)}, got 'rim'"):
        TrainConfig(target="rim")
    with pytest.raises(ValidationError, match=f"{', '.join(TARGETS)}, got 'image'"):
        ObjectRules(target="image")
