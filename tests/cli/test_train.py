"""Training at a terminal: the command that goes on with a run, and what Ctrl-C and SIGTERM do."""

import io
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from biounet.cli.launch import environment
from biounet.cli.train import again, run_training
from biounet.config import RunConfig
from biounet.io import Image, write
from biounet.training import finish_model
from biounet.training import loop as train

TINY = {
    "model.width": 2,
    "model.depth": 1,
    "train.patch": 16,
    "train.steps": 4,
    "train.reports": 2,
    "train.precision": "float32",
    "train.target": "classes",
    "train.auto": [],
}


def test_the_command_that_goes_on_with_a_run_has_as_many_devices_as_the_one_that_began_it(monkeypatch):
    alone = "biounet train 'my data' --out run --resume"
    assert again(Path("my data"), Path("run")) == alone
    assert again(Path("my data"), Path("run"), device="cpu", tensorboard=True) == f"{alone} --device cpu --tensorboard"
    for name, value in environment(rank=0, count=4).items():
        monkeypatch.setenv(name, value)
    assert again(Path("my data"), Path("run")) == f"{alone} --devices 4"
    monkeypatch.delenv("BIOUNET_PARENT")  # as torchrun, which takes no such option
    assert again(Path("my data"), Path("run")) == alone


@pytest.fixture
def dataset(noise_dataset):
    return noise_dataset(images=2, side=16)


OPTIONS = [word for name, value in TINY.items() for word in ("--set", f"{name}={value}")]


@pytest.mark.parametrize(
    ("number", "status", "reason", "notes"),
    [
        (signal.SIGINT, 130, "Ctrl-C", ["stopping after this step; Ctrl-C again to stop at once"]),
        (signal.SIGTERM, 143, "told to end (SIGTERM)", ["told to end (SIGTERM): stopping after this step"]),
    ],
)
def test_a_run_that_was_stopped_has_the_status_of_it_and_goes_on(
    command, dataset, tmp_path, monkeypatch, number, status, reason, notes
):
    update = train.train_step

    def interrupted(state, *given, **options):
        for _ in range(1 if number == signal.SIGINT else 2):  # `timeout` sends it twice
            if state.step == 2:
                signal.raise_signal(number)
        return update(state, *given, **options)

    monkeypatch.setattr(train, "train_step", interrupted)
    before = signal.getsignal(number)
    ended, _, said = command("train", dataset, "--out", tmp_path / "run", "--device", "cpu", *OPTIONS)
    assert ended == status, said
    assert signal.getsignal(number) is before
    again = f"biounet train {dataset} --out {tmp_path / 'run'} --resume --device cpu"
    page = tmp_path / "run" / "report.html"
    *_, note, line, last = said.splitlines()
    assert [note] == notes
    assert line.endswith(f"go on with: {again}")
    assert last == "biounet: stopped"
    assert (tmp_path / "run" / "last" / "step-00000003.safetensors").exists()
    assert f"After step 3: {reason}. The state is written." in page.read_text()
    assert f"Go on with <code>{again}</code>" in page.read_text()
    monkeypatch.undo()
    ended, _, said = command("train", dataset, "--out", tmp_path / "run", "--device", "cpu", "--resume")
    assert ended == 0, said
    assert "Stopped" not in page.read_text()


def test_a_run_that_is_told_to_end_before_its_first_step_ends_at_once(command, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr("biounet.training.monitor.announce", lambda data, say: signal.raise_signal(signal.SIGTERM))
    status, _, said = command("train", dataset, "--out", tmp_path / "run", "--device", "cpu", *OPTIONS)
    assert (status, said) == (143, "biounet: stopped\n")
    assert not (tmp_path / "run").exists()


def test_nothing_found_is_red_and_no_images_are_to_be_predicted(command, tmp_path, monkeypatch):
    for number in range(4):
        labels = np.zeros((16, 16), np.uint8)
        labels[::2, ::2] = number != 3  # two classes in a pattern that no network of one step finds
        write(tmp_path / "data" / "images" / f"{number}.tif", Image(np.zeros((16, 16), np.uint8), "YX"))
        write(tmp_path / "data" / "labels" / f"{number}.tif", Image(labels, "YX"))
    printed = io.StringIO()
    monkeypatch.setattr("biounet.cli.progress.CONSOLE", Console(file=printed, force_terminal=True, soft_wrap=True))
    words = ("train", tmp_path / "data", "--out", tmp_path / "run", "--device", "cpu", *OPTIONS)
    status, _, said = command(*words, "--set", "train.finalise=false", "--set", "train.learning_rate=1e-9")
    assert status == 0, said
    red = [line for line in printed.getvalue().splitlines() if line.startswith("\x1b[1;31m")]
    assert [words in line for words, line in zip(("Nothing found", "check", "-longer"), red, strict=True)] == [True] * 3
    assert "predict other images" not in printed.getvalue()


def test_where_nothing_was_begun_there_is_nothing_to_resume(command, dataset, tmp_path):
    status, _, said = command("train", dataset, "--out", tmp_path / "run", "--resume")
    assert (status, said) == (2, f"biounet: {tmp_path / 'run'} holds no run to resume; train without --resume\n")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_stops_a_run_while_the_model_is_finalised_lets_it_finish(dataset, tmp_path, monkeypatch, capfd, number):
    finalise = finish_model.finalise

    def interrupted(*given, **options):
        signal.raise_signal(number)
        return finalise(*given, **options)

    monkeypatch.setattr(finish_model, "finalise", interrupted)
    settings = RunConfig.preset("default").updated({**TINY, "train.validation": 0.5})
    run_training(dataset, tmp_path / "run", settings, device="cpu")
    said = capfd.readouterr().err
    assert "finishing: all steps are made" in said
    assert "done: " in said


@pytest.mark.parametrize("amx", [False, True])
def test_stacks_of_five_planes_are_learnt_whatever_the_processor(command, tmp_path, monkeypatch, amx):
    able = torch.cpu.get_capabilities()
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {**able, "amx_bf16": amx})
    rng = np.random.default_rng(0)
    for number in range(3):
        labels = (rng.random((5, 48, 48)) < 0.3).astype(np.uint8)
        write(tmp_path / f"data/labels/{number}.tif", Image(labels, "ZYX"))
        write(tmp_path / f"data/images/{number}.tif", Image(100 * labels + 20, "ZYX"))
    options = ("--steps", "2", "--set", "model.width=4", "--device", "cpu")
    status, _, said = command("train", tmp_path / "data", "--out", tmp_path / "run", *options)
    assert status == 0, said
    config = RunConfig.from_toml((tmp_path / "run" / "config.toml").read_text())
    assert config.model.dims == 3
    assert (config.train.precision, "train.precision = float32: torch" in said) == ("float32" if amx else "auto", amx)
