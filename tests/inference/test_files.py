"""Prediction of arrays and files: axes, formats, names, bad input."""

import re
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from scipy.ndimage import uniform_filter1d

from biounet.config import ModelConfig
from biounet.config.object_rules import ObjectRules
from biounet.core.errors import (
    BatchError,
    ConfigError,
    ImageError,
    MemoryBudgetError,
    ModelFileError,
    OutputError,
    ShapeError,
)
from biounet.core.memory import resident_bytes
from biounet.data.normalize import Normalization
from biounet.inference.files import predict_files
from biounet.inference.model import load_model
from biounet.io import Image, read, write
from biounet.io.zarr_output import ZarrOutput
from biounet.models import build
from biounet.models.model_file import ModelCard, save_network
from biounet.segmentation import link_slices, number_apart
from biounet.segmentation.regions import BYTES_PER_PIXEL

SHARP = {"width": 4, "depth": 2, "padding": "same", "norm": "batch"}


class StoppedError(Exception):
    """Where a run is stopped."""


def save_model(path, *, target="classes", **settings):
    config = ModelConfig(**(SHARP | settings))
    save_network(path, build(config), ModelCard(model=config, normalization=Normalization(), target=target))
    return path


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 255, shape).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("models")
    save_model(path / "classes.safetensors")
    save_model(path / "objects.safetensors", target="foreground")
    save_model(path / "volumes.safetensors", dims=3, depth=1)
    save_model(path / "three.safetensors", classes=3, in_channels=2)
    return path


def predict(folder, model, *inputs, out, **options):
    return predict_files(folder / f"{model}.safetensors", list(inputs), out, **options)


def test_a_model_predicts_and_segments_arrays(folder):
    model = load_model(folder / "objects.safetensors")
    image = noise(40, 50)
    probabilities = model.predict(image)
    assert probabilities.shape == (2, 40, 50)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-6)
    labels = model.segment(image)
    assert labels.shape == (40, 50)
    np.testing.assert_array_equal(labels > 0, probabilities[1] > 0.5)


def test_results_do_not_depend_on_brightness_and_contrast(folder):
    model, image = load_model(folder / "classes.safetensors"), noise(40, 50)
    np.testing.assert_allclose(model.predict(image), model.predict(image * 7.0 - 3), atol=1e-4)


def test_a_stack_is_predicted_section_by_section(folder):
    model, stack = load_model(folder / "objects.safetensors"), noise(3, 40, 50)
    together = model.predict(stack)
    assert together.shape == (2, 3, 40, 50)
    np.testing.assert_array_equal(together[:, 1], model.predict(stack[1]))
    np.testing.assert_array_equal(model.segment(stack)[1] > 0, model.segment(stack[1]) > 0)


@pytest.mark.parametrize("shape", [(3, 40, 50), (40,), (2, 3, 40, 50)])
def test_arrays_of_other_axes_or_channels_are_refused(folder, shape):
    with pytest.raises(ShapeError, match="2 channels and 2 spatial axes"):
        load_model(folder / "three.safetensors").predict(noise(*shape))


@pytest.mark.parametrize("suffix", [".tif", ".png", ".zarr"])
@pytest.mark.parametrize("save", ["labels", "classes", "probabilities"])
def test_files_hold_what_arrays_give(folder, tmp_path, suffix, save):
    write(tmp_path / "in.tif", Image(noise(70, 50), "YX", (0.5, 0.25)))
    out = tmp_path / f"out{suffix}"
    options = {"out": out, "save": save, "tile": 32}
    if suffix == ".png" and save == "probabilities":
        with pytest.raises(OutputError, match=r"save it as \.tif"):
            predict(folder, "objects", tmp_path / "in.tif", **options)
        assert not out.exists()
        return
    assert predict(folder, "objects", tmp_path / "in.tif", **options) == [out]
    got = read(out, labels=save != "probabilities")
    assert got.axes == "YX"
    assert got.spacing == pytest.approx((0.5, 0.25), rel=1e-3)
    model = load_model(folder / "objects.safetensors")
    probabilities = model.predict(noise(70, 50))
    expected = {
        "labels": model.segment(noise(70, 50)),
        "classes": probabilities[1] > 0.5,
        "probabilities": probabilities[1],
    }[save]
    np.testing.assert_allclose(got.array, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("model", "shape", "axes", "result"),
    [
        ("classes", (2, 3, 40, 30), "TZYX", ((2, 3, 40, 30), "TZYX")),
        ("volumes", (2, 6, 40, 30), "TZYX", ((2, 6, 40, 30), "TZYX")),
        ("three", (2, 40, 30), "CYX", ((3, 40, 30), "CYX")),
        ("three", (2, 2, 3, 40, 30), "TCZYX", ((2, 3, 3, 40, 30), "TCZYX")),
    ],
)
@pytest.mark.parametrize("suffix", [".tif", ".zarr"])
def test_time_channels_and_sections(folder, tmp_path, model, shape, axes, result, suffix):
    array = noise(*shape)
    write(tmp_path / "in.tif", Image(array, axes))
    (out,) = predict(folder, model, tmp_path / "in.tif", out=tmp_path / f"o{suffix}", save="probabilities", tile=24)
    got = read(out)
    assert (got.array.shape, got.axes) == result
    network = load_model(folder / f"{model}.safetensors")
    if model == "three":
        first = array[0, :, 0] if axes == "TCZYX" else array
        written = got.array[0, :, 0] if axes == "TCZYX" else got.array
        np.testing.assert_allclose(written, network.predict(first), atol=1e-6)
    else:
        np.testing.assert_allclose(got.array[1], network.predict(array[1])[1], atol=1e-6)


