"""Tests of the training loop: it learns, resumes to the same bytes, keeps the best network, and stops cleanly."""

import csv
import json

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from safetensors.torch import save_file

from biounet.config import RunConfig, TrainConfig
from biounet.core.errors import ImageError, TrainingError
from biounet.data.patches import PatchSampler
from biounet.models.model_file import load_network, read_card
from biounet.training import loop as train
from biounet.training.checkpoint import load_state
from biounet.training.loop import Intervals
from biounet.training.step import State, train_step
from biounet.training.time_budget import Plan, TimeToFinalise, plan
from biounet.training.validation import ValidationResult
from runs import SMALL, run, squares


def logged(folder) -> list[dict[str, str]]:
    with (folder / "log.csv").open() as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_loss_falls(tmp_path, preset):
    changes = {"train__steps": 40, "train__learning_rate": 1e-2} | (
        {"train__momentum": 0.9, "train__class_balance": False} if preset == "paper" else {}
    )
    reports = [step.report for step in run(tmp_path / "run", preset=preset, **changes) if step.report]
    assert reports[-1].loss < reports[0].loss


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_a_resumed_run_ends_with_the_same_bytes(tmp_path, preset):
    run(tmp_path / "whole", preset=preset)
    run(tmp_path / "broken", preset=preset, stop=5)
    run(tmp_path / "broken", preset=preset, resume=True)
    whole, broken = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "broken"))
    assert whole == broken
    losses = [[row["loss"] for row in rows(tmp_path / name)] for name in ("whole", "broken")]
    assert losses[0] == losses[1], "losses from before the stop count"


