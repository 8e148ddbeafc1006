"""A model is one file that any safetensors reader opens, and that says what is wrong with it."""

import json
import pickletools
import random
import warnings

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from architectures import settings_of
from biounet.config import ModelConfig
from biounet.config.object_rules import ObjectRules
from biounet.core.errors import BiounetError, ModelFileError, OutputError
from biounet.data.normalize import NORMALIZATIONS, Normalization
from biounet.inference.model import load_model
from biounet.models import MODELS, build
from biounet.models import model_file as modelfile
from biounet.models.model_file import FORMAT, ModelCard, load_network, read_card, save_network
from forge import damages
from forge import read as read_forged
from forge import write as write_forged

SMALL = {"width": 2, "depth": 1}


def save(path, *, name="unet", **card):
    config = settings_of(name)
    card = ModelCard(model=config, normalization=Normalization("percentile"), **card)
    save_network(path, build(config, seed=5), card)
    return path


@pytest.mark.parametrize("name", MODELS)
def test_a_network_comes_back_as_it_was(tmp_path, name):
    path = save(tmp_path / "m.safetensors", name=name, target="foreground", spacing=(0.5, 0.25), threshold=0.4)
    net, card = load_network(path)
    assert not net.training
    assert card == read_card(path)
    assert (card.target, card.spacing, card.threshold) == ("foreground", (0.5, 0.25), 0.4)
    assert card.normalization == Normalization("percentile")
    for key, weight in build(card.model, seed=5).state_dict().items():
        assert torch.equal(net.state_dict()[key], weight)


def test_a_card_is_read_without_the_weights(tmp_path, monkeypatch):
    class Header:
        def __init__(self, path, framework):
            self.file = safe_open(path, framework)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def metadata(self):
            return self.file.metadata()

    path = save(tmp_path / "m.safetensors", threshold=0.4)
    monkeypatch.setattr(modelfile, "safe_open", Header)
    assert read_card(path).threshold == 0.4
    with pytest.raises(AttributeError, match="keys"):  # weights are asked for
        load_network(path)


def test_statistics_of_the_training_set_come_back(tmp_path):
    config = ModelConfig(**SMALL)
    fixed = Normalization(offset=(1.5,), scale=(2.5,))
    save_network(tmp_path / "m.safetensors", build(config), ModelCard(model=config, normalization=fixed))
    assert read_card(tmp_path / "m.safetensors").normalization == fixed


def test_files_from_before_temperatures_are_read_and_senseless_ones_are_not(tmp_path):
    assert read_card(save(tmp_path / "m.safetensors", temperature=1.7)).temperature == 1.7
    for temperature in (None, 0):
        card = ModelCard(model=ModelConfig(**SMALL), normalization=Normalization()).model_dump(mode="json")
        del card["temperature"], card["smoothing"]
        card |= {} if temperature is None else {"temperature": temperature}
        net = build(ModelConfig(**SMALL))
        save_file(net.state_dict(), tmp_path / "old.safetensors", {"biounet": json.dumps(card)})
        if temperature is None:
            old = load_network(tmp_path / "old.safetensors")[1]
            assert (old.temperature, old.smoothing) == (1, 0)
        else:
            refused(tmp_path / "old.safetensors", "temperature")


def test_a_run_folder_stands_for_its_model(tmp_path):
    save(tmp_path / "model.safetensors")
    assert load_network(tmp_path)[1].model.width == 2


def test_any_reader_of_safetensors_opens_it(tmp_path):
    with safe_open(save(tmp_path / "m.safetensors"), framework="np") as file:
        assert "head.weight" in file.keys()  # noqa: SIM118
        assert json.loads(file.metadata()["biounet"])["format"] == FORMAT


def test_there_is_no_pickle_in_it(tmp_path):
    with pytest.raises(ValueError, match=r"."):
        list(pickletools.genops(save(tmp_path / "m.safetensors").read_bytes()))


def test_nothing_is_overwritten_unasked(tmp_path):
    path = save(tmp_path / "m.safetensors")
    with pytest.raises(OutputError, match="exists already"):
        save(path)


def refused(path, words):
    for read in (read_card, load_network):
        with pytest.raises(ModelFileError, match=words) as caught:
            read(path)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize("left", [0, 4, 100, -10])
def test_a_torn_file_is_said(tmp_path, left):
    path = save(tmp_path / "m.safetensors")
    path.write_bytes(path.read_bytes()[:left])
    refused(path, "torn or no model file")


def test_another_file_is_said(tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    refused(path, "torn or no model file")


def test_weights_of_others_are_said(tmp_path):
    path = tmp_path / "m.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    refused(path, "no model of biounet")


def change_header(path, **changes):
    net, card = load_network(path)
    entry = card.model_dump(mode="json") | changes
    save_file({k: v.contiguous() for k, v in net.state_dict().items()}, path, metadata={"biounet": json.dumps(entry)})


def test_a_newer_format_asks_to_upgrade(tmp_path):
    path = save(tmp_path / "m.safetensors")
    change_header(path, format=FORMAT + 1, something_new=True)
    refused(path, f"format {FORMAT + 1}.*upgrade biounet")


def test_a_header_that_makes_no_sense_is_said(tmp_path):
    path = save(tmp_path / "m.safetensors")
    change_header(path, surprise=1)
    refused(path, "entry 'biounet' of its header: surprise is unknown; copy or train it again")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is empty"),
        ("{", "line 1: the text is torn"),
        ("[]", "a table of names and values is wanted, got \\[\\]"),
        ("[" * 100_000, "more than 32 lists"),
        ('{"a":' * 500 + "1" + "}" * 500, "more than 32 lists"),
        ('{"format": 1, "format": 2}', "'format' is there twice"),
        ('{"format": "new"}', "format: Input should be a valid integer.* got 'new'"),
        ('{"format": 1}', "model is missing"),
        ('{"format": ' + "9" * 5000 + "}", "a number has thousands of digits"),
    ],
)
def test_a_damaged_entry_is_said(tmp_path, text, words):
    path = tmp_path / "m.safetensors"
    save_file({"weight": torch.zeros(3)}, path, metadata={"biounet": text})
    refused(path, words)