def test_folders_keep_the_names_of_their_images(folder, tmp_path, caplog):
    caplog.set_level("INFO", "biounet")
    for name in ("b.tif", "a.png"):
        write(tmp_path / "in" / name, Image(noise(30, 30), "YX"))
    made = predict(folder, "classes", tmp_path / "in", out=tmp_path / "out")
    assert made == [tmp_path / "out" / "a.tif", tmp_path / "out" / "b.tif"]
    assert all(path.exists() for path in made)
    assert [line.split(":")[0] for line in caplog.messages] == ["a.png", "b.tif"]


def test_nothing_is_overwritten_unasked(folder, tmp_path):
    write(tmp_path / "in.tif", Image(noise(30, 30), "YX"))
    out = tmp_path / "out.tif"
    predict(folder, "classes", tmp_path / "in.tif", out=out)
    before = out.read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        predict(folder, "classes", tmp_path / "in.tif", out=out, save="probabilities")
    assert out.read_bytes() == before
    lines = []
    predict(folder, "classes", tmp_path / "in.tif", out=out, resume=True, report=lines.append)
    assert out.read_bytes() == before
    assert lines == [f"{out} is complete already"]
    predict(folder, "classes", tmp_path / "in.tif", out=out, save="probabilities", overwrite=True)
    assert read(out).array.dtype == np.float32


def test_the_plan_is_logged_and_verified(folder, tmp_path, caplog):
    caplog.set_level("INFO", "biounet")
    write(tmp_path / "in.tif", Image(noise(300, 280), "YX"))
    lines, shares = [], []
    predict(
        folder,
        "classes",
        tmp_path / "in.tif",
        out=tmp_path / "out.tif",
        tile=64,
        verify=True,
        report=lines.append,
        progress=lambda share, text: shares.append(share),
    )
    assert "300 x 280 px: 25 tiles of 64 x 64 px" in caplog.messages[0]
    assert float(re.search(r"differ by at most (\S+)", lines[0])[1]) <= 1e-5
    assert len(shares) == 25
    assert shares == sorted(shares)
    assert shares[-1] == 1


@pytest.mark.parametrize("options", [{"save": "probabilities"}, {"save": "labels", "confidence": True}])
def test_a_new_result_is_not_searched_for_chunks_before_the_first_tile(folder, tmp_path, monkeypatch, options):
    pytest.importorskip("zarr")
    write(tmp_path / "in.tif", Image(noise(9, 30, 30), "TYX"))
    looked = []
    holds = ZarrOutput.holds
    monkeypatch.setattr(ZarrOutput, "holds", lambda output, box: looked.append(box) or holds(output, box))

    def run(job, tasks, store, *, batch):
        next(iter(tasks))
        raise StoppedError

    with pytest.raises(StoppedError):
        predict(folder, "objects", tmp_path / "in.tif", out=tmp_path / "out.zarr", run=run, **options)
    assert all(box.start[0] == 0 for box in looked)


def test_bad_input_is_one_line_and_leaves_nothing(folder, tmp_path):
    good = tmp_path / "in.tif"
    write(good, Image(noise(30, 30), "YX"))
    out = tmp_path / "out.tif"
    cases = [
        (ModelFileError, "missing", folder / "nothing", good, {}),
        (ImageError, "no such file", folder / "classes.safetensors", tmp_path / "nothing.tif", {}),
        (ShapeError, "--axes", folder / "volumes.safetensors", good, {}),
        (MemoryBudgetError, "more --memory", folder / "classes.safetensors", good, {"memory": 2**20}),
        (ConfigError, "must be one of", folder / "classes.safetensors", good, {"save": "everything"}),
        (ConfigError, "precision", folder / "classes.safetensors", good, {"precision": "half"}),
    ]
    for error, words, model, image, options in cases:
        with pytest.raises(error, match=words) as caught:
            predict_files(model, [image], out, **options)
        assert "\n" not in str(caught.value)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["in.tif"]


