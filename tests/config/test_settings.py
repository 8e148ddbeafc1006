"""Settings refuse what they do not know and come back from TOML unchanged."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from biounet.config import PRESETS, ModelConfig, RunConfig
from biounet.core.errors import ConfigError


@pytest.mark.parametrize("name", PRESETS)
def test_presets_come_back_from_toml(name):
    config = RunConfig.preset(name)
    assert RunConfig.from_toml(config.to_toml()) == config


def test_paper_preset_is_the_paper():
    config = RunConfig.preset("paper")
    assert config.model.channels == (64, 128, 256, 512, 1024)
    assert (config.model.padding, config.model.norm) == ("valid", "none")
    train = config.train
    assert (train.optimizer, train.momentum, train.batch, train.patch) == ("sgd", 0.99, 1, 572)
    assert (train.border_weight, train.border_sigma, train.loss) == (10.0, 5.0, "cross-entropy")
    assert (config.augment.elastic_grid, config.augment.elastic_sigma) == (3, 10.0)


def test_padding_is_that_of_the_architecture_until_it_is_given():
    paper = RunConfig.preset("paper")
    nested = paper.updated({"model.name": "unet++"}).updated({"train.steps": 1})
    assert nested.model.padding == "same"
    assert 'padding = "same"' in nested.to_toml()
    assert nested.updated({"model.name": "unet3d"}).model.padding == "valid"
    given = paper.updated({"model.padding": "same"})
    assert given.updated({"model.name": "unet3d"}).model.padding == "same"
    assert RunConfig.preset("default").updated({"model.name": "sliding-window"}).model.padding == "same"
    with pytest.raises(ConfigError, match=r"model\.padding: .*got 'full'"):
        paper.updated({"model.padding": "full"})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"train.learning_rat": 1}, "unknown setting 'train.learning_rat'; did you mean train.learning_rate"),
        ({"trian.batch": 1}, "unknown setting 'trian.batch'; did you mean train.batch"),
        ({"batch": 1}, "unknown setting 'batch'; did you mean train.batch"),
        ({"quux": 1}, "unknown setting 'quux'; known are augment, model, train"),
        ({"train": 1}, "unknown setting 'train'"),
        ({"train.batch": 0}, "train.batch: .*greater than 0, got 0"),
        ({"train.batch": "many"}, "train.batch: .*got 'many'"),
        ({"train.minutes": float("inf")}, "train.minutes: .*finite number, got inf"),
        ({"augment.noise": float("nan")}, "augment.noise: .*finite number, got nan"),
        ({"train.validation": float("nan")}, "settings: train.validation: .*got nan"),
        ({"train.validation": 1.5}, "settings: train.validation: .*got 1.5"),
        ({"train.steps": 2, "train.minutes": 1.0}, r"settings: train: give either steps or minutes"),
        ({"model.width": 10**30}, r"model.width: .*65536"),
        ({"model.classes": -1}, "model.classes"),
        ({"train.seed": 2**63}, "train.seed"),
        ({"train.learning_rate": 1e30}, "train.learning_rate: .*1000000"),
        ({"train.border_weight": 1e300}, "train.border_weight"),
        ({"augment.scale": 1e9}, "augment.scale: .*100"),
        ({"augment.elastic_grid": 10**9}, "augment.elastic_grid: .*1000"),
        ({"model.pooling": [[2, 2]]}, "pooling needs 4 rows of 2 factors"),
    ],
)
def test_wrong_settings_are_said_in_one_line(changes, said):
    with pytest.raises(ConfigError, match=said) as caught:
        RunConfig().updated(changes)
    assert "\n" not in str(caught.value)


def test_unknown_preset_and_torn_toml():
    with pytest.raises(ConfigError, match="one of paper, default, got 'papr'"):
        RunConfig.preset("papr")
    with pytest.raises(ConfigError, match=r'my.toml, line 1: "\[train" is no TOML'):
        RunConfig.from_toml("[train", source="my.toml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"[train]\nbatch = 2\npatch = 32\nbatch = 4\n", r'c.toml, line 4: "batch = 4" is there a second time'),
        (b"[train]\nbatch = 2\n[train]\npatch = 2\n", r'c.toml, line 3: "\[train\]" is there a second time'),
        (b"[train]\nloss = 'd\xffce'\n", r"c.toml, line 2: the text is damaged \(byte 0xff is not UTF-8\)"),
        (b"a = " + b"[" * 9000, "more than 32 lists or tables"),
        (b"a = " + b"[" * 40 + b"]" * 40, "more than 32 lists or tables"),
        (b".".join([b"a"] * 4000) + b" = 1", "line 1: a key or value has more than 128 points"),
        (b"a = " + b"9" * 5000, "a number or date cannot be read"),
        (b"#" * 300_000, "at most 0.25 MiB, and it has more"),
        (b"train = 3", "c.toml: train: Input should be a valid dictionary.* got 3"),
        (b"[train]\nbatch = '" + b"x" * 9000 + b"'", r"c.toml: train.batch: .*xxx\.\.\."),
    ],
)
def test_a_damaged_file_of_settings_is_said_in_one_line(tmp_path, monkeypatch, text, words):
    monkeypatch.chdir(tmp_path)
    Path("c.toml").write_bytes(text)
    with pytest.raises(ConfigError, match=words) as caught:
        RunConfig.read(Path("c.toml"))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        ModelConfig().width = 3


@given(st.integers(1, 64), st.integers(1, 6), st.integers(1, 512))
def test_channels_double_up_to_the_limit(width, depth, most):
    channels = ModelConfig(width=width, depth=depth, max_width=most).channels
    assert len(channels) == depth + 1
    assert all(after in (2 * before, most) for before, after in pairwise(channels))


def test_differences_are_named():
    assert RunConfig().differences(RunConfig().updated({"train.seed": 3, "model.width": 8})) == [
        "model.width",
        "train.seed",
    ]


@pytest.mark.parametrize(
    "key", ["model.width", "train.class_balance", "model.name", "train.border_weight", "train.auto"]
)
def test_reasons_stand_beside_settings(key):
    """Every kind of value can have one: numbers, words, yes and no, lists."""
    written = RunConfig().to_toml(reasons={key: "because"})
    (line,) = (line for line in written.splitlines() if line.endswith("# because"))
    assert line.startswith(f"{key.split('.')[1]} = ")
    assert RunConfig.from_toml(written) == RunConfig()
