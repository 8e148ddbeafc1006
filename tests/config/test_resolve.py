"""Settings of a run: one starting point, changes on top, and one budget."""

import pytest

from biounet.config import RunConfig
from biounet.config.resolve import MINUTES, resolve_settings
from biounet.core.errors import ConfigError, TrainingError


def test_a_run_that_names_no_budget_has_the_minutes_that_the_command_names(command):
    settings = resolve_settings({})
    assert settings == RunConfig.preset("default").updated({"train.minutes": MINUTES})
    assert f"{MINUTES:g} if nothing" in command("train", "--help")[1]


def test_a_budget_takes_the_place_of_the_one_in_a_file(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text(RunConfig().updated({"train.steps": 7, "train.batch": 3}).to_toml())
    train = resolve_settings({"train.seed": 5}, file=file, minutes=2).train
    assert (train.minutes, train.steps, train.batch, train.seed) == (2, None, 3, 5)
    assert resolve_settings({}, file=file).train.steps == 7


def test_whole_settings_stay_as_they_are_but_for_the_budget():
    settings = RunConfig.preset("paper").updated({"train.steps": 7})
    assert resolve_settings(settings) is settings
    assert resolve_settings(settings, steps=9) == settings.updated({"train.steps": 9})


def test_a_run_goes_on_with_its_own_settings(tmp_path):
    (tmp_path / "config.toml").write_text(RunConfig().updated({"train.steps": 7}).to_toml())
    assert resolve_settings({}, resume=tmp_path).train.steps == 7
    assert resolve_settings({}, resume=tmp_path, minutes=2).train.minutes == 2
    with pytest.raises(TrainingError, match="holds no run to resume; train without --resume"):
        resolve_settings({}, resume=tmp_path / "nothing")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"minutes": 1, "steps": 2}, "either steps or minutes"),
        ({"preset": "best"}, "preset must be one of"),
        ({"preset": "paper", "file": "config.toml"}, "give --config or --preset, not both"),
        ({"preset": "paper", "resume": "run"}, "leave out --config and --preset"),
    ],
)
def test_two_starting_points_or_budgets_are_refused(options, said):
    with pytest.raises(ConfigError, match=said):
        resolve_settings({}, **options)


@pytest.mark.parametrize("changes", [[1], None, "train.batch=4", {1: 2}])
def test_what_are_no_settings_is_said(changes):
    with pytest.raises(ConfigError, match=r"settings are names and values, as in \{'train.batch': 4\}, got"):
        resolve_settings(changes)