def test_a_stack_whose_axes_cannot_be_told_asks_for_them(folder, tmp_path):
    path = tmp_path / "in.tif"
    tifffile.imwrite(path, noise(4, 5, 30, 30))
    with pytest.raises(ImageError, match="--axes"):
        predict(folder, "classes", path, out=tmp_path / "out.tif")
    (out,) = predict(folder, "classes", path, out=tmp_path / "out.tif", axes="TZYX")
    assert read(out).axes == "TZYX"


def test_wrong_channels_are_said(folder, tmp_path):
    write(tmp_path / "in.tif", Image(noise(3, 30, 30), "CYX"))
    with pytest.raises(ShapeError, match=r"takes 2 channels, the image has 3"):
        predict(folder, "three", tmp_path / "in.tif", out=tmp_path / "out.tif")


def test_nan_in_an_image_leaves_no_file(folder, tmp_path):
    image = noise(90, 90).astype(np.float32)
    image[80, 80] = np.nan
    tifffile.imwrite(tmp_path / "in.tif", image)
    with pytest.raises(ImageError, match="NaN"):
        predict(folder, "classes", tmp_path / "in.tif", out=tmp_path / "out.tif", tile=32)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.tif"]


def test_files_are_predicted_in_bfloat16_too(folder, tmp_path):
    """As a processor with AMX does by itself; where bfloat16 is imitated, the numbers are the same."""
    write(tmp_path / "a.png", Image(noise(40, 50), "YX"))
    results = []
    for precision in ("float32", "bfloat16"):
        out = tmp_path / f"{precision}.tif"
        predict(folder, "classes", tmp_path / "a.png", out=out, save="probabilities", precision=precision, verify=True)
        results.append(read(out).array)
    assert not np.array_equal(*results)
    np.testing.assert_allclose(*results, atol=0.05)


def test_the_least_memory_is_a_promise_that_is_kept(folder, tmp_path):
    write(tmp_path / "in.zarr", Image(noise(300, 400), "YX"))
    command = [sys.executable, "-c", "from biounet.cli import main; main()", "predict"]
    command += [folder / "classes.safetensors", tmp_path / "in.zarr", "--out", tmp_path / "out.zarr", "--memory"]
    refused = subprocess.run([*command, "100MiB"], stderr=subprocess.PIPE, text=True, check=False)
    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) == 1
    least = re.search(r"the smallest tile needs (\d+)MiB", refused.stderr)[1]
    # From a small process: the peak of a child counts from the fork, when it is as large as its parent.
    measure = "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:], stderr=subprocess.DEVNULL)"
    measure += "; print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"
    words = [sys.executable, "-c", measure, *command, f"{least}MiB"]
    measured = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)
    assert measured.returncode == 0
    assert int(measured.stdout.split()[-1]) * 1024 <= int(least) * 2**20


@pytest.mark.parametrize("target", ["foreground", "border", "distance"])
@pytest.mark.parametrize("suffix", [".tif", ".zarr"])
def test_objects_do_not_depend_on_tiles(tmp_path, target, suffix):
    if suffix == ".zarr":
        pytest.importorskip("zarr")
    rules = ObjectRules(
        target=target, foreground=0.4, seed={"foreground": 0.55, "border": 0.3, "distance": 0.6}[target]
    )
    config = ModelConfig(**SHARP, classes={"foreground": 2, "border": 3, "distance": 5}[target])
    card = ModelCard(model=config, normalization=Normalization(), target=target, rules=rules)
    save_network(tmp_path / "model.safetensors", build(config), card)
    image = noise(90, 75)
    write(tmp_path / f"in{suffix}", Image(image, "YX"))
    predict_files(tmp_path / "model.safetensors", [tmp_path / f"in{suffix}"], tmp_path / f"out{suffix}", tile=32)
    whole = load_model(tmp_path / "model.safetensors").segment(image)
    assert whole.max() > 3
    tiled = read(tmp_path / f"out{suffix}").array
    assert (tiled != whole).mean() < 0.01  # where a probability is at a threshold, rounding decides
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["model.safetensors", f"in{suffix}", f"out{suffix}"]
    )


def stack_of_spots(*shape):
    """Noise whose sections resemble their neighbours, so that objects go on from one to the next."""
    return uniform_filter1d(noise(*shape).astype(np.float32), 3, axis=-3).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".tif", ".zarr"])
