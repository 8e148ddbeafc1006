"""Killed anywhere, side by side, replaced: the same bytes in the end, the old result until then, and nothing left."""

import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from biounet.config import ModelConfig
from biounet.data.normalize import Normalization
from biounet.io import Image, write
from biounet.models import build
from biounet.models.model_file import ModelCard, save_network
from kills import changes, files, run

pytest.importorskip("zarr")

PLACES = {
    "tiff": ("predict", "a.model", "x.tif", "--save", "probabilities", "--out", "out/o.tif"),
    "zarr": ("predict", "a.model", "x.tif", "--save", "probabilities", "--out", "out/o.zarr"),
    "objects": ("predict", "a.model", "x.tif", "--table", "--out", "out/o.zarr"),
    "tables": ("predict", "a.model", "many", "--table", "--out", "out"),
    "stack": ("predict", "a.model", "stack.tif", "--link", "--table", "--out", "out/o.zarr"),
}
"""Commands, each with a tile of 32 px."""


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Two models, images, and the results of undisturbed runs by the first."""
    path = tmp_path_factory.mktemp("kills")
    config = ModelConfig(width=4, depth=2, padding="same")
    for seed, name in enumerate(("a.model", "b.model")):
        torch.manual_seed(seed)
        net = build(config)
        save_network(path / name, net, ModelCard(model=config, normalization=Normalization(), target="foreground"))
    rng = np.random.default_rng(0)
    write(path / "x.tif", Image(rng.integers(0, 255, (70, 90)).astype(np.uint8), "YX"))
    write(path / "stack.tif", Image(rng.integers(0, 255, (3, 40, 50)).astype(np.uint8), "ZYX"))
    for name in ("x", "y"):
        write(path / "many" / f"{name}.png", Image(rng.integers(0, 255, (40, 50)).astype(np.uint8), "YX"))
    return path


@pytest.fixture(scope="module")
def undisturbed(place):
    """Files of an undisturbed run, and the changes that it made, by name of the command."""
    known = {}

    def once(name):
        if name not in known:
            folder = place / f"undisturbed-{name}"
            count = changes(words(place, name, folder), place=folder)
            known[name] = files(folder), count
        return known[name]

    return once


def words(place, name, folder, *more):
    """The words of a command that writes into a folder."""
    fixed = {"predict", "probabilities"}
    command = [
        word
        if word in fixed or word.startswith("--")
        else folder / word[4:]
        if word.startswith("out")
        else place / word
        for word in PLACES[name]
    ]
    return (*command, "--tile", 32, "--precision", "float32", *more)


def kill_and_resume(place, undisturbed, folder, name, seed, *, kills=2):
    """Kill a command, and the commands that resume it, at changes drawn by the seed; the last one comes to its end."""
    chance = random.Random(f"{name} {seed}")
    wanted, count = undisturbed(name)
    for kill in range(kills):
        more = ("--resume",) if kill else ()
        run(words(place, name, folder, *more), place=folder, kill_at=chance.randint(1, count)).end()
    command = run(words(place, name, folder, "--resume"), place=folder)
    assert command.end() == 0, command.said
    found = files(folder)
    assert sorted(found) == sorted(wanted), f"{name} {seed}: other files"
    assert found == wanted, f"{name} {seed}: other bytes"


@pytest.mark.parametrize("name", PLACES)
def test_a_killed_prediction_is_resumed_to_the_same_bytes(place, undisturbed, tmp_path, name):
    kill_and_resume(place, undisturbed, tmp_path, name, 0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 15))
@pytest.mark.parametrize("name", PLACES)
def test_many_killed_predictions_are_resumed_to_the_same_bytes(place, undisturbed, tmp_path, name, seed):
    kill_and_resume(place, undisturbed, tmp_path, name, seed)


def kill_while_overwriting(place, undisturbed, folder, name, seed):
    """Kill a command that replaces the result of another model: the old one is whole, or the new one."""
    chance = random.Random(f"{name} {seed}")
    wanted, count = undisturbed(name)
    old = [place / "b.model" if word == place / "a.model" else word for word in words(place, name, folder)]
    assert run(old, place=folder).end() == 0
    before = {path: pixels for path, pixels in files(folder).items() if not path.endswith(".csv")}
    run(words(place, name, folder, "--overwrite"), place=folder, kill_at=chance.randint(1, count)).end()
    after = files(folder)
    for path in {path.partition("/")[0] for path in before}:
        found, as_before, as_wanted = (
            {key: value for key, value in state.items() if key.partition("/")[0] == path}
            for state in (after, before, wanted)
        )
        assert found in (as_before, as_wanted), f"{name} {seed}: {path} is neither the old result nor the new"
    again = (
        chance.choice([("--overwrite",), ("--overwrite", "--resume")])
        if name in ("zarr", "objects")
        else ("--overwrite",)
    )
    command = run(words(place, name, folder, *again), place=folder)
    status = command.end()
    if status == 2 and "--resume" in again:  # nothing of the new result was there yet
        assert "--overwrite" in command.said
        status = run(words(place, name, folder, "--overwrite"), place=folder).end()
    assert status == 0, command.said
    assert files(folder) == wanted, f"{name} {seed}: other bytes"


@pytest.mark.parametrize("name", ["zarr", "tables"])
def test_an_old_result_stays_until_the_new_one_is_complete(place, undisturbed, tmp_path, name):
    kill_while_overwriting(place, undisturbed, tmp_path, name, 0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 11))
@pytest.mark.parametrize("name", ["tiff", "zarr", "objects", "tables"])
def test_many_old_results_stay_until_the_new_ones_are_complete(place, undisturbed, tmp_path, name, seed):
    kill_while_overwriting(place, undisturbed, tmp_path, name, seed)


def side_by_side(place, undisturbed, folder, name, seed):
    """Two models, one place: the first is held up at a change drawn by the seed while the second comes."""
    chance = random.Random(f"{name} {seed}")
    wanted, count = undisturbed(name)
    more = ("--overwrite",) if seed % 2 else ()
    if more:
        shutil.copytree(place / f"undisturbed-{name}", folder, dirs_exist_ok=True)
    first = run(words(place, name, folder, *more), place=folder, hold_at=chance.randint(12, count - 8))
    assert first.wait_until_held()
    other = [place / "b.model" if word == place / "a.model" else word for word in words(place, name, folder)]
    second = run([*other, *chance.choice([(), ("--overwrite",), ("--resume",)])], place=folder)
    assert second.end() == 2, second.said
    assert f"is being written by process {first.process.pid} on" in second.said
    assert "Traceback" not in second.said
    first.go_on()
    assert first.end() == 0, first.said
    assert files(folder) == wanted, f"{name} {seed}: other bytes"


@pytest.mark.parametrize(("name", "seed"), [("zarr", 0), ("tables", 1)])
def test_of_two_predictions_one_is_whole_and_the_other_told(place, undisturbed, tmp_path, name, seed):
    side_by_side(place, undisturbed, tmp_path, name, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 10))
@pytest.mark.parametrize("name", PLACES)
def test_of_many_pairs_one_is_whole_and_the_other_told(place, undisturbed, tmp_path, name, seed):
    side_by_side(place, undisturbed, tmp_path, name, seed)