def rows(folder):
    """The log of a run."""
    with (folder / "log.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path):
    files = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(tmp_path / name, train__seed=seed)
        files.append(load_network(tmp_path / name)[0].state_dict()["head.weight"])
    assert torch.equal(files[0], files[1])
    assert not torch.equal(files[0], files[2])


def test_the_best_network_is_kept(tmp_path):
    reports = [step.report for step in run(tmp_path / "run", scores=[0.9, 0.1]) if step.report]
    assert [report.best for report in reports] == [True, False]
    assert read_card(tmp_path / "run").training["scores"] == {"score": 0.9}


def test_the_log_has_a_row_per_report(tmp_path):
    run(tmp_path / "run", scores=[0.25, 0.75])
    rows = logged(tmp_path / "run")
    assert [(row["step"], row["score"], row["best"]) for row in rows] == [("4", "0.25", "1"), ("8", "0.75", "1")]


def test_minutes_end_a_run_and_leave_a_model(tmp_path):
    steps = run(tmp_path / "run", train__steps=None, train__minutes=0.02)
    assert steps[-1].progress == 1
    assert steps[-1].report is not None
    assert (tmp_path / "run" / "model.safetensors").exists()


def test_a_stopped_run_leaves_a_usable_model(tmp_path):
    run(tmp_path / "run", stop=1)
    net, _ = load_network(tmp_path / "run")
    assert net(torch.zeros(1, 1, 16, 16)).shape == (1, 2, 16, 16)


def test_a_loss_that_is_no_number_ends_the_run_with_its_cause(tmp_path):
    with pytest.raises(TrainingError, match="learning rate is likely too high"):
        run(tmp_path / "run", train__learning_rate=1e6, train__optimizer="sgd", train__clip=None)
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_a_network_that_gives_no_numbers_on_held_out_images_ends_the_run(tmp_path):
    def validate(net):
        raise ImageError("the network gives NaN or infinity at Y 0 to 16, X 0 to 16")

    with pytest.raises(TrainingError, match=r"after step 4 \(the network gives NaN .* learning rate"):
        run(tmp_path / "run", validate=validate)
    assert not (tmp_path / "run" / "model.safetensors").exists()
    assert [(row["step"], row["loss"]) for row in logged(tmp_path / "run")] == [("4", "nan")]
    assert not list((tmp_path / "run").rglob("step-*"))


def broken_at(monkeypatch, step, *, weights=False):
    """Let the loss, or the weights only, be no numbers from a step on."""
    update = train.train_step

    def breaking(state, *given, **options):
        loss = update(state, *given, **options)
        if state.step < step:
            return loss
        if weights:
            next(state.net.parameters()).data.fill_(torch.nan)
        return loss if weights else loss * torch.nan

    monkeypatch.setattr(train, "train_step", breaking)


@pytest.mark.parametrize(("weights", "message"), [(False, "loss is no number since step 5"), (True, "after step 6")])
def test_checkpoints_from_before_the_loss_was_no_number_are_kept(tmp_path, monkeypatch, weights, message):
    broken_at(monkeypatch, 6, weights=weights)
    with pytest.raises(TrainingError, match=message):
        run(tmp_path / "run", options={"intervals": Intervals(save=-1.0)})  # after every step
    states = sorted(path.stem for path in (tmp_path / "run" / "last").iterdir())
    assert states == ["step-00000004", "step-00000005"]


def test_a_loss_that_is_no_number_is_logged_reported_and_found_between_reports(tmp_path, monkeypatch):
    broken_at(monkeypatch, 6)
    steps, folder = [], tmp_path / "run"
    options = {"intervals": Intervals(look=-1.0)}
    with pytest.raises(TrainingError):
        run(folder, yielded=steps, options=options)
    assert [(step.number, step.report.scores) for step in steps if step.report] == [(4, {"score": 0.5}), (6, {})]
    assert [np.isnan(step.loss) for step in steps] == [False] * 5 + [True]
    rows = logged(folder)
    assert [(row["step"], row["score"], row["best"]) for row in rows] == [("4", "0.5", "1"), ("6", "nan", "0")]
    assert rows[-1]["loss"] == "nan"

    run(folder, stop=6, resume=True, options=options)  # a run that is stopped there writes no broken checkpoint
    assert {path.stem for path in (folder / "last").iterdir()} == {"step-00000004"}
    monkeypatch.undo()
    run(folder, resume=True)
    assert [row["step"] for row in logged(folder)] == ["4", "8"]


def test_a_score_that_is_no_number_keeps_the_last_network(tmp_path):
    reports = [step.report for step in run(tmp_path / "run", scores=[np.nan, np.nan]) if step.report]
    assert [report.best for report in reports] == [True, True]
    assert read_card(tmp_path / "run").training["step"] == 8
    reports = [step.report for step in run(tmp_path / "b", scores=[np.nan, 0.1, np.nan, 0.0], train__reports=4)]
    assert [report.best for report in reports if report] == [True, True, False, False]


def test_rows_that_are_made_anew_are_taken_out_of_the_log(tmp_path):
    whole, folder = tmp_path / "whole", tmp_path / "run"
    run(whole, train__reports=4)
    run(folder, train__reports=4, stop=2)
    log = folder / "log.csv"
    log.write_text((whole / "log.csv").read_text()[:-20])  # killed after a row, before its state; and in the next row
    run(folder, train__reports=4, resume=True)
    assert [row["step"] for row in logged(folder)] == ["2", "4", "6", "8"]
    assert [row["loss"] for row in logged(folder)] == [row["loss"] for row in logged(whole)]


def test_a_run_that_has_no_state_yet_begins_anew(tmp_path):
    folder = tmp_path / "run"
    run(tmp_path / "whole")
    folder.mkdir()
    (folder / "log.csv").write_text("step,seconds,loss,learning_rate,waiting,score,best\n4,1,1,1,0,0.5,1\n")
    run(folder, resume=True)
    assert [row["step"] for row in logged(folder)] == ["4", "8"]
    whole, resumed = ((path / "model.safetensors").read_bytes() for path in (tmp_path / "whole", folder))
    assert whole == resumed


def test_a_run_without_a_budget_is_refused(tmp_path):
    with pytest.raises(TrainingError, match="--minutes M or --steps N"):
        run(tmp_path / "run", train__steps=None)


def test_drop_out_does_not_depend_on_the_global_generator():
    config = RunConfig.preset("paper").updated({**SMALL, "model.dropout": 0.5})
    losses = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        state = State.begin(config, torch.device("cpu"))
        geometry = state.net.geometry
        source = PatchSampler(squares(), geometry, geometry.input_size((8, 8)), config.augment, config.train)
        fabric = Fabric(accelerator="cpu", devices=1)
        losses.append(
            [
                train_step(state, source.batch(step), config.train, fabric=fabric, progress=0.0).item()
                for step in range(3)
            ]
        )
    assert losses[0] == losses[1]


def test_a_gpu_without_enough_memory_is_noted_once_and_is_part_of_the_checkpoint(tmp_path, monkeypatch):
    begin = State.begin.__func__

    def begin_small(cls, *given):
        state = begin(cls, *given)
        state.net.register_forward_pre_hook(refuse_more_than_one)
        return state

    def refuse_more_than_one(_, inputs):
        if len(inputs[0]) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(State, "begin", classmethod(begin_small))
    notes = [step.note for step in run(tmp_path / "run", stop=5)]
    assert ["2 pieces" in note for note in notes] == [True, False, False, False, False]
    assert "batch normalisation" in notes[0]
    assert not any(step.note for step in run(tmp_path / "run", resume=True))


@pytest.fixture
def on_a_clock(tmp_path, monkeypatch):
    """A run of some minutes on a clock that only steps and validations move; gives its steps and how long it took."""

    def timed(*, minutes, step, validation=0.0, finalising=0.0, gone=0.0, **others):
        now = [100.0 + gone]

        def step_of_the_clock(state, batch, config, *, fabric, progress):
            now[0] += step
            state.step += 1
            return torch.tensor(0.5)

        def validate(net):
            now[0] += validation
            return ValidationResult({"score": 0.5}, finalising=TimeToFinalise(finalising))

        monkeypatch.setattr(train, "train_step", step_of_the_clock)
        changes = {"train__steps": None, "train__minutes": minutes, "train__reports": 10}
        options = {"began": 100.0, "clock": lambda: now[0]}
        steps = run(tmp_path / "run", validate=validate, options=options, **changes, **others)
        return steps, now[0] - 100

    return timed


@pytest.mark.parametrize(
    ("step", "validation", "finalising"), [(3.0, 0.0, 0.0), (5.0, 15.0, 0.0), (3.0, 5.0, 30.0), (1.0, 7.0, 11.0)]
)
def test_minutes_are_kept_with_their_validations(on_a_clock, step, validation, finalising):
    steps, seconds = on_a_clock(minutes=5, step=step, validation=validation, finalising=finalising)
    assert seconds + finalising == pytest.approx(300, rel=0.05)
    planned = plan(
        TrainConfig(minutes=5, reports=10), step=step, report=validation, finalising=TimeToFinalise(finalising)
    )
    assert planned == Plan(steps[-1].number, sum(step.report is not None for step in steps), finalising)


def test_the_schedule_begins_with_the_first_step_also_of_a_run_that_was_resumed(on_a_clock):
    """Of five minutes one is gone before the first step, and 20 s before the run goes on."""
    steps, _ = on_a_clock(minutes=5, step=1.0, gone=60.0, stop=100)
    assert [step.progress for step in (steps[0], steps[-1])] == pytest.approx([1 / 240, 100 / 240])
    assert [step.number for step in steps if step.report] == [24, 48, 72, 96]
    resumed, _ = on_a_clock(minutes=5, step=1.0, gone=20.0, resume=True)
    assert [step.number for step in (resumed[0], resumed[-1])] == [101, 220]
    assert resumed[0].progress == pytest.approx(121 / 240)


def test_a_run_whose_schedule_began_with_its_minutes_goes_on_so(on_a_clock, tmp_path):
    """Old checkpoints lack the time before the first step."""
    on_a_clock(minutes=5, step=1.0, gone=60.0, stop=100)
    tensors, progress = load_state(tmp_path / "run" / "last")
    file = tmp_path / "run" / "last" / "step-00000100.safetensors"
    save_file(tensors, file, metadata={"run": json.dumps(progress.model_dump(exclude={"gone"}))})
    resumed, _ = on_a_clock(minutes=5, step=1.0, resume=True)
    assert resumed[0].progress == pytest.approx(161 / 300)


def test_a_long_guess_of_what_follows_does_not_end_a_run(on_a_clock):
    steps, _ = on_a_clock(minutes=2, step=1.0, finalising=1000.0)
    assert steps[-1].number == 60  # of 120: half of the minutes is the most that is kept


def test_reports_that_lie_behind_once_the_first_has_shown_what_follows_are_not_made(on_a_clock):
    """Tenths of 300 s become those of the 150 s that are left for steps: the second is over at the first report."""
    steps, _ = on_a_clock(minutes=5, step=1.0, finalising=1000.0)
    assert [step.number for step in steps if step.report] == [30, *range(45, 151, 15)]
    assert plan(TrainConfig(minutes=5, reports=10), step=1.0, finalising=TimeToFinalise(150.0)) == Plan(150, 9, 150.0)


def test_a_first_report_that_leaves_no_time_is_the_last(on_a_clock):
    steps, _ = on_a_clock(minutes=5, step=1.0, validation=200.0)
    assert [step.number for step in steps if step.report] == [30]
    assert steps[-1].number == 30
    assert plan(TrainConfig(minutes=5, reports=10), step=1.0, report=200.0) == Plan(30, 1, 0.0)


def test_reports_that_take_long_are_fewer(on_a_clock):
    """Ten reports of 30 seconds would take half of ten minutes."""
    steps, seconds = on_a_clock(minutes=10, step=1.0, validation=30.0)
    # The first as planned, then at quarters of the 570 s before the last one: after 143 s, 30 of them for a report, ...
    assert [step.number for step in steps if step.report] == [60, 113, 225, 338, 450]
    assert seconds == pytest.approx(600, rel=0.05)


def test_the_share_of_waiting_leaves_validation_out(tmp_path, monkeypatch):
    """One second to draw, three to learn, and twenty to validate."""
    now = [0.0]
    draw, update = PatchSampler.batch, train.train_step

    def taking(seconds, work):
        def slow(*given, **options):
            now[0] += seconds
            return work(*given, **options)

        return slow

    monkeypatch.setattr(PatchSampler, "batch", taking(1, draw))
    monkeypatch.setattr(train, "train_step", taking(3, update))
    validate = taking(20, lambda net: ValidationResult({"score": 0.5}))
    steps = run(tmp_path / "run", validate=validate, options={"clock": lambda: now[0]})
    assert [step.report.waiting for step in steps if step.report] == [0.25, 0.25]
    assert [row["waiting"] for row in logged(tmp_path / "run")] == ["0.25", "0.25"]
