"""Tests of a training run: its files, its validation, and that it writes nothing before its settings are checked."""

from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from biounet.config import RunConfig
from biounet.core.errors import ConfigError, LabelError, ModelFileError, OutputError, TrainingError
from biounet.data.annotated_image import AnnotatedImage
from biounet.data.hashes import shared_images
from biounet.data.training_set import TrainingSet
from biounet.inference.calibration import apply_temperature
from biounet.inference.model import load_model
from biounet.inference.overlap_tile import predict_array
from biounet.models import build
from biounet.models.model_file import load_network, read_card
from biounet.training import finish_model
from biounet.training import run as runs
from biounet.training.checkpoint import load_state
from biounet.training.finalise import statistics_pixels, with_statistics_of_images
from runs import experiment


def test_a_run_writes_its_settings_and_its_model(tmp_path):
    steps = list(experiment(tmp_path / "run").run())
    assert [step.number for step in steps] == [1, 2]
    assert RunConfig.from_toml((tmp_path / "run" / "config.toml").read_text()).model.width == 2


def test_a_model_remembers_what_it_learnt_from(tmp_path):
    run = experiment(tmp_path / "run", **{"augment.scale": 1.5})
    list(run.run())
    learnt = read_card(tmp_path / "run").learnt
    assert learnt.magnified == 1.5
    assert learnt.looks == run.data.learnt.looks
    assert 1 <= len(learnt.looks) <= len(run.data.train)
    assert read_card(tmp_path / "run").spacing is None


def test_a_model_remembers_the_pixel_size(tmp_path):
    run = experiment(tmp_path / "run")
    items = [replace(item, spacing=(0.5, 0.25)) for item in run.data.train]
    run.data = replace(run.data, train=items)
    list(run.run())
    assert read_card(tmp_path / "run").spacing == (0.5, 0.25)


def test_reasons_are_written_beside_settings(tmp_path):
    run = experiment(tmp_path / "run", **{"train.steps": None, "train.minutes": 0.01, "train.auto": ["model.width"]})
    run.choose_settings()
    list(run.run())
    text = (tmp_path / "run" / "config.toml").read_text()
    assert "s a step" in next(line for line in text.splitlines() if line.startswith("width"))


def test_minutes_that_are_left_over_make_a_batch_larger_unless_it_was_given(tmp_path, monkeypatch):
    monkeypatch.setattr("biounet.training.auto_width.seconds_per_step", lambda config, size, *, fabric: 1e-6)
    minutes = {"train.steps": None, "train.minutes": 1.0}
    run = experiment(tmp_path / "run", **minutes)
    assert run.choose_settings()["train.batch"].startswith("0.00 s a step, so 60000000 steps in 1 minutes")
    assert run.config.train.batch == 16
    given = experiment(tmp_path / "run", **minutes, **{"train.batch": 3})
    assert "train.batch" not in given.choose_settings()
    assert given.config.train.batch == 3


def test_a_batch_that_nobody_gave_has_a_patch_for_each_process(tmp_path):
    run = experiment(tmp_path / "run")
    run.fabric = SimpleNamespace(world_size=5, global_rank=0, device=torch.device("cpu"))
    assert run.choose_settings()["train.batch"] == "a patch for each of 5 processes"
    assert run.config.train.batch == 5
    given = replace(run, config=experiment(tmp_path / "run", **{"train.batch": 4}).config, reasons={})
    with pytest.raises(ConfigError, match=r"a batch of 4 cannot be shared by 5 processes"):
        given.choose_settings()


def test_images_that_the_gpu_has_no_room_for_stay_in_memory(tmp_path, monkeypatch):
    run = experiment(tmp_path / "run")
    run.fabric = SimpleNamespace(world_size=1, global_rank=0, device=torch.device("meta"))  # stands for a GPU
    monkeypatch.setattr("biounet.data.sample_cache.free_bytes", lambda device: 100.0)
    assert "the processor cuts the patches" in run.choose_settings()["train.memory"]
    source = run._source(run._geometry, tmp_path, run.data)
    assert source.samples[0].image.device.type == "cpu"
    assert source.batch(0).image.device.type == "meta"


@pytest.mark.parametrize("changes", [{"train.loss": "no-such"}, {"model.name": "no-such"}])
def test_unknown_names_are_refused_before_anything_is_written(tmp_path, changes):
    with pytest.raises(ConfigError, match="must be one of"):
        list(experiment(tmp_path / "run", **changes).run())
    assert not (tmp_path / "run").exists()


def test_labels_that_are_all_held_out_are_refused_before_anything_is_written(tmp_path):
    run = experiment(tmp_path / "run")
    (item,) = run.data.train
    unknown = replace(item, labels=np.full((16, 16), -1), target=np.full((16, 16), -1))
    with pytest.raises(LabelError, match="no image to train on has a labelled pixel"):
        replace(run, data=replace(run.data, train=[unknown]))
    assert not (tmp_path / "run").exists()


