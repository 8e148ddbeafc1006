"""Commands in the pages: those of README and of the tutorials run as they stand; all others have options that exist."""

import re
import runpy
import shlex
from pathlib import Path

import numpy as np
import pytest
import typer

from biounet.cli import app
from biounet.data.synthetic import draw_cells, draw_membranes, draw_volume

ROOT = Path(__file__).parents[1]
DATA = {
    "README.md": {"my-data": "cells", "new-images": ""},
    "docs/tutorials/nuclei.md": {"nuclei": "cells"},
    "docs/tutorials/stack.md": {"stack": "volume"},
    "docs/tutorials/classes.md": {"tissue": "classes"},
    "docs/tutorials/membranes.md": {"membranes": "membranes"},
}
"""Pages whose commands are run, and the folders of images that they begin with."""
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
QUICK = ["--steps", "2", "--set", "model.width=2", "--set", "model.depth=1", "--set", "train.patch=24"]
QUICK += ["--set", "train.reports=1"]


def commands(page: Path) -> list[list[str]]:
    """Words of every ``$ biounet ...`` of a page, without comments."""
    blocks = re.findall(r"^```console\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line[2:], comments=True)[1:] for line in lines if line.startswith("$ biounet ")]


def small(kind: str):
    """A drawing of one kind: annotated images of some 48 pixels."""

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        if kind == "volume":
            return draw_volume(rng, size=(12, 40, 40), cells=6, diameter=14)
        if kind == "membranes":
            return draw_membranes(rng, size=(48, 48), cell=20)
        image, cells = draw_cells(rng, size=(48, 48), cells=8, diameter=14)
        return image, np.minimum(cells, 2) if kind == "classes" else cells

    return draw


def prepare(page: str) -> None:
    """Write the images that a page begins with into the current folder."""
    write_images = runpy.run_path(str(ROOT / "examples" / "draw_images.py"))["write_images"]
    for folder, kind in DATA[page].items():
        if kind:
            write_images(folder, small(kind), seed=0, training=4, more=2)
    if page == "README.md":
        Path("my-data-new").rename("new-images")


@pytest.mark.parametrize("page", DATA)
def test_commands_run_as_they_stand(page, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    prepare(page)
    found = commands(ROOT / page)
    assert {"train", "predict"} <= {words[0] for words in found}
    for words in found:
        if words[0] == "train" and "--resume" not in words:
            at = words.index("--minutes")
            words = [*words[:at], *words[at + 2 :], *QUICK]
        status, _, said = command(*words)
        assert status == 0, f"biounet {' '.join(words)}: {said}"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_options_of_all_commands_exist(page):
    known = typer.main.get_command(app).commands
    for name, *words in commands(page):
        known[name].make_context(name, words)


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_of_the_site_link_to_pages_of_the_site(page):
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))]
    files = [(page.parent / link).resolve() for link in links if link and "://" not in link]
    assert not [file for file in files if not file.is_relative_to(ROOT / "docs")], "Sphinx knows no other files"


def test_generated_tables_name_every_command_option_and_setting(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    from make_reference import GROUPS, commands, settings

    group = typer.main.get_command(app)
    page = commands()
    for name, command in group.commands.items():
        assert f"\n## {name}\n" in f"\n{page}"
        for option in (word for parameter in command.params for word in parameter.opts if word.startswith("--")):
            assert re.search(rf"`[^`]*{option}\b", page), f"{name} {option}"
    rows = dict(re.findall(r"^\| `([a-z0-9_.]+)` \|.*\| ([^|]*) \|$", settings(), re.MULTILINE))
    names = {f"{name}.{field}" for name, model in GROUPS.items() for field in model.model_fields}
    assert names <= set(rows)
    assert all(rows.values()), "every setting has a meaning"
