"""Tests of the log of a run, and of the warnings about problems in it."""

import math

import numpy as np
import pytest

from biounet.core.errors import TrainingError
from biounet.report import health, load_log


def row(step, *, loss=0.5, score=0.5, best=0, **others):
    return {
        "step": step,
        "seconds": 2.0 * step,
        "loss": loss,
        "learning_rate": 0.003,
        "score": score,
        "best": best,
    } | others


def test_log_is_read(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("step,seconds,loss,learning_rate,score,best\n10,1.5,0.5,0.001,nan,1\n")
    (only,) = load_log(path)
    assert only.pop("score") != only["step"]
    assert only == {"step": 10, "seconds": 1.5, "loss": 0.5, "learning_rate": 0.001, "best": 1}
    assert load_log(tmp_path / "missing.csv") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "the table lacks step, seconds, loss"),
        ("", "the table lacks step, seconds, loss, it has no columns"),
        ("step,seconds,loss\n1,2\n", "line 2"),
        ("step,seconds,loss\n1,2,x\n", "line 2"),
        ("step,seconds,loss\n1,2,3,4\n", "line 2"),
    ],
)
def test_a_file_that_is_no_log(tmp_path, text, message):
    path = tmp_path / "log.csv"
    path.write_text(text)
    with pytest.raises(TrainingError, match=message):
        load_log(path)


def test_a_healthy_run_has_no_warnings():
    log = [row(step, loss=1 / step, score=1 - 1 / step) for step in range(1, 9)]
    assert health(log, np.array([[9, 1], [1, 9]])) == {}
    assert health([], None) == {}
    assert health([row(1, loss=0.001), row(2, loss=0.004)], None) == {}, "a small loss may wobble"


def test_an_exploding_loss_is_a_warning():
    (warning,) = health([row(10, loss=0.2), row(20, loss=5.0)], None).values()
    assert "from 0.2 at step 10 to 5 at step 20" in warning
    assert "train.learning_rate=0.001" in warning  # a third of 0.003
    (warning,) = health([row(10, loss=0.2), row(20, loss=math.nan)], None).values()
    assert "no number at step 20" in warning


def test_overfitting_is_a_warning_only_when_it_lasts():
    scores = [0.7, 0.9, 0.88, 0.87, 0.86]
    log = [row(step, loss=1 - step / 10, score=score) for step, score in enumerate(scores, 1)]
    (warning,) = health(log, None).values()
    assert "from 0.900 at step 2 to 0.860" in warning
    assert health(log[:-1], None) == {}


def test_empty_predictions_and_missing_classes_are_warnings():
    names = ["background", "cell", "border"]
    (warning,) = health([], np.array([[90, 0, 0], [9, 0, 0], [1, 0, 0]]), class_names=names).values()
    assert warning.startswith("Nothing but background is ever predicted")
    (warning,) = health([], np.array([[90, 1, 0], [0, 8, 0], [1, 0, 0]]), class_names=names).values()
    assert warning.startswith("border is never predicted, though it is 1.00%")
    (warning,) = health([], np.zeros((3, 3), int), class_names=names).values()
    assert "No pixel of the validation images has a label" in warning
    assert health([], np.array([[5, 0], [0, 0]])) == {}, "nothing but background is right where nothing else is"
