"""A run that goes on for longer than it was begun with: more steps or minutes, and nothing else."""

import csv

import pytest

from biounet.config.toml import RunConfig

TINY = [
    *("--device", "cpu", "--precision", "float32", "--set", "train.target=classes", "--set", "train.auto=[]"),
    *("--set", "model.width=2", "--set", "model.depth=1", "--set", "train.patch=16", "--set", "train.batch=2"),
    *("--set", "train.reports=2"),
]


@pytest.fixture
def begun(command, noise_dataset, tmp_path):
    data = noise_dataset(images=3, side=24)

    def call(*words):
        return command("train", data, "--out", tmp_path / "run", *words)

    status, _, errors = call("--steps", 4, *TINY)
    assert status == 0, errors
    return call


def test_a_finished_run_goes_on_to_more_steps(begun, tmp_path):
    before = (tmp_path / "run" / "config.toml").read_text()
    status, _, errors = begun("--resume", "--steps", 10)
    assert status == 0, errors
    with (tmp_path / "run" / "log.csv").open(newline="") as stream:
        assert [int(row["step"]) for row in csv.DictReader(stream)] == [2, 4, 5, 10]
    after = (tmp_path / "run" / "config.toml").read_text()
    assert after == before.replace("steps = 4", "steps = 10")
    assert RunConfig.from_toml(after).train.steps == 10
    status, _, errors = begun("--resume")  # with nothing left to do
    assert status == 0, errors


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--steps", 3], "the run was begun with --steps 4; go on with --resume alone, or with a greater --steps"),
        (["--minutes", 3], "the run was begun with --steps 4"),
        (["--steps", 8, "--set", "train.batch=1"], "was begun with other settings (train.steps, train.batch)"),
    ],
)
def test_shorter_or_otherwise_is_refused(begun, tmp_path, words, said):
    before = (tmp_path / "run" / "config.toml").read_text()
    status, _, errors = begun("--resume", *words)
    assert status == 2
    assert said in errors
    assert (tmp_path / "run" / "config.toml").read_text() == before
