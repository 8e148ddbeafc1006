"""A set that memory does not hold makes the run of one that it holds, byte for byte."""

from dataclasses import replace
from functools import partial
from math import inf
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from biounet.cli.train import run_training
from biounet.config import RunConfig
from biounet.core.errors import ImageError, ShapeError
from biounet.data import Pair, sample_cache
from biounet.data.annotated_image import AnnotatedImageReader
from biounet.data.dataset import has_labels
from biounet.data.hashes import image_hashes
from biounet.data.normalize import Normalization
from biounet.data.out_of_core import StripSizes, fit_memory
from biounet.data.split import split_dataset
from biounet.data.subset import choose_strips, limit_pixels
from biounet.data.training_set import read_split
from biounet.io import Image, write
from biounet.training import run as experiments
from biounet.training.auto_settings import Fingerprint
from biounet.training.distributed import make_fabric
from biounet.training.forecast import forecast
from biounet.training.prepare import fit_to_data, prepare
from biounet.training.run import TrainingRun
from training_sets import load_training_set

TINY = {"model.width": 2, "model.depth": 1, "train.patch": 16, "train.steps": 4, "train.reports": 1}
WEIGHED = {"train.border_weight": 5.0, "train.class_balance": True, "train.oversample": 0.5}


def pairs(count, *, rows=None):
    return [Pair(str(n), Path("a.tif"), (), "a", shape=(1, 100, 50), rows=rows) for n in range(count)]


