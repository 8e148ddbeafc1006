"""No command writes over what it reads, over files of other kinds, or into a place where another one writes."""

import re
import shutil

import numpy as np
import pytest
import tifffile

from biounet.config import ModelConfig
from biounet.core.output_lock import holding
from biounet.data.normalize import Normalization
from biounet.io import Image, write
from biounet.models import build
from biounet.models.model_file import ModelCard, save_network


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A model, an image and labels, in the working folder."""
    config = ModelConfig(width=4, depth=2, padding="same")
    card = ModelCard(model=config, normalization=Normalization(), target="foreground")
    save_network(tmp_path / "m.safetensors", build(config), card)
    rng = np.random.default_rng(0)
    image, labels = rng.integers(0, 255, (40, 50)).astype(np.uint8), np.zeros((40, 50), np.uint16)
    labels[5:20, 5:20] = 1
    labels[25:35, 25:45] = 1
    for name, pixels in (
        ("x", image),
        ("r", labels),
        ("truth", labels),
        ("L/labels/a", labels),
        ("data/01/t000", image),
    ):
        write(tmp_path / f"{name}.tif", Image(pixels, "YX"))
    for name in ("data/01_GT/SEG/man_seg000", "data/01_GT/TRA/man_track000"):
        write(tmp_path / f"{name}.tif", Image(labels, "YX"))
    for name in ("a", "b"):
        write(tmp_path / "two" / "images" / f"{name}.tif", Image(image, "YX"))
        write(tmp_path / "two" / "labels" / f"{name}.tif", Image(labels, "YX"))
    shutil.copy(tmp_path / "m.safetensors", tmp_path / "m.tif")
    (tmp_path / "hard.tif").hardlink_to(tmp_path / "x.tif")
    (tmp_path / "soft.safetensors").symlink_to("m.safetensors")
    (tmp_path / "foreign.zarr").mkdir()
    (tmp_path / "foreign.zarr" / "notes.txt").write_text("two years of work")
    (tmp_path / "notes.json").write_text("two years of work")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


REFUSED = [
    ("predict m.tif x.tif --out m.tif", r"m\.tif is the model \(m\.tif\)"),
    ("predict m.safetensors x.tif --with m.tif --out m.tif", r"m\.tif is the model"),
    ("predict soft.safetensors x.tif --out m.tif", r"m\.tif is not a TIFF file"),
    ("predict m.safetensors x.tif --out hard.tif", r"hard\.tif is an image to predict \(x\.tif\)"),
    ("predict m.safetensors data/01/t000.tif --out data/01_GT/SEG/man_seg000.tif", "is an annotation"),
    ("predict m.safetensors x.tif --save probabilities --out foreign.zarr", "biounet did not write"),
    ("evaluate r.tif truth.tif --json r.tif", r"r\.tif is the result"),
    ("evaluate r.tif truth.tif --json x.tif", r"x\.tif is not a JSON file"),
    ("evaluate r.tif truth.tif --json notes.json", r"notes\.json is not a JSON file"),
    ("evaluate r.tif truth.tif --per-image truth.tif", r"truth\.tif is the truth"),
    ("evaluate r.tif truth.tif --json s --per-image ./s", "s is to hold both"),
    ("measure L/labels --out L --split", r"a\.tif is a label image"),
    ("export m.safetensors --to torchscript --out soft.safetensors", "would be taken for a model"),
    ("export m.tif --to torchscript --out m.tif", r"m\.tif is the model"),
    ("export m.safetensors --to torchscript --out x.tif", r"x\.tif is not a zip file"),
]


@pytest.mark.parametrize(("words", "said"), REFUSED, ids=[words for words, _ in REFUSED])
def test_what_a_command_must_not_replace_stays(command, place, words, said):
    before = contents(place)
    status, _, error = command(*words.split(), "--overwrite")
    assert status == 2, error
    assert re.search(said, error), error
    assert contents(place) == before


def test_of_a_folder_of_results_only_our_own_are_replaced(command, place):
    words = ("predict", "m.safetensors", "two/images", "--out", "results", "--overwrite")
    assert command(*words)[0] == 0
    assert command(*words)[0] == 0
    (place / "results" / "b.tif").unlink()
    tifffile.imwrite(place / "results" / "b.tif", np.zeros((40, 50), np.uint8))
    before = contents(place)
    status, _, error = command(*words)
    assert status == 2
    assert "b.tif was not written by biounet" in error
    assert contents(place) == before


@pytest.mark.parametrize("name", ["o.png", "o.tif", "o.nii.gz", "o.nii"])
def test_a_result_of_any_format_is_replaced(command, place, name):
    for _ in range(2):
        status, _, error = command("predict", "m.safetensors", "x.tif", "--out", name, "--overwrite")
        assert status == 0, error


def test_conversions_keep_others_away_and_clear_what_a_killed_one_left(command, place):
    folder, words = place / "results", ("convert", "r.tif", "--to", "geojson", "--out", "results/o.geojson")
    folder.mkdir()
    (folder / ".o.4711-af.part.geojson").write_text("{")
    with holding([folder / "o.geojson"]):
        status, _, error = command(*words)
    assert (status, "is being written by process" in error) == (2, True)
    assert command(*words)[0] == 0
    assert [path.name for path in folder.iterdir()] == ["o.geojson"]


def test_a_prediction_clears_what_a_killed_one_left_of_its_page(command, place):
    words = ("predict", "m.safetensors", "two/images", "--out", "results")
    (place / "results").mkdir()
    (place / "results" / ".report.4711-af.part.html").write_text("<html>")
    assert command(*words)[0] == 0
    assert sorted(path.name for path in (place / "results").iterdir()) == ["a.tif", "b.tif", "pictures", "report.html"]


def test_a_store_with_files_of_others_stays(command, place):
    pytest.importorskip("zarr")
    words = ("predict", "m.safetensors", "x.tif", "--save", "probabilities", "--out", "o.zarr", "--overwrite")
    assert command(*words)[0] == 0
    (place / "o.zarr" / "notes.txt").write_text("two years of work")
    before = contents(place)
    status, _, error = command(*words)
    assert status == 2
    assert "o.zarr holds notes.txt beside its pixels" in error
    assert contents(place) == before


def test_results_of_the_same_kind_are_replaced(command, place):
    for _ in range(2):
        assert (
            command("evaluate", "r.tif", "truth.tif", "--json", "s.json", "--per-image", "s.csv", "--overwrite")[0] == 0
        )
        assert command("predict", "m.safetensors", "x.tif", "--out", "r.tif", "--overwrite")[0] == 0
        assert command("measure", "L/labels", "--out", "t", "--split", "--rois", "--pictures", "--overwrite")[0] == 0
    assert tifffile.imread(place / "t" / "labels" / "a.tif").max() == 2
    assert not list(place.rglob(".*")), "nothing hidden is left"


HELD = [
    ("predict m.safetensors x.tif --out o/o.tif", "o/o.tif", False),
    ("predict m.safetensors x.tif --out o --table", "o/objects.csv", False),
    ("evaluate r.tif truth.tif --json s.json", "s.json", False),
    ("evaluate r.tif truth.tif --per-image s.csv", "s.csv", False),
    ("measure L/labels --out t", "t/counts.csv", False),
    ("measure L/labels --out t --split", "t/labels", True),
    ("export m.safetensors --to torchscript --out m.pt", "m.pt", False),
    ("train data --out run --steps 2", "run", True),
    ("train two --out run --steps 2 --folds 2", "run", True),
    ("demo --out d", "d", True),
]


@pytest.mark.parametrize(("words", "held", "folder"), HELD, ids=[words for words, *_ in HELD])
def test_where_another_command_writes_is_said(command, place, words, held, folder):
    with holding([] if folder else [place / held], folder=place / held if folder else None):
        before = contents(place)
        status, _, error = command(*words.split())
        assert status == 2, error
        assert f"{place / held} is being written by process" in error
        assert contents(place) == before
