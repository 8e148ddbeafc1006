"""What training begins with: images read once, and a normalisation that is chosen for a reason."""

from math import inf

import numpy as np
import pytest

import biounet
from biounet.cli.train import describe
from biounet.config import RunConfig
from biounet.core.errors import ConfigError
from biounet.data import Dataset, find_dataset
from biounet.data import dataset as reading
from biounet.data.normalize import NORMALIZATIONS
from biounet.inference.model import load_model
from biounet.io import Image, write
from biounet.models.model_file import read_card
from biounet.training.prepare import prepare

TINY = {"model.width": 2, "model.depth": 1, "train.patch": 16, "train.steps": 2, "train.reports": 1}
SETTINGS = RunConfig.preset("default").updated({**TINY, "train.target": "classes", "train.validation": 0.25})


def draw(folder, *, hot):
    """Four images, each with a pixel that outshines all others, or not."""
    rng = np.random.default_rng(0)
    for number in range(4):
        image = rng.normal(500, 30, (32, 32))
        labels = image > 500
        image[5, 6] = 60_000 if hot else 500
        write(folder / "images" / f"{number}.tif", Image(image.astype(np.uint16), "YX"))
        write(folder / "labels" / f"{number}.tif", Image(labels.astype(np.uint8), "YX"))
    return folder


@pytest.mark.parametrize("memory", [0, inf])
@pytest.mark.parametrize(("hot", "kind"), [(False, "z-score"), (True, "percentile")])
def test_data_are_normalised_as_the_images_ask_for(tmp_path, hot, kind, memory):
    folder = draw(tmp_path, hot=hot)
    config, data, normalization, reasons = prepare(folder, SETTINGS, memory=memory)
    assert (config.train.normalization, normalization) == (kind, NORMALIZATIONS[kind])
    assert ("few pixels" in reasons["train.normalization"]) == hot
    images = {pair.name: find_dataset(folder).load(pair)[0] for pair in find_dataset(folder).pairs}
    for item in (*data.train, *data.validation):
        image = images[item.name]
        assert np.array_equal(item.read().image, NORMALIZATIONS[kind].measured(image).apply(image))


@pytest.mark.parametrize(("hot", "times"), [(False, 1), (True, 2)])
def test_images_are_read_once_more_only_if_they_are_normalised_anew(tmp_path, monkeypatch, hot, times):
    read, load = [], Dataset.load
    monkeypatch.setattr(Dataset, "load", lambda source, pair: (read.append(pair.name), load(source, pair))[1])
    labels, read_labels = [], reading.read_labels
    monkeypatch.setattr(
        reading, "read_labels", lambda path, **how: (labels.append(path.name), read_labels(path, **how))[1]
    )
    folder = draw(tmp_path, hot=hot)
    config, *_ = prepare(folder, SETTINGS)
    assert [read.count(f"{number}.tif") for number in range(4)] == [times] * 4
    assert [labels.count(f"{number}.tif") for number in range(4)] == [1 + times] * 4, "they are counted once"
    prepare(folder, config)
    assert len(read) == 4 * (times + 1)


def test_the_choice_is_written_and_kept_in_the_model_and_by_a_run_that_goes_on(tmp_path):
    folder, out = draw(tmp_path / "set", hot=True), tmp_path / "run"
    biounet.train(folder, out, settings=SETTINGS, device="cpu")
    text = (out / "config.toml").read_text()
    line = next(line for line in text.splitlines() if line.startswith("normalization"))
    assert line == 'normalization = "percentile" # in 3 of 3 images few pixels make the standard deviation'
    assert read_card(out).normalization == NORMALIZATIONS["percentile"]

    model, trained = load_model(out), (out / "model.safetensors").read_bytes()
    image = find_dataset(folder).load(find_dataset(folder).pairs[0])[0]
    hotter = np.where(image > 50_000, 65_535, image)
    assert np.array_equal(model.predict(image), model.predict(hotter)), "a hot pixel is as bright as any other"

    biounet.train(folder, out, device="cpu", resume=True)
    assert (out / "model.safetensors").read_bytes() == trained


def test_settings_of_before_are_those_of_z_score(tmp_path):
    folder, out = draw(tmp_path / "set", hot=True), tmp_path / "run"
    biounet.train(folder, out, settings=SETTINGS.updated({"train.normalization": "z-score"}), device="cpu")
    before = [line for line in (out / "config.toml").read_text().splitlines() if not line.startswith("normalization")]
    (out / "config.toml").write_text("\n".join(before))
    assert read_card(out).normalization == NORMALIZATIONS["z-score"]
    biounet.train(folder, out, device="cpu", resume=True)


def test_what_is_given_is_taken_and_check_says_what_was_chosen(tmp_path):
    folder = draw(tmp_path, hot=True)
    for kind in ("z-score", "percentile"):
        given = SETTINGS.updated({"train.normalization": kind})
        config, _, normalization, reasons = prepare(folder, given)
        assert (config.train.normalization, normalization, reasons) == (kind, NORMALIZATIONS[kind], {})
    assert any(line.startswith("train.normalization = percentile: in 3 of 3") for line in describe(folder, SETTINGS))


def test_unknown_ways_are_refused_in_one_line():
    with pytest.raises(ConfigError, match=r"train.normalization: .*'z-score' or 'percentile', got 'minmax'") as refused:
        SETTINGS.updated({"train.normalization": "minmax"})
    assert "\n" not in str(refused.value)