def test_weights_that_do_not_fit_are_said(tmp_path):
    path = save(tmp_path / "m.safetensors")
    change_header(path, model={"width": 4, "depth": 1})
    with pytest.raises(ModelFileError, match="are not those of unet"):
        load_network(path)


def test_a_missing_file_is_said(tmp_path):
    refused(tmp_path / "nothing.safetensors", "is missing")
    with pytest.raises(ModelFileError, match=r"model.safetensors is missing"):
        load_network(tmp_path)


def forged(tmp_path, number):
    """A small model of one of three kinds, for which all settings have a value."""
    config, card = [
        (ModelConfig(**SMALL, norm="batch"), {"normalization": Normalization(offset=(100.0,), scale=(50.0,))}),
        (
            ModelConfig(width=2, depth=2, classes=8, pooling=((2, 2), (1, 2)), coarse=2),
            {
                "normalization": NORMALIZATIONS["percentile"],
                "target": "distance",
                "rules": ObjectRules(target="distance", second_seed=0.3, largest_hole=20),
                "smoothing": 2,
                "temperature": 1.5,
            },
        ),
        (
            ModelConfig(**SMALL, classes=1),
            {
                "normalization": Normalization(),
                "target": "image",
                "target_normalization": Normalization(offset=(10.0,), scale=(3.0,)),
            },
        ),
    ][number]
    save_network(tmp_path / "whole.safetensors", build(config), ModelCard(model=config, spacing=(0.5, 0.5), **card))
    return read_forged(tmp_path / "whole.safetensors")


@pytest.mark.parametrize("number", range(3))
def test_a_forged_model_is_refused_in_one_line_or_gives_finite_results(tmp_path, number):
    image = np.random.default_rng(0).integers(0, 255, (1, 24, 28)).astype(np.uint8)
    all_damages = damages(*forged(tmp_path, number))
    messages = []
    for turn, (name, tensors, card) in enumerate(random.Random(number).sample(all_damages, 40)):
        path = tmp_path / f"{turn}.safetensors"
        write_forged(path, tensors, card)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # numbers that overflow on their way
                assert np.isfinite(load_model(path).predict(image)).all(), name
        except BiounetError as error:
            messages.append(str(error))
    assert not any("\n" in message for message in messages)
    assert len(messages) > 20  # most damages are seen


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"smoothing": 10**9}, "smoothing: .*64, got 1000000000"),
        ({"threshold": 1e308}, "threshold: .*1, got 1e"),
        ({"threshold": float("nan")}, "threshold: .*finite"),
        ({"temperature": 0}, "temperature"),
        ({"spacing": [0.5, -1]}, "spacing.1"),
        ({"normalization": {"offset": [1.0], "scale": [0.0]}}, "scale must be positive"),
        ({"normalization": {"offset": [float("nan")], "scale": [1.0]}}, "normalization.offset.0: .*finite|offset must"),
        ({"normalization": {"offset": [1.0, 2.0], "scale": [1.0, 2.0]}}, "normalization has 2 channels"),
        ({"target": "border"}, "target border needs 3 classes"),
        ({"target": "image"}, "needs a target_normalization of 2 channels"),
        ({"target": "foreground", "close_gaps": True}, "close_gaps is for two classes, this is target foreground"),
        ({"target": "foreground", "rules": {"target": "border"}}, "rules are for target border"),
        ({"model": {**SMALL, "width": 10**30}}, "model.width"),
        ({"model": {**SMALL, "dropout": float("nan")}}, "model.dropout"),
    ],
)
def test_settings_that_cannot_be_are_named(tmp_path, changes, words):
    path = save(tmp_path / "m.safetensors")
    change_header(path, **changes)
    refused(path, words)


def test_a_width_that_the_file_does_not_hold_takes_no_memory(tmp_path, monkeypatch):
    path = save(tmp_path / "m.safetensors")
    change_header(path, model={"width": 3000, "max_width": 30000, "depth": 4})
    monkeypatch.setattr(modelfile, "build", None)  # whatever calls it, fails otherwise
    with pytest.raises(ModelFileError, match=r"of unet, width 3000, .* by the settings"):
        load_network(path)


def test_weights_that_are_no_numbers_are_refused_by_name(tmp_path):
    path = save(tmp_path / "m.safetensors")
    net, card = load_network(path)
    net.head.weight.data[0, 0] = float("nan")
    save_network(path, net, card, overwrite=True)
    with pytest.raises(ModelFileError, match=r"m.safetensors: weights must be finite.*head.weight holds nan"):
        load_network(path)