@pytest.fixture
def dataset(tmp_path):
    rng = np.random.default_rng(0)
    for number, size in enumerate(((40, 30), (30, 40), (24, 24), (33, 33))):
        labels = np.kron(rng.integers(0, 3, (size[0] // 8 + 1, size[1] // 8 + 1)), np.ones((8, 8), int))
        image = rng.integers(0, 255, size).astype(np.uint8)
        write(tmp_path / "set" / "images" / f"{number}.tif", Image(image, "YX"))
        write(tmp_path / "set" / "labels" / f"{number}.tif", Image(labels[: size[0], : size[1]].astype(np.uint8), "YX"))
    return tmp_path / "set"


def experiment(dataset, folder, *, memory, target="classes"):
    data = load_training_set(dataset, Normalization(), validation=1 / 4, target=target, memory=memory)
    assert data.in_memory == (memory > 0)
    config = fit_to_data(RunConfig.preset("default").updated(TINY | WEIGHED), data)
    return TrainingRun(config, data, Normalization(), folder, make_fabric("cpu", "float32"))


@pytest.mark.parametrize("target", ["classes", "foreground"])
def test_the_model_is_the_same_whether_memory_holds_the_images_or_not(dataset, tmp_path, target):
    models = []
    for name, memory in (("here", inf), ("there", 0)):
        run = experiment(dataset, tmp_path / name, memory=memory, target=target)
        assert len(list(run.run())) == 4
        models.append((tmp_path / name / "model.safetensors").read_bytes())
    assert models[0] == models[1]
    assert not (tmp_path / "there" / "prepared").exists()


def test_files_stay_for_a_run_that_goes_on(dataset, tmp_path):
    list(experiment(dataset, tmp_path / "whole", memory=0).run())
    steps = experiment(dataset, tmp_path / "run", memory=0).run()
    next(steps)
    steps.close()
    assert sorted(path.name for path in (tmp_path / "run" / "prepared").iterdir()) == ["0", "1", "2"]
    assert len(list(experiment(dataset, tmp_path / "run", memory=0).run(resume=True))) == 3
    ended = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "run")]
    assert ended[0] == ended[1]


def test_a_forecast_counts_the_files_and_leaves_none(dataset, tmp_path, monkeypatch):
    run, now, store = experiment(dataset, tmp_path / "run", memory=0), [100.0], sample_cache.prepare_samples

    def storing(*given, **options):
        now[0] += 7
        return store(*given, **options)

    monkeypatch.setattr(experiments, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(experiments, "forecast", partial(forecast, clock=lambda: now[0]))
    monkeypatch.setattr(experiments, "prepare_samples", storing)
    run.began, run.clock = 98.0, lambda: now[0]
    assert run.forecast().begin_seconds == pytest.approx(2 + 3 * 7)  # of three images
    assert not (tmp_path / "run").exists()


def test_settings_are_the_same_whether_memory_holds_the_images_or_not(dataset):
    here, there = (
        load_training_set(dataset, Normalization(), validation=1 / 4, target="foreground", memory=memory)
        for memory in (inf, 0)
    )
    whole = Fingerprint.of(here)
    some = Fingerprint.of(there, images=2)  # of three images 0 and 1
    assert some == Fingerprint.of(here, images=2)
    assert (some.median, some.shares, some.unknown) == (whole.median, whole.shares, whole.unknown)
    two = replace(here, train=[here.train[0], here.train[1]])
    assert some.objects == Fingerprint.of(two).objects < whole.objects


def test_each_image_is_read_three_times_and_once_more_for_the_settings(dataset, tmp_path, monkeypatch):
    """For what is to be known of it, for its files, and for what the model remembers; where no setting is left open,
    none for the settings.
    """
    read, item = [], AnnotatedImageReader.read

    def noted(reader, source, pair):
        read.append(pair.name)
        return item(reader, source, pair)

    monkeypatch.setattr(AnnotatedImageReader, "read", noted)
    for auto, times in (((), 3), (("model.depth", "train.border_weight"), 4)):
        read.clear()
        settings = {**TINY, "train.memory": 0.0, "train.validation": 1 / 4, "train.target": "classes"}
        out = tmp_path / str(times)
        run_training(dataset, out, RunConfig.preset("default").updated(settings | {"train.auto": auto}), device="cpu")
        assert sorted(read.count(name) for name in set(read)) == [1, times, times, times]


def test_digests_are_the_same_whether_memory_holds_the_images_or_not(dataset):
    here, there = (
        load_training_set(dataset, Normalization(), validation=1 / 4, target="classes", memory=memory)
        for memory in (inf, 0)
    )
    assert image_hashes(here) == image_hashes(there)
    assert len(image_hashes(here)) == 4


def test_images_that_do_not_fit_each_other_are_refused_before_any_is_read(dataset, monkeypatch):
    write(dataset / "images" / "3.tif", Image(np.zeros((2, 33, 33), np.uint8), "ZYX"), overwrite=True)
    write(dataset / "labels" / "3.tif", Image(np.zeros((2, 33, 33), np.uint8), "ZYX"), overwrite=True)
    monkeypatch.setattr(AnnotatedImageReader, "read", None)
    with pytest.raises(
        ShapeError, match=r"3.tif has shape \(1, 2, 33, 33\) \(channels first\), 0.tif has \(1, 40, 30\)"
    ):
        load_training_set(dataset, Normalization(), validation=0.0, target="classes", memory=0)


def test_bytes_by_hand():
    """5,000 pixels of 4 bytes for the image, 4 + 8 for labels and target, and 4 for weights: 100,000 bytes.

    For those held out 4 per class in place of the weights: of two classes 120,000 bytes.
    """
    assert fit_memory(pairs(3), pairs(1), memory=420_000) == []
    (note,) = fit_memory(pairs(3), pairs(1), memory=419_999)
    assert "train.memory leaves them" in note
    assert fit_memory(pairs(2, rows=(0, 50)), [], memory=100_000) == []
    assert len(fit_memory(pairs(3), pairs(1), memory=120_000)) == 1
    assert "0.00 GiB of it: if that is too much" in fit_memory(pairs(3), pairs(1), memory=119_999)[1]


@pytest.mark.parametrize(("target", "classes"), [("classes", 2), ("foreground", 2), ("border", 3), ("distance", 9)])
def test_probabilities_of_what_is_held_out_count(target, classes):
    most = 5000 * (16 + 4 * classes)
    assert fit_memory([], pairs(1), memory=most, target=target) == []
    assert fit_memory([], pairs(1), memory=most - 1, target=target)


def test_as_many_are_validated_on_as_the_settings_have_room_for():
    """Of images of 5,000 pixels, 15,000 are three."""
    held, (note,) = limit_pixels(pairs(6), most=15_000)
    assert [pair.name for pair in held] == ["0", "2", "4"]
    assert note.startswith("of 6 images held out, 3 are validated on")
    assert limit_pixels(pairs(6), most=30_000) == (pairs(6), [])
    assert limit_pixels(pairs(6, rows=(0, 50)), most=15_000)[1] == []
    assert len(limit_pixels(pairs(6), most=1)[0]) == 1
    assert limit_pixels([], most=1) == ([], [])


@pytest.mark.parametrize("sides", [[100] + [10] * 9, [10] * 9 + [100], [60] * 3 + [10] * 7])
def test_what_is_validated_on_has_no_more_pixels_than_promised(sides):
    images = [replace(pair, shape=(1, side, side)) for pair, side in zip(pairs(10), sides, strict=True)]
    held, (note,) = limit_pixels(images, most=5500)
    assert 0 < sum(pair.shape[1] * pair.shape[2] for pair in held) <= 5500
    assert f"of 10 images held out, {len(held)} are" in note


@pytest.mark.parametrize("memory", [0.0, 1.0])
def test_what_is_held_out_is_a_matter_of_the_settings_not_of_the_memory(dataset, memory):
    settings = {"train.validation": 0.5, "train.validation_pixels": 1000, "train.memory": memory}
    _, data, *_ = prepare(dataset, RunConfig.preset("default").updated(settings))
    assert [item.name for item in data.validation] == ["0.tif"]  # of 0 and 1
    assert sum("1 are validated on" in note for note in data.notes) == 1


LARGE = Pair("a", Path("a.tif"), (), "a", shape=(1, 60_000, 60_000), rows=(45_000, 60_000))


def test_of_large_images_only_strips_are_validated_on():
    """Of 2**26 pixels in rows of 60,000 there are 1118 rows: two strips of 559."""
    chosen, (note,) = choose_strips([LARGE], most=2**26, labelled=lambda _: True)
    assert [strip.rows[1] - strip.rows[0] for strip in chosen] == [559, 559]
    assert all(45_000 <= first < last <= 60_000 for first, last in (strip.rows for strip in chosen))
    assert note.startswith("of the rows held out 2 x 559 are validated on")
    assert limit_pixels(chosen, most=2**26) == (chosen, [])
    narrow = replace(LARGE, shape=(1, 60_000, 8192))
    assert len(choose_strips([narrow, narrow], most=2**26, labelled=lambda _: True)[0]) == 4
    assert choose_strips([LARGE, pairs(1)[0]], most=2**26, labelled=lambda _: True)[1] == []
    assert choose_strips([narrow], most=2**27, labelled=lambda _: True) == ([narrow], [])
    assert choose_strips([], most=2**26, labelled=lambda _: True) == ([], [])


def test_strips_with_labels_are_preferred():
    chosen, _ = choose_strips([LARGE], most=2**26, labelled=lambda strip: strip.rows[0] <= 50_000 < strip.rows[1])
    (strip,) = chosen
    assert strip.rows[0] <= 50_000 < strip.rows[1]
    assert len(choose_strips([LARGE], most=2**26, labelled=lambda _: False)[0]) == 2


@pytest.mark.parametrize("target", ["classes", "distance"])
def test_a_run_on_one_large_image_is_the_one_of_a_machine_that_holds_it(tmp_path, target):
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(0, 2, (40, 5)) * np.arange(1, 201).reshape(40, 5), np.ones((6, 6), int))
    labels = np.minimum(labels, 1) if target == "classes" else labels
    labels = np.where(rng.random((40, 1)).repeat(6, 0) < 0.2, -1, labels)  # not all of it is labelled
    write(tmp_path / "a.tif", Image(rng.integers(0, 255, labels.shape).astype(np.uint8), "YX"))
    write(tmp_path / "b.tif", Image(labels.astype(np.int16), "YX"))
    models, settings = [], TINY | {"train.border_weight": 5.0, "train.border_sigma": 1.0}
    whole = split_dataset(Path(f"{tmp_path}/a.tif,{tmp_path}/b.tif"), validation=0.25, target=target)
    held_out, _ = choose_strips(whole.held_out, most=600, labelled=has_labels, undivided=0)
    for name, memory in (("here", inf), ("there", 0)):
        data = read_split(
            replace(whole, held_out=held_out), Normalization(), memory=memory, sizes=StripSizes(undivided=0, halo=16)
        )
        assert len(list(data.train[0].strips())) == (5 if memory == 0 else 1)
        assert [item.target.size for item in data.validation] == [600]
        run = TrainingRun(
            fit_to_data(RunConfig.preset("default").updated(settings), data),
            data,
            Normalization(),
            tmp_path / name,
            make_fabric("cpu", "float32"),
        )
        assert run.hashes.keys() == {
            "train/a.tif (rows 0 to 179)",
            "validation/a.tif (rows 180 to 239), rows 200 to 219",
        }
        assert len(list(run.run())) == 4
        models.append((tmp_path / name / "model.safetensors").read_bytes())
    assert models[0] == models[1]


@pytest.mark.parametrize("kind", ["images", "labels"])
def test_files_that_change_between_two_passes_are_not_learnt_from(dataset, kind):
    data = load_training_set(dataset, Normalization(), validation=1 / 4, target="classes", memory=0)
    first = data.train[0]
    assert first.statistics.hash
    path = dataset / kind / f"{Path(first.name).stem}.tif"
    write(path, Image(np.zeros(first.statistics.shape[1:], np.uint8), "YX"), overwrite=True)
    with pytest.raises(ImageError, match=f"{path.name} changed while it was learnt from .* train into a new folder"):
        list(first.strips())
