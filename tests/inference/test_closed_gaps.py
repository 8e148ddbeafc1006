"""Gaps that are closed in predictions: as the model file says, or as asked for; the same however it is computed."""

import numpy as np
import pytest
import tifffile
from scipy.ndimage import gaussian_filter

from biounet.config import ModelConfig
from biounet.core.errors import ConfigError, MemoryBudgetError, OutputError
from biounet.data.normalize import Normalization
from biounet.inference.files import predict_files
from biounet.inference.model import load_model
from biounet.io import Image, read, write
from biounet.models import build
from biounet.models.model_file import ModelCard, save_network
from biounet.segmentation import close_gaps, label_objects, link_slices, number_apart

STACK = (255 * gaussian_filter(np.random.default_rng(0).random((2, 70, 50)), (0, 3, 3))).astype(np.uint8)
"""Blobs, of which a network with random weights makes a map with cells, membranes and gaps."""


class KilledError(Exception):
    """A run was killed."""


def dying(share, text):
    """Progress of a run that is killed when most tiles are predicted."""
    if share > 0.6:
        raise KilledError


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model file that closes gaps."""
    return saved(
        tmp_path_factory.mktemp("model") / "model.safetensors",
        close_gaps=True,
        smoothing=4,
        temperature=0.1,
        threshold=0.4,
    )


@pytest.fixture(scope="module")
def plain(model):
    """Probability of the foreground of the network as it is."""
    return load_model(model, close_gaps=False).predict(STACK)[1]


@pytest.fixture
def stack(tmp_path):
    write(tmp_path / "in.tif", Image(STACK, "ZYX"))
    return tmp_path / "in.tif"


def saved(path, *, target="classes", classes=2, **fields):
    config = ModelConfig(width=4, depth=2, padding="same", norm="batch", classes=classes)
    card = ModelCard(model=config, normalization=Normalization(), target=target, **fields)
    save_network(path, build(config, seed=2), card)
    return path


def test_each_section_is_closed_by_itself(model, plain):
    given = load_model(model).predict(STACK)
    wanted = np.stack([close_gaps(section) for section in plain])
    assert (wanted < plain).any()
    np.testing.assert_array_equal(given[1], wanted)
    np.testing.assert_array_equal(given[0], 1 - wanted)


def test_all_steps_but_the_last_are_as_the_network_gives_them(model, plain):
    *steps, (share, last) = ((share, got[1].copy()) for share, got in load_model(model).predict_in_steps(STACK[0]))
    assert share == 1
    np.testing.assert_array_equal(steps[-1][1], plain[0])
    np.testing.assert_array_equal(last, close_gaps(plain[0]))


def test_classes_are_those_of_closed_probabilities(model, plain, stack, tmp_path):
    predict_files(model, [stack], tmp_path / "out.tif", save="labels", tile=32)
    wanted = np.stack([close_gaps(section) for section in plain]) > 0.4
    np.testing.assert_array_equal(read(tmp_path / "out.tif", labels=True).array, wanted)
    np.testing.assert_array_equal(load_model(model).segment(STACK), wanted)


@pytest.mark.parametrize("suffix", [".tif", ".zarr"])
@pytest.mark.parametrize("options", [{}, {"tile": 16, "region_memory": 40 * 17**2}, {"tile": 32, "batch": 2}])
def test_files_hold_what_arrays_give(model, stack, tmp_path, suffix, options):
    out = tmp_path / f"out{suffix}"
    predict_files(model, [stack], out, save="probabilities", precision="float32", **options)
    wanted = load_model(model).predict(STACK, precision="float32")[1]
    np.testing.assert_allclose(read(out).array, wanted, atol=5e-3)  # roundings of 1/254 may fall to the other side
    assert not list(tmp_path.glob(".*"))


def test_regions_change_no_byte(model, stack, tmp_path):
    for name, memory in (("one", 2**27), ("many", 40 * 17**2)):
        predict_files(model, [stack], tmp_path / f"{name}.tif", save="probabilities", tile=16, region_memory=memory)
    one, many = (tifffile.imread(tmp_path / f"{name}.tif") for name in ("one", "many"))
    np.testing.assert_array_equal(one, many)


def test_gaps_are_left_where_that_is_asked_for(model, plain, stack, tmp_path):
    predict_files(model, [stack], tmp_path / "out.tif", save="probabilities", close_gaps=False)
    np.testing.assert_array_equal(read(tmp_path / "out.tif").array, plain)


def test_gaps_are_closed_where_that_is_asked_for(plain, stack, tmp_path, command):
    model = saved(tmp_path / "model.safetensors", smoothing=4, temperature=0.1)
    status, _, said = command(
        "predict", model, stack, "--out", tmp_path / "out.tif", "--save", "probabilities", "--close-gaps"
    )
    assert status == 0, said
    wanted = np.stack([close_gaps(section) for section in plain])
    np.testing.assert_array_equal(read(tmp_path / "out.tif").array, wanted)


def test_a_run_that_was_killed_goes_on(model, stack, tmp_path):
    out = tmp_path / "out.zarr"
    with pytest.raises(KilledError):
        predict_files(model, [stack], out, save="probabilities", tile=16, progress=dying)
    with pytest.raises(OutputError, match="begun with close_gaps True, this run has False"):
        predict_files(model, [stack], out, save="probabilities", tile=16, resume=True, close_gaps=False)
    lines = []
    predict_files(model, [stack], out, save="probabilities", tile=16, resume=True, report=lines.append)
    assert any("tiles are left to do" in line for line in lines)
    predict_files(model, [stack], tmp_path / "whole.zarr", save="probabilities", tile=16)
    np.testing.assert_array_equal(read(out).array, read(tmp_path / "whole.zarr").array)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("fields", [{"target": "foreground"}, {"classes": 3}])
def test_other_models_have_no_gaps(tmp_path, stack, fields):
    model = saved(tmp_path / "model.safetensors", **fields)
    with pytest.raises(ConfigError, match="one class is membranes and the other cells"):
        predict_files(model, [stack], tmp_path / "out.tif", close_gaps=True)
    predict_files(model, [stack], tmp_path / "out.tif", close_gaps=False)


def test_borders_that_memory_does_not_hold_are_refused(model, stack, tmp_path, monkeypatch):
    monkeypatch.setattr("biounet.inference.memory_budget.TABLE_BYTES_PER_PIXEL", 2**21)
    with pytest.raises(MemoryBudgetError, match=r"in\.tif: .* go to closing gaps .* more --memory, or --no-close-gaps"):
        predict_files(model, [stack], tmp_path / "out.tif")
    assert not list(tmp_path.glob("*out*"))
    predict_files(model, [stack], tmp_path / "out.tif", close_gaps=False)


@pytest.mark.parametrize("suffix", [".tif", ".zarr"])
@pytest.mark.parametrize("options", [{}, {"tile": 16, "region_memory": 40 * 17**2}])
def test_objects_are_the_components_of_closed_cells(model, stack, tmp_path, suffix, options):
    for save in ("objects", "probabilities"):
        predict_files(model, [stack], tmp_path / f"{save}{suffix}", save=save, **options)
    closed = read(tmp_path / f"probabilities{suffix}").array
    wanted = number_apart(np.stack([label_objects(section > 0.4) for section in closed]))
    np.testing.assert_array_equal(read(tmp_path / f"objects{suffix}", labels=True).array, wanted)
    assert not list(tmp_path.glob(".*"))


def test_objects_of_sections_are_linked_and_measured(model, plain, stack, tmp_path, command):
    out = tmp_path / "out.tif"
    status, _, said = command("predict", model, stack, "--out", out, "--save", "objects", "--link", "--table")
    assert status == 0, said
    wanted = link_slices(np.stack([label_objects(close_gaps(section) > 0.4) for section in plain]))
    found = read(out, labels=True).array
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(load_model(model).segment(STACK, objects=True, link=True), wanted)
    rows = (tmp_path / "objects.csv").read_text().splitlines()[1:]
    assert len(rows) == len(np.unique(wanted[wanted > 0]))


def test_objects_of_a_killed_run_are_those_of_one_run(model, stack, tmp_path):
    predict_files(model, [stack], tmp_path / "whole.zarr", save="objects", link=True, tile=16)
    with pytest.raises(KilledError):
        predict_files(model, [stack], tmp_path / "out.zarr", save="objects", link=True, tile=16, progress=dying)
    predict_files(model, [stack], tmp_path / "out.zarr", save="objects", link=True, tile=16, resume=True)
    one, other = (read(tmp_path / name, labels=True).array for name in ("whole.zarr", "out.zarr"))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("classes", "options", "remedy"),
    [
        (3, {"save": "objects"}, "this one has 3; save labels, and number their parts by: biounet measure RESULT"),
        (2, {"save": "labels", "link": True}, "save objects, or leave link out"),
    ],
)
def test_objects_that_a_network_does_not_have_are_refused(classes, options, remedy, stack, tmp_path):
    model = saved(tmp_path / "model.safetensors", classes=classes)
    with pytest.raises(ConfigError, match=remedy):
        predict_files(model, [stack], tmp_path / "out.tif", **options)
