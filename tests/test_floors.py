"""The house: a file imports from its own room or from rooms before it, and special libraries have one door each."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "biounet"
ROOMS = (
    "core",
    "config",
    "io",
    "data",
    "models",
    "metrics",
    "segmentation",
    "measurement",
    "inference",
    "evaluation",
    "training",
    "report",
    "export",
    "workspace",
    "web",
    "napari",
    "cli",
)
LEARNERS = ("workspace/learner.py",)
TORCH = (
    "data/augment",
    "data/patches.py",
    "data/sample_cache.py",
    "models",
    "inference",
    "training",
    "export",
    "workspace/learner.py",
)
"""Rooms, and files of other rooms, that may import torch."""
OF_ONE_FILE = (
    *("filelock", "zarr", "distributed", "tomlkit", "tensorboard", "roifile", "yaml", "jinja2", "markupsafe"),
    *("nibabel", "nrrd", "pydicom", "nd2", "czifile", "pylibCZIrw", "liffile", "h5py", "mrcfile"),
)
"""Libraries that one file imports."""
OF_ONE_ROOM = ("tifffile", "imagecodecs", "typer", "rich", "starlette", "uvicorn", "napari", "magicgui")
"""Libraries that files of one room import."""
READERS = {
    "json": ("load", "loads", "JSONDecoder"),
    "csv": ("reader", "DictReader"),
    "tomllib": ("load", "loads"),
    "tomlkit": ("load", "loads", "parse"),
}
"""Functions that read text; one file of `core` uses each, see `biounet.core.text_file`."""
FILES = sorted(path for path in SOURCE.rglob("*.py") if path not in (SOURCE / "__init__.py", SOURCE / "__main__.py"))


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0]


def imported(path: Path) -> set[str]:
    """Full names of all modules that a file imports, inside functions and by `need` too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names.add(node.module or "")
            if node.module == "biounet":
                names |= {f"biounet.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "need":
            names |= {word.value for word in node.args if isinstance(word, ast.Constant)}
    return names


def test_every_room_has_its_place():
    assert {room_of(path) for path in FILES} == set(ROOMS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_down(path):
    allowed = ROOMS[: ROOMS.index(room_of(path)) + 1]
    for name in imported(path):
        words = name.split(".")
        if words[0] == "biounet" and len(words) > 1:
            assert words[1] in allowed, f"{path.relative_to(SOURCE)} must not import {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_scoring_and_files_need_no_torch(path):
    if not path.relative_to(SOURCE).as_posix().startswith(TORCH):
        assert not {name for name in imported(path) if name.split(".")[0] in {"torch", "lightning_fabric"}}


@pytest.mark.parametrize("library", OF_ONE_FILE + OF_ONE_ROOM)
def test_a_special_library_has_one_door(library):
    users = [path for path in FILES if any(name.split(".")[0] == library for name in imported(path))]
    doors = {room_of(path) if library in OF_ONE_ROOM else path for path in users}
    assert len(doors) <= 1, f"{library} is imported by {users}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_records_are_read_by_one_file_each(path):
    own = {"json": "core/json_file.py", "csv": "core/csv_file.py", "tomllib": "core/toml_file.py"}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            library, name = node.value.id, node.attr
        elif isinstance(node, ast.ImportFrom) and node.module in READERS:
            library, name = node.module, next((alias.name for alias in node.names), "")
        else:
            continue
        if name in READERS.get(library, ()) or name == "model_validate_json":
            assert path.relative_to(SOURCE).as_posix() == own.get(library), (
                f"{library}.{name} is for {own.get(library)}"
            )