def test_weights_to_begin_with_are_not_loaded_to_be_checked(tmp_path, monkeypatch):
    monkeypatch.setattr("biounet.models.pretrained.load_file", None)
    weights = tmp_path / "weights.safetensors"
    save_file({"features.0.weight": torch.zeros(2, 3, 3, 3)}, weights)
    run = experiment(tmp_path / "run", **{"model.name": "fcn-8s", "model.pretrained": str(weights)})
    with pytest.raises(ModelFileError, match=r"weights\.safetensors: "):
        next(run.run())
    assert not (tmp_path / "run").exists()


def test_folders_that_are_not_empty_and_runs_that_are_not_there(tmp_path):
    with pytest.raises(TrainingError, match="no run to resume"):
        list(experiment(tmp_path / "run").run(resume=True))
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        list(experiment(tmp_path).run())


def test_training_in_bfloat16_writes_weights_in_float32(tmp_path):
    list(experiment(tmp_path / "run", **{"train.precision": "bfloat16"}).run())
    net, _ = load_network(tmp_path / "run")
    assert {weight.dtype for weight in net.parameters()} == {torch.float32}


def test_a_trained_network_is_calibrated_on_held_out_images(tmp_path):
    run = experiment(tmp_path / "run")
    list(run.run())
    model, path = load_model(tmp_path / "run"), tmp_path / "run" / "model.safetensors"
    assert model.card.temperature == run.calibration.temperature != 1
    image = run.data.validation[0].image[0]
    plain = replace(model, card=model.card.model_copy(update={"temperature": 1.0})).predict(image)
    calibrated = apply_temperature(plain, model.card.temperature)
    np.testing.assert_allclose(model.predict(image), calibrated, atol=1e-5)
    raw = model.card.training["scores"]["threshold"]
    np.testing.assert_array_equal(calibrated[1] > model.card.threshold, plain[1] > raw)

    before = path.read_bytes()
    again = experiment(tmp_path / "run")
    assert list(again.run(resume=True)) == []  # and yet it is calibrated, as it is after a kill at the very end
    assert path.read_bytes() == before
    assert again.calibration == run.calibration


@pytest.mark.parametrize(("count", "names"), [(1, "t0"), (5, "t0 t2 t4"), (8, "t0 t4"), (9, "t0 t4 t8")])
def test_rules_are_tuned_on_twice_as_many_pixels_of_training_images(tmp_path, count, names):
    run = experiment(tmp_path)
    assert not run.validation.tuning_images  # classes are not numbered objects
    held_out, *_ = run.data.validation
    train = [replace(held_out, name=f"t{number}") for number in range(count)]
    run = replace(run, data=TrainingSet(train, [held_out], "objects", (), "foreground"))
    assert " ".join(image.name for image in run.validation.tuning_images) == names
    assert run.validation.tuning_pixels == 16 * 16 * len(names.split())


@pytest.mark.parametrize(("minutes", "count"), [(None, 2), (2, 2), (1, 1), (0.5, 0)])
def test_rules_are_tuned_on_as_many_pixels_as_the_minutes_allow(tmp_path, minutes, count):
    run = experiment(tmp_path, **{"train.steps": None if minutes else 2, "train.minutes": minutes})
    labels = np.zeros((512, 512), np.int32)  # half of what is enough for a minute
    held_out, *train = [AnnotatedImage(name, np.zeros((1, 512, 512), np.float32), labels, labels) for name in "abcde"]
    run = replace(run, data=TrainingSet(train, [held_out], "objects", (), "foreground"))
    assert len(run.validation.tuning_images) == count


@pytest.mark.parametrize(("minutes", "deadline"), [(None, np.inf), (0.01, 0.6)])
def test_the_search_for_rules_ends_with_the_minutes(tmp_path, monkeypatch, minutes, deadline):
    ticks, deadlines, finalise = count(), [], finish_model.finalise
    run = experiment(tmp_path / "run", **{"train.steps": None if minutes else 2, "train.minutes": minutes})
    run.began, run.clock = 0.0, lambda: next(ticks) * 0.02

    def finalise_at_once(*given, deadline, **options):
        deadlines.append(deadline)
        return finalise(*given, **options)

    monkeypatch.setattr(finish_model, "finalise", finalise_at_once)
    list(run.run())
    assert deadlines == [pytest.approx(run.began + deadline, abs=0.1)]


def test_the_last_result_is_kept_and_at_the_end_that_of_the_finished_model(tmp_path):
    changes = {"model.norm": "batch", "train.steps": 4, "train.reports": 2, "train.precision": "float32"}
    run, results = experiment(tmp_path / "run", **changes), []
    for step in run.run():
        if step.report:
            results.append(run.result)
            assert run.result.scores == step.report.scores
            assert run.result.finalising == step.report.finalising
    assert [len(result.probabilities) for result in results] == [1, 1]
    net, card = load_network(tmp_path / "run")
    options = {"device": torch.device("cpu"), "precision": torch.float32}
    options |= {"smoothing": card.smoothing, "temperature": card.temperature}
    predicted = predict_array(net, run.data.validation[0].image, **options)
    np.testing.assert_allclose(run.result.probabilities[0], predicted, atol=1e-5)
    assert run.result.scores["threshold"] == card.threshold


