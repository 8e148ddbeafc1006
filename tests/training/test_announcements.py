"""What is said of a run in words."""

import numpy as np
import pytest

from biounet.config import RunConfig
from biounet.config.tasks import TASKS
from biounet.data.annotated_image import AnnotatedImage
from biounet.data.training_set import TrainingSet
from biounet.training.announcements import announce, class_names, how_good, in_short
from biounet.training.loop import Report
from biounet.training.validation import ValidationResult

COUNTS = {"objects": 54, "found": 43, "false": 0, "merges": 2, "splits": 0}


def told(kind, labels, *, held_out=1):
    items = [AnnotatedImage("a", np.zeros((1, *labels.shape), np.float32), labels, np.minimum(labels, 1))]
    said = []
    announce(TrainingSet(items * 2, items * held_out, kind, ()), said.append)
    return said[-1]


def test_it_is_told_what_is_learnt_from_how_many_images_and_objects():
    labels = np.array([[0, 1, 1, 0, 5, -1]])
    apart = "1 image with 2 objects kept apart to see how good it gets"
    assert told("objects", labels) == f"learning to find objects from 2 images with 4 objects; {apart}"
    assert told("classes", labels, held_out=0) == "learning 2 classes from 2 images; no image kept apart"


def test_mistakes_are_named_where_there_are_any():
    names = ["background", "objects"]
    assert how_good(ValidationResult({}, per_image=[COUNTS] * 2), names) == (
        "finds 86 of 108 objects on 2 held-out images, 4 merged"
    )
    assert how_good(ValidationResult({}, per_image=[{**COUNTS, "merges": 0}]), names).endswith("on 1 held-out image")
    assert how_good(ValidationResult({"score": 0.0}), names) == how_good(None, names) == ""


def test_of_classes_each_but_the_background_has_its_dice():
    three = ValidationResult({}, per_image=[{}], confusion=np.array([[8, 0, 0], [1, 1, 0], [0, 0, 0]]))
    assert how_good(three, ["background", "cell", "fibre"]) == (
        "is right about 90 % of the pixels of 1 held-out image (Dice: cell 0.67)"
    )
    membranes = ValidationResult({"rand": 0.91}, per_image=[{}], confusion=np.array([[5, 0], [0, 5]]))
    assert how_good(membranes, ["membrane", "cell"]).endswith("(Dice: cell 1.00); Rand score of separated cells 0.91")
    unlabelled = ValidationResult({}, per_image=[{}], confusion=np.zeros((2, 2), int))
    assert how_good(unlabelled, ["background", "cell"]) == ""


def test_of_images_the_share_that_is_explained_is_told():
    drawn = ValidationResult({"score": 0.872}, per_image=[{"r2": 0.872}])
    assert how_good(drawn, []) == "explains 87 % of what differs between pixels of 1 held-out image (R² 0.872)"


def test_beside_the_progress_stands_what_is_found_or_the_score():
    report = Report(1, 1.0, 0.5, 0.1, {"score": 0.25}, best=True, waiting=0.0)
    assert in_short(report, ValidationResult({}, per_image=[COUNTS])) == ", finds 43 of 54"
    assert in_short(report, None) == ", score 0.2500"


@pytest.mark.parametrize(
    ("kind", "classes", "given", "names"),
    [
        ("objects", 9, (), ["background", "objects"]),
        ("classes", 2, (), ["background", "foreground"]),
        ("classes", 3, (), ["background", "class 1", "class 2"]),
        ("classes", 2, ("membrane", "cell"), ["membrane", "cell"]),
    ],
)
def test_classes_without_names_get_plain_ones(kind, classes, given, names):
    changes = {"model.classes": classes, "train.class_names": given}
    assert class_names(RunConfig.preset("default").updated(changes), TASKS[kind]) == names
