"""The house: a file imports from floors below, never from above, and sideways only in the pairs allowed."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "biounet"
FLOORS = [
    {"errors", "atomic", "geometry", "config", "chance"},
    {
        *("models", "losses", "weightmaps", "normalize", "augment", "metrics", "postprocess", "synthetic"),
        *("measure", "object_pictures"),
        *("optimize", "pace", "devices", "tiling", "footprint", "targets", "calibration", "smoothing", "confusion"),
        *("processes", "batchwise", "places", "extents", "adversary"),
    },
    {"images", "folders", "modelfile", "statefile", "arrayfolder", "pretrained", "download", "rois"},
    {"patches", "training_data", "fingerprint", "digests", "update", "train", "budget", "validation", "forecast"}
    | {"runfolder", "object_confidence", "bands", "items"}
    | {"ondemand", "stored_samples", "experiment", "object_frames", "object_files", "predict", "cluster", "evaluate"}
    | {"ensemble", "frames", "reliefs", "sections", "jobs", "outputs", "plan", "verify", "survey", "seen", "divided"},
    {"report", "cli"},
]
FLOOR = {part: number for number, floor in enumerate(FLOORS) for part in floor}
SIDEWAYS = {
    *((part, "errors") for part in FLOORS[0]),  # errors is what the rest of the ground floor stands on
    *(("tiling", part) for part in ("devices", "models", "footprint", "normalize", "smoothing")),
    ("smoothing", "calibration"),
    ("processes", "devices"),
    ("batchwise", "processes"),
    *(("adversary", part) for part in ("devices", "models")),
    ("object_pictures", "measure"),
    ("postprocess", "metrics"),
    *((part, "targets") for part in ("extents", "weightmaps")),
    ("folders", "images"),
    ("object_frames", "frames"),
    ("object_files", "object_frames"),
    ("update", "patches"),
    *(("train", part) for part in ("patches", "update")),
    *(("budget", part) for part in ("patches", "update")),
    ("fingerprint", "training_data"),
    *(("experiment", part) for part in ("fingerprint", "training_data", "patches", "train", "budget", "validation")),
    *((part, "training_data") for part in ("digests", "validation")),
    *(("forecast", part) for part in ("patches", "update", "validation")),
    *(("experiment", part) for part in ("digests", "forecast", "ondemand", "seen", "stored_samples")),
    *(("seen", part) for part in ("training_data", "validation")),
    *(("training_data", part) for part in ("divided", "items", "ondemand", "survey")),
    ("divided", "ondemand"),
    *(("items", part) for part in ("bands", "ondemand", "survey")),
    ("ondemand", "bands"),
    ("bands", "frames"),
    ("runfolder", "digests"),
    *((part, "runfolder") for part in ("experiment", "train")),
    ("stored_samples", "training_data"),
    *(("jobs", part) for part in ("ensemble", "frames", "reliefs", "outputs", "plan")),
    *(("outputs", part) for part in ("jobs", "object_confidence", "sections")),
    *(("verify", part) for part in ("frames", "jobs", "plan")),
    *(("predict", part) for part in ("ensemble", "frames", "jobs", "outputs", "plan", "verify")),
    *(("cluster", part) for part in ("jobs", "predict")),
    ("cli", "report"),
}
NO_TORCH = {"geometry", "weightmaps", "normalize", "metrics", "postprocess", "images", "folders", "config", "errors"}
NO_TORCH |= {"targets", "calibration", "places", "extents"}
NO_TORCH |= {"measure", "object_pictures", "rois", "object_frames", "object_files", "object_confidence"}
FILES = sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")
OF_ONE_FILE = {"zarr", "distributed", "tomlkit", "tifffile"}


def part_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Full names of all modules that a file imports, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names.add(node.module or "")
            if node.module == "biounet":
                names |= {f"biounet.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_down(path):
    part = part_of(path)
    assert part in FLOOR, f"{part} has no floor yet: give it one in FLOORS"
    for name in imported(path):
        words = name.split(".")
        if words[0] != "biounet" or len(words) == 1:
            continue
        other = words[1]
        if other not in FLOOR:
            continue
        allowed = other == part or FLOOR[other] < FLOOR[part] or (part, other) in SIDEWAYS
        assert allowed, f"{path.relative_to(SOURCE)} must not import {other}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_scoring_and_files_need_no_torch(path):
    if part_of(path) in NO_TORCH:
        assert not {name for name in imported(path) if name.split(".")[0] in {"torch", "lightning_fabric"}}


@pytest.mark.parametrize("library", sorted(OF_ONE_FILE))
def test_a_special_library_is_imported_by_one_file(library):
    users = [path for path in FILES if any(name.split(".")[0] == library for name in imported(path))]
    assert len({part_of(path) for path in users}) <= 1, f"{library} is imported by {users}"
