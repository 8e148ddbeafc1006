"""The plugin is found by napari, and all that its manifest names is there."""

import pkgutil
import tomllib
from pathlib import Path

import yaml

from biounet.napari.samples import cells

ROOT = Path(__file__).parents[2]
MANIFEST = yaml.safe_load((ROOT / "src" / "biounet" / "napari" / "napari.yaml").read_text())


def test_the_package_points_to_the_manifest():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["napari.manifest"] == {"biounet": "biounet.napari:napari.yaml"}


def test_every_command_is_there_and_every_contribution_has_one():
    commands = {command["id"]: command["python_name"] for command in MANIFEST["contributions"]["commands"]}
    assert all(callable(pkgutil.resolve_name(name)) for name in commands.values())
    used = [*MANIFEST["contributions"]["widgets"], *MANIFEST["contributions"]["sample_data"]]
    assert {one["command"] for one in used} == set(commands)


def test_the_sample_is_an_image_with_its_annotation():
    (image, _, first), (labels, _, second) = cells()
    assert (first, second) == ("image", "labels")
    assert image.shape == labels.shape
    assert labels.max() > 5
