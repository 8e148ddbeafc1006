"""Tests of checkpoints: whole, the last two, and readable though the last was torn."""

import math

import pytest
import torch
from safetensors.torch import save_file

from biounet.core.errors import TrainingError
from biounet.training.checkpoint import Progress, load_state, save_state


def progress(step):
    return Progress(step=step, seconds=1.5, best=-math.inf, pieces=1)


def test_state_comes_back(tmp_path):
    tensors = {"a": torch.arange(3.0), "b": torch.tensor(7)}
    save_state(tmp_path, 5, tensors, progress(5))
    loaded, found = load_state(tmp_path)
    assert found == progress(5)
    assert all(torch.equal(loaded[name], tensors[name]) for name in tensors)


def test_last_two_are_kept_and_a_torn_one_is_passed_over(tmp_path):
    for step in (1, 2, 10):
        save_state(tmp_path, step, {"a": torch.tensor(step)}, progress(step))
    files = sorted(tmp_path.iterdir())
    assert [path.name for path in files] == ["step-00000002.safetensors", "step-00000010.safetensors"]
    files[1].write_bytes(files[1].read_bytes()[:-1])
    assert load_state(tmp_path)[1] == progress(2)


@pytest.mark.parametrize("text", ["null", "[]", '{"step": "x"}', "[" * 100_000, '{"step": 1, "step": 2}', ""])
def test_a_checkpoint_with_a_damaged_header_is_passed_over(tmp_path, text):
    save_state(tmp_path, 2, {"a": torch.tensor(2)}, progress(2))
    save_file({"a": torch.tensor(3)}, tmp_path / "step-00000003.safetensors", metadata={"run": text})
    assert load_state(tmp_path)[1] == progress(2)
    (tmp_path / "step-00000002.safetensors").unlink()
    with pytest.raises(TrainingError, match="can be read; train without --resume"):
        load_state(tmp_path)


def test_a_run_without_a_state_and_one_with_none_that_is_whole(tmp_path):
    assert load_state(tmp_path) is None
    (tmp_path / "step-00000001.safetensors").write_bytes(b"torn")
    with pytest.raises(TrainingError, match="can be read; train without --resume"):
        load_state(tmp_path)
