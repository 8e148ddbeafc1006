"""TensorBoard shows what the log holds, if it is installed; else the extra is named."""

import importlib.util

import pytest

from biounet.core.errors import MissingExtraError
from biounet.training.loop import Report
from biounet.training.tensorboard import TensorBoardWriter

REPORT = Report(5, 1.0, 0.25, 1e-3, {"score": 0.75, "dice_1": float("nan")}, True, 0.02)
installed = importlib.util.find_spec("tensorboard") is not None


@pytest.mark.skipif(not installed, reason="needs biounet[tensorboard]")
def test_scalars_come_back(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with TensorBoardWriter(tmp_path) as tensorboard_writer:
        tensorboard_writer.add(REPORT)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert set(events.Tags()["scalars"]) == {"training/loss", "training/learning_rate", "validation/score"}
    (loss,) = events.Scalars("training/loss")
    assert (loss.step, loss.value) == (5, 0.25)


@pytest.mark.skipif(installed, reason="TensorBoard is installed")
def test_the_extra_is_named(tmp_path):
    with pytest.raises(MissingExtraError, match=r"biounet\[tensorboard\]"):
        TensorBoardWriter(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_without_a_folder_nothing_is_written():
    with TensorBoardWriter(None) as tensorboard_writer:
        tensorboard_writer.add(REPORT)
