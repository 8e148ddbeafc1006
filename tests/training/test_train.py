"""`biounet.train`: what the command does, from Python."""

from contextlib import contextmanager

import pytest

import biounet
from biounet.config import RunConfig
from biounet.core.errors import ConfigError, OutputError, TrainingError
from biounet.training.monitor import PrintingMonitor, StoppedError

TINY = {
    "model.width": 2,
    "model.depth": 1,
    "train.patch": 16,
    "train.reports": 1,
    "train.target": "classes",
    "train.validation": 0.5,
}


@pytest.fixture
def dataset(noise_dataset):
    return noise_dataset(images=2, side=16)


def test_it_makes_the_run_of_the_command(dataset, tmp_path, command, capfd):
    model = biounet.train(str(dataset), str(tmp_path / "here"), steps=2, settings=TINY, device="cpu")
    lines = capfd.readouterr().out.splitlines()
    options = [word for name, value in TINY.items() for word in ("--set", f"{name}={value}")]
    status, _, said = command("train", dataset, "--out", tmp_path / "there", "--steps", 2, "--device", "cpu", *options)
    assert status == 0, said
    here, there = tmp_path / "here", tmp_path / "there"
    for name in ("model.safetensors", "config.toml"):
        assert (here / name).read_bytes() == (there / name).read_bytes()
    assert {path.name for path in here.iterdir()} == {path.name for path in there.iterdir()}
    assert any(line == "learning 2 classes from 1 image; 1 image kept apart to see how good it gets" for line in lines)
    assert [line.split(" = ")[0] for line in lines if " = " in line] == [
        line.split(" = ")[0] for line in said.splitlines() if " = " in line
    ], "the same settings are chosen"
    assert model.path == here
    assert repr(model) == repr(biounet.load_model(here))


def test_it_goes_on_with_a_run(dataset, tmp_path):
    out = tmp_path / "run"
    biounet.train(dataset, out, steps=2, settings=TINY, device="cpu", report=False)
    assert not (out / "report.html").exists()
    before = (out / "model.safetensors").read_bytes()
    with pytest.raises(OutputError, match="not empty"):
        biounet.train(dataset, out, steps=2, settings=TINY, device="cpu")
    with pytest.raises(TrainingError, match=r"begun with other settings \(train.batch\)"):
        biounet.train(dataset, out, settings={"train.batch": 5}, device="cpu", resume=True)
    biounet.train(dataset, out, device="cpu", resume=True)
    assert (out / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"train.los": "dice"}, "unknown setting 'train.los'"),
        ({"train.loss": "dica"}, "'dica'"),
        (RunConfig.preset("default").updated({"model.name": "nope"}), "'nope'"),
    ],
)
def test_wrong_settings_are_said_before_images_are_looked_for(tmp_path, settings, said):
    with pytest.raises(ConfigError, match=said):
        biounet.train(tmp_path / "nothing", tmp_path / "run", settings=settings)
    assert not list(tmp_path.iterdir())


def test_a_run_that_its_monitor_stops_leaves_a_model_and_goes_on(dataset, tmp_path):
    from contextlib import contextmanager

    class Window(PrintingMonitor):
        @contextmanager
        def watch(self, *, is_main_process):
            yield lambda share, text: "closed"

    options = {"steps": 2, "settings": TINY, "device": "cpu"}
    with pytest.raises(StoppedError, match=r"was stopped \(closed\); go on with resume=True"):
        biounet.train(dataset, tmp_path / "run", **options, monitor=Window("", lambda line: None))
    assert biounet.load_model(tmp_path / "run").path == tmp_path / "run"
    biounet.train(dataset, tmp_path / "run", device="cpu", resume=True)
    assert biounet.load_model(tmp_path / "run").card.training["step"] == 2


@pytest.mark.parametrize(("out", "said"), [("", "the path of a folder"), (".", "no name of its own"), ("old", "empty")])
def test_a_folder_that_cannot_take_the_run_is_refused_before_images_are_read(tmp_path, monkeypatch, out, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "log.csv").touch()
    with pytest.raises(OutputError, match=said):
        biounet.train("nothing", out, steps=1, device="cpu")


def test_a_disk_that_is_full_when_the_report_is_written_is_said_once(dataset, tmp_path, monkeypatch, capfd):
    """Neither the page nor, as the run ends, the state can be written: only the first error is told."""

    def full(*args, **options):
        monkeypatch.setattr("biounet.training.step.save_state", full)
        raise OutputError("report.html could not be written: the disk is full; free some room and try again")

    monkeypatch.setattr("biounet.report.run_report.RunReport.__call__", full)
    with pytest.raises(OutputError, match=r"report\.html could not be written: the disk is full"):
        biounet.train(dataset, tmp_path / "run", steps=2, settings=TINY, device="cpu")
    assert "Traceback" not in capfd.readouterr().err


def test_a_state_that_cannot_be_written_when_a_run_is_stopped_is_said(dataset, tmp_path, monkeypatch):
    class Stops(PrintingMonitor):
        @contextmanager
        def watch(self, *, is_main_process):
            def stop(share, text):
                monkeypatch.setattr("biounet.training.step.save_state", full)
                return "somebody has stopped it"

            yield stop

    def full(*args, **options):
        raise OutputError("step-00000001.safetensors could not be written: the disk is full")

    with pytest.raises(OutputError, match="the disk is full"):
        biounet.train(dataset, tmp_path / "run", steps=3, settings=TINY, device="cpu", monitor=Stops("again"))
