"""A training process that is killed while it writes, resumed, ends with the bytes of one that never was."""

import csv
import signal
import subprocess
import sys

import pytest
import torch

STEPS = ["--set", "train.reports=2", "--steps", "4"]
TINY = [
    *("--device", "cpu", "--precision", "float32", "--set", "train.target=classes", "--set", "train.auto=[]"),
    *("--set", "model.width=2", "--set", "model.depth=1", "--set", "train.patch=16", "--set", "train.batch=2", *STEPS),
]

KILLED = """
import os, signal, sys
from pathlib import Path

part, write = sys.argv.pop(1), Path.write_bytes

def write_half(path, content):
    if not path.name.startswith(part):
        return write(path, content)
    write(path, content[: len(content) // 2])
    os.kill(os.getpid(), signal.SIGKILL)

Path.write_bytes = write_half
import torch
from biounet.cli import main
torch.set_num_threads(int(sys.argv.pop(1)))  # bytes are the same for as many threads
main()
"""


@pytest.fixture
def dataset(noise_dataset):
    return noise_dataset(images=3, side=24)


@pytest.fixture
def whole(command, dataset, tmp_path) -> bytes:
    """The model of a run that was never killed."""
    status, _, errors = command("train", dataset, "--out", tmp_path / "whole", *TINY)
    assert status == 0, errors
    return (tmp_path / "whole" / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("part", "states"),
    [(".step-00000002", []), (".step-00000004", ["step-00000002.safetensors"])],
    ids=["in the first state", "in the second state"],
)
def test_a_run_that_was_killed_while_it_wrote_its_state_ends_with_the_same_bytes(
    command, dataset, whole, tmp_path, part, states
):
    out = tmp_path / "run"
    threads = str(torch.get_num_threads())
    killed = [sys.executable, "-c", KILLED, part, threads, "train", dataset, "--out", out, *TINY]
    assert subprocess.run(killed, capture_output=True, check=False).returncode == -signal.SIGKILL
    left = {path.name for path in (out / "last").iterdir()}
    assert {name for name in left if name.startswith("step-")} == set(states)
    assert sum(".part." in name for name in left) == 1
    status, _, errors = command("train", dataset, "--out", out, "--resume")
    assert status == 0, errors
    assert (out / "model.safetensors").read_bytes() == whole
    assert not any(".part." in path.name for path in out.rglob("*"))
    with (out / "log.csv").open() as stream:
        assert [row["step"] for row in csv.DictReader(stream)] == ["2", "4"]