@pytest.mark.parametrize("shape", [(5, 40, 50), (2, 3, 40, 50)])
def test_linked_files_are_linked_stacks(folder, tmp_path, suffix, shape):
    if suffix == ".zarr":
        pytest.importorskip("zarr")
    options = {"tile": 16, "region_memory": 16 * 16 * BYTES_PER_PIXEL}  # several regions
    array = stack_of_spots(*shape)
    source = tmp_path / f"in{suffix}"
    write(source, Image(array, "TZYX"[-len(shape) :]))
    model = load_model(folder / "objects.safetensors")
    files = {
        link: predict(folder, "objects", source, out=tmp_path / f"{link}{suffix}", link=link, **options)[0]
        for link in (False, True)
    }
    for frame, (apart, linked) in enumerate(zip(*(volumes(read(files[link]).array) for link in files), strict=True)):
        stack = volumes(array)[frame]
        single = np.stack([model.segment(section) for section in stack])
        np.testing.assert_array_equal(apart, number_apart(single))
        np.testing.assert_array_equal(linked, link_slices(apart))
        np.testing.assert_array_equal(linked, link_slices(single))
        np.testing.assert_array_equal(model.segment(stack), apart)
        np.testing.assert_array_equal(model.segment(stack, link=True), linked)
        assert linked.max() < apart.max(), "some objects go on"


def volumes(array):
    return array.reshape(-1, *array.shape[-3:])


def test_linking_goes_on_where_it_was_stopped(folder, tmp_path):
    pytest.importorskip("zarr")
    write(tmp_path / "in.tif", Image(stack_of_spots(5, 40, 50), "ZYX"))

    for link in (True, False):
        whole, out = tmp_path / f"whole{link}.zarr", tmp_path / f"out{link}.zarr"
        options = {"tile": 24, "link": link}
        predict(folder, "objects", tmp_path / "in.tif", out=whole, **options)

        def stop(share, text):
            if share > 0.7:
                raise StoppedError

        with pytest.raises(StoppedError):
            predict(folder, "objects", tmp_path / "in.tif", out=out, progress=stop, **options)
        assert 0 < len(list((out / "0").rglob("c/*/*/*"))) < len(list((whole / "0").rglob("c/*/*/*")))
        with pytest.raises(OutputError, match="link"):
            predict(folder, "objects", tmp_path / "in.tif", out=out, resume=True, **(options | {"link": not link}))
        predict(folder, "objects", tmp_path / "in.tif", out=out, resume=True, **options)
        np.testing.assert_array_equal(read(out).array, read(whole).array)
        assert not list(tmp_path.glob(".*"))


def test_what_cannot_be_linked_is_said(folder, tmp_path):
    write(tmp_path / "flat.tif", Image(noise(40, 50), "YX"))
    write(tmp_path / "stack.tif", Image(noise(8, 40, 50), "ZYX"))
    for model, name, options, said in (
        ("objects", "flat.tif", {}, "no sections to link"),
        ("classes", "stack.tif", {}, "labels of objects"),
        ("volumes", "stack.tif", {}, "labels of objects"),
        ("objects", "stack.tif", {"save": "probabilities"}, "labels of objects"),
    ):
        with pytest.raises((ConfigError, ShapeError), match=said):
            predict(folder, model, tmp_path / name, out=tmp_path / "out.tif", link=True, **options)
    assert not (tmp_path / "out.tif").exists()
    with pytest.raises(ConfigError, match="no objects to link"):
        load_model(folder / "classes.safetensors").segment(noise(3, 40, 50), link=True)
    with pytest.raises(ShapeError, match="no sections to link"):
        load_model(folder / "objects.safetensors").segment(noise(40, 50), link=True)


def test_what_must_be_decoded_at_once_counts_and_is_refused_by_name(folder, tmp_path):
    large, small, said = tmp_path / "large.tif", tmp_path / "small.tif", []
    tifffile.imwrite(large, np.zeros((16000, 20000), np.uint8), compression="zlib", rowsperstrip=16000)
    tifffile.imwrite(small, noise(64, 64))
    memory = resident_bytes() + 250 * 2**20  # for tiles, but not for the 305 MiB of the strip
    with pytest.raises(BatchError, match=r"large\.tif: a part of it .* give --memory \dGiB, or save it"):
        predict(folder, "classes", large, small, out=tmp_path / "out", memory=memory, report=said.append)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["small.tif"]
    with pytest.raises(ImageError, match=r"large\.tif"):
        predict(folder, "classes", large, out=tmp_path / "alone.zarr", memory=memory)
    assert not (tmp_path / "alone.zarr").exists()
