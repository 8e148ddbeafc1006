"""Two processes that share every batch make the run that one process makes."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from biounet.cli.launch import run_processes
from biounet.config import TrainConfig
from biounet.core.errors import ConfigError, TrainingError
from biounet.io import Image, write
from biounet.models.model_file import load_network
from biounet.training.distributed import all_reduce_min, broadcast, check_share, connected, local_size, make_fabric
from biounet.training.distributed_layers import SampleDropout, drop_by_sample, seed_dropout
from biounet.training.prepare import room

COMMAND = [sys.executable, "-c", "from biounet.cli import main; main()", "train"]
TINY = [
    *("--device", "cpu", "--precision", "float32", "--validation", "0", "--set", "train.target=classes"),
    *("--set", "model.width=2", "--set", "model.depth=1", "--set", "train.patch=16", "--set", "train.batch=3"),
]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    """Two images in which much is unknown, and unevenly, so that the mean of means is not the mean."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for number, known in enumerate((0.1, 1.0)):
        image = rng.integers(0, 255, (24, 24)).astype(np.uint8)
        labels = np.where(rng.random(image.shape) < known, image // 100, -1).astype(np.int16)
        write(folder / "images" / f"{number}.png", Image(image, "YX"))
        write(folder / "labels" / f"{number}.tif", Image(labels, "YX"))
    return folder


def losses(run: Path) -> list[float]:
    with (run / "log.csv").open() as stream:
        return [float(row["loss"]) for row in csv.DictReader(stream)]


def test_two_processes_make_the_run_of_one(dataset, tmp_path):
    """The default preset: batch normalisation, drop-out, weights, augmentation, a running average."""
    options = [*TINY, "--steps", "4", "--set", "train.reports=4", "--set", "train.class_balance=true"]
    both = subprocess.run(
        [*COMMAND, dataset, "--out", tmp_path / "two", *options, "--devices", "2"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert both.returncode == 0, both.stderr
    assert "Warning" not in both.stderr
    main_alone(dataset, tmp_path / "one", options)
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(one) == 4
    assert np.ptp(one) > 1e-3, "nothing was learnt, so nothing was compared"
    assert two == pytest.approx(one, rel=2e-6)
    alone, together = (load_network(tmp_path / name)[0].state_dict() for name in ("one", "two"))
    for name, value in alone.items():
        torch.testing.assert_close(together[name], value, rtol=1e-4, atol=1e-6)


def main_alone(dataset: Path, run: Path, options: list[str]) -> None:
    """Train in this process."""
    from typer.testing import CliRunner

    from biounet.cli import app

    done = CliRunner().invoke(app, ["train", str(dataset), "--out", str(run), *options])
    assert done.exit_code == 0, done.output


def test_more_processes_than_samples_are_refused():
    check_share(2, 2)
    with pytest.raises(ConfigError, match="at most 2 devices"):
        check_share(2, 3)


def test_one_process_agrees_with_itself():
    fabric = make_fabric("cpu", "float32")
    assert broadcast(fabric, 0.25) == all_reduce_min(fabric, 0.25) == 0.25


def test_two_processes_agree_and_end_their_connection_before_python_ends():
    """Threads of gloo that outlive it abort the process now and then."""
    code = """
import atexit, os
import torch.distributed as dist
atexit.register(lambda: os._exit(3) if dist.is_initialized() else None)
from biounet.training.distributed import all_reduce_min, broadcast, make_fabric
fabric = make_fabric("cpu", "float32")
assert broadcast(fabric, fabric.global_rank) == 0
assert all_reduce_min(fabric, -fabric.global_rank) == -1
assert all_reduce_min(fabric, float("inf")) == float("inf")
"""
    assert run_processes(2, [sys.executable, "-c", code]) == 0


def test_a_process_that_fails_in_the_middle_of_a_sum_does_not_wait_for_one_that_never_comes(tmp_path, capfd):
    code = f"""
import time
import torch.distributed as dist
from torch import ones
from biounet.training import distributed
distributed.PATIENCE = 0.5
if distributed.make_fabric("cpu", "float32").global_rank == 0:
    adding = dist.all_reduce(ones(3), async_op=True)
    raise SystemExit("no room on this disk")
time.sleep(60)
open({str(tmp_path / "waited")!r}, "w")
"""
    assert run_processes(2, [sys.executable, "-c", code]) == 1
    assert not (tmp_path / "waited").exists()
    assert capfd.readouterr().err.startswith("no room on this disk\n")


def test_two_processes_measure_a_step_which_both_must_have_room_for():
    code = """
import math, torch
from biounet.training import auto_width
from biounet.config import RunConfig
from biounet.training.distributed import make_fabric
fabric = make_fabric("cpu", "float32")
config = RunConfig.preset("default").updated({"model.width": 2, "model.depth": 1})
assert 0 < auto_width.seconds_per_step(config, (16, 16), fabric=fabric) < math.inf
def begin(config, device):
    raise torch.OutOfMemoryError("no room")
if fabric.global_rank == 1:
    auto_width.State.begin = begin
assert auto_width.seconds_per_step(config, (16, 16), fabric=fabric) == math.inf
"""
    assert run_processes(2, [sys.executable, "-c", code]) == 0


def test_memory_is_shared_by_the_processes_of_a_machine_only(monkeypatch):
    assert local_size() == 1
    for name, value in (("TORCHELASTIC_RUN_ID", "a"), ("WORLD_SIZE", "8"), ("LOCAL_WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    assert local_size() == 2
    monkeypatch.setattr("biounet.training.prepare.machine_bytes", lambda: 1000)
    assert room(TrainConfig(memory=0.25)) == 125


def test_processes_of_different_memory_read_the_images_alike(dataset, tmp_path, capfd):
    """The machine of the first holds them, that of the second does not."""
    code = """
import os
from biounet.cli import main
from biounet.training import prepare
prepare.machine_bytes = lambda: 2**40 * (os.environ["RANK"] == "0")
main()
"""
    words = ["train", str(dataset), "--out", str(tmp_path / "run"), *TINY, "--steps", "1", "--set", "train.reports=1"]
    assert run_processes(2, [sys.executable, "-c", code, *words]) == 0
    assert "train.memory leaves them 0.00 GiB: patches are cut from files" in capfd.readouterr().err
    assert (tmp_path / "run" / "model.safetensors").exists()


def test_bad_images_are_one_line_of_errors_and_leave_no_file(dataset, tmp_path):
    (tmp_path / "bad" / "images").mkdir(parents=True)
    (tmp_path / "bad" / "images" / "0.png").write_bytes((dataset / "images" / "0.png").read_bytes())
    done = subprocess.run(
        [*COMMAND, tmp_path / "bad", "--out", tmp_path / "run", *TINY, "--steps", "1", "--devices", "2"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("biounet: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_lost_connection_is_one_line_of_errors(monkeypatch):
    with pytest.raises(RuntimeError, match="as it is"), connected():
        raise RuntimeError("as it is: Connection closed by peer")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "a")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match="--resume"), connected():
        raise RuntimeError("Connection closed by peer")


def test_drop_out_of_a_sample_does_not_depend_on_its_neighbours():
    net = nn.Sequential(nn.Dropout(0.5), nn.Sequential(nn.Dropout(0.5)))
    drop_by_sample(net)
    net.train()

    def masks(samples: range) -> torch.Tensor:
        seed_dropout(net, seed=1, step=7, samples=samples, device=torch.device("cpu"))
        return net(torch.ones(len(samples), 3, 8, 8))

    together = masks(range(4))
    assert torch.equal(masks(range(1, 4, 2)), together[1::2])
    assert not torch.equal(together[0], together[1])
    assert set(together.unique().tolist()) == {0.0, 4.0}  # two layers, each doubles what it keeps
    assert together.mean().item() == pytest.approx(1, abs=0.3)


def test_drop_out_is_off_outside_training():
    layer = SampleDropout(0.5).eval()
    assert torch.equal(layer(torch.ones(2, 1, 4)), torch.ones(2, 1, 4))