def test_the_images_of_a_result_are_released_before_the_next_are_predicted(tmp_path, monkeypatch):
    run, held, predict = experiment(tmp_path / "run"), [], runs.predict
    result = run.validate(build(run.config.model))

    def predict_and_look(net, validation, **options):
        held.append((len(run.result.probabilities), run.result.scores == result.scores))
        return predict(net, validation, **options)

    monkeypatch.setattr(runs, "predict", predict_and_look)
    run.validate(build(run.config.model))
    assert held == [(0, True)]


@pytest.mark.parametrize("seed", range(3))
def test_statistics_of_unchanged_images_are_kept_where_held_out_images_are_not_worse_for_it(tmp_path, seed):
    run = experiment(tmp_path / "run", **{"model.norm": "batch", "train.seed": seed, "train.steps": 4})
    scores = [step.report.scores["score"] for step in run.run() if step.report]
    net, card = load_network(tmp_path / "run")
    assert run.validate(net).scores["score"] == card.training["scores"]["score"] >= max(scores)
    state, _ = load_state(tmp_path / "run" / "last")
    trained = {name: state[f"average.{name}"] for name in net.state_dict()}
    same = all(torch.equal(value, trained[name]) for name, value in net.state_dict().items() if "running" in name)
    assert same == ("statistics" not in card.training) or scores[-1] < max(scores)


def test_without_held_out_images_nothing_is_calibrated(tmp_path):
    run = experiment(tmp_path / "run")
    run.data = replace(run.data, validation=())
    list(run.run())
    assert (read_card(tmp_path / "run").temperature, run.calibration) == (1.0, None)


def test_a_second_run_into_the_same_folder_is_refused(tmp_path):
    first = experiment(tmp_path / "run", **{"train.steps": 5}).run()
    next(first)
    for resume in (False, True):
        with pytest.raises(OutputError, match="is being written by process"):
            next(experiment(tmp_path / "run", **{"train.steps": 5}).run(resume=resume))
    first.close()
    assert len(list(experiment(tmp_path / "run", **{"train.steps": 5}).run(resume=True))) == 4


def test_resuming_on_changed_images_or_labels_is_refused(tmp_path):
    list(experiment(tmp_path / "run").run())
    for change in ("image", "labels"):
        run = experiment(tmp_path / "run")
        (item,) = run.data.train
        array = getattr(item, change).copy()
        array[..., 3, 4] += 1
        items = [replace(item, **{change: array})]
        changed = replace(run, data=replace(run.data, train=items, validation=items))
        with pytest.raises(TrainingError, match="labels have changed since the run began: train/a, validation/a;"):
            list(changed.run(resume=True))
    assert list(experiment(tmp_path / "run").run(resume=True)) == []
    assert len(read_card(tmp_path / "run").training["data"]) == 64


def test_images_in_both_parts_of_the_split_are_noted(tmp_path):
    data = experiment(tmp_path / "run").data
    assert "1 of 1 images to validate on are trained on, too (a is a)" in shared_images(data)[0]
    assert shared_images(replace(data, validation=())) == []


@pytest.mark.parametrize(("steps", "go_on", "batches"), [(80, True, 16), (80, False, 1), (22, True, 4), (2, True, 1)])
def test_statistics_are_of_as_many_batches_as_time_and_steps_allow(tmp_path, monkeypatch, steps, go_on, batches):
    run, shapes = experiment(tmp_path / "run", **{"model.norm": "batch", "train.steps": steps}), []
    monkeypatch.setattr(
        "biounet.training.finalise.measure_statistics", lambda net, given: shapes.extend(image.shape for image in given)
    )
    source = run._source(run._geometry, tmp_path, run.data)
    options = {"largest": run.data.largest, "go_on": lambda: go_on}
    with_statistics_of_images(build(run.config.model), source, run.config, **options)
    assert len(shapes) == batches
    most = batches if go_on else 16
    assert statistics_pixels(run.config) == most * run.config.train.batch * 32 * 32  # where images are as large as that
    assert statistics_pixels(run.config.updated({"model.norm": "none"})) == 0


@pytest.mark.parametrize("room", [True, False])
def test_a_forecast_writes_what_a_report_writes_and_leaves_nothing(tmp_path, monkeypatch, room):
    written = []

    def save(path, net, card):
        written.extend(sorted(other.name for other in path.parent.iterdir()))
        if not room:
            raise OutputError("no room on this disk")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("biounet.training.run.save_network", save)
    assert experiment(tmp_path / "run").forecast().report_seconds > 0
    assert written == ["step-00000004.safetensors"]
    assert list(tmp_path.iterdir()) == []


def test_a_run_of_the_paper_fits_nothing_to_the_held_out_images(tmp_path):
    changes = {"train.finalise": False, "model.norm": "none"}
    list(experiment(tmp_path / "run", **changes).run())
    card = read_card(tmp_path / "run")
    assert (card.smoothing, card.temperature, card.threshold, card.rules) == (0, 1.0, 0.5, None)
    assert RunConfig.preset("paper").train.finalise is False
    assert RunConfig.preset("paper").train.precision == "float32"
