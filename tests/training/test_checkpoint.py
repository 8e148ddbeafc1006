"""Tests of checkpoints: whole, the last two, and readable though the last was torn."""

import pytest
import torch

from biounet.core.errors import TrainingError
from biounet.training.checkpoint import load_state, save_state


def test_state_comes_back(tmp_path):
    tensors = {"a": torch.arange(3.0), "b": torch.tensor(7)}
    save_state(tmp_path, 5, tensors, {"step": 5, "best": 0.25})
    loaded, facts = load_state(tmp_path)
    assert facts == {"step": 5, "best": 0.25}
    assert all(torch.equal(loaded[name], tensors[name]) for name in tensors)


def test_last_two_are_kept_and_a_torn_one_is_passed_over(tmp_path):
    for step in (1, 2, 10):
        save_state(tmp_path, step, {"a": torch.tensor(step)}, {"step": step})
    files = sorted(tmp_path.iterdir())
    assert [path.name for path in files] == ["step-00000002.safetensors", "step-00000010.safetensors"]
    files[1].write_bytes(files[1].read_bytes()[:-1])
    assert load_state(tmp_path)[1] == {"step": 2}


def test_a_run_without_a_state_and_one_with_none_that_is_whole(tmp_path):
    assert load_state(tmp_path) is None
    (tmp_path / "step-00000001.safetensors").write_bytes(b"torn")
    with pytest.raises(TrainingError, match="can be read; train without --resume"):
        load_state(tmp_path)
