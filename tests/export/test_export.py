"""Exported models: every architecture gives, in the runtime that the file is for, what biounet predicts."""

import json
import zipfile

import numpy as np
import pytest
import tifffile
import torch
from torch import nn

from biounet.config import ModelConfig
from biounet.core.errors import ConfigError, OutputError
from biounet.data.normalize import Normalization
from biounet.export import EXPORTERS, export_model
from biounet.export.pipeline import Pipeline, load_pipeline
from biounet.io import Image, write
from biounet.models import MODELS, build
from biounet.models.model_file import ModelCard, save_network

onnxruntime = pytest.importorskip("onnxruntime", reason="no ONNX Runtime: pip install 'biounet[onnx]'")
SETTINGS = {"attention-unet": {"depth": 2}, "sliding-window": {"norm": "none"}}
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.load. is:DeprecationWarning")
OF_PACKAGE = {"license": "CC0-1.0", "author": "A. Person"}


def alive(net: nn.Module) -> nn.Module:
    """Draw the weights that are 0 until something is learnt."""
    for weight in net.parameters():
        if not weight.any():
            nn.init.normal_(weight, std=0.1, generator=torch.Generator().manual_seed(1))
    return net.eval()


def save(path, *, seed=0, config=None, **card):
    config = config or ModelConfig(width=4, depth=2, padding="same")
    known = {"model": config, "normalization": Normalization(), "temperature": 1.5, "smoothing": 1} | card
    save_network(path, alive(build(config, seed=seed)), ModelCard(**known))
    return path


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("to", [to for to in EXPORTERS if to != "bioimageio"])  # a package holds the others
def test_every_architecture_is_exported(tmp_path, name, to):
    settings = {"name": name, "width": 8, "depth": 1} | SETTINGS.get(name, {})
    config = ModelConfig(**settings, dims=3 if name == "unet3d" else 2)
    images = {"target": "image", "target_normalization": Normalization(offset=(1.0, 2.0), scale=(3.0, 4.0))}
    path = save(tmp_path / "model.safetensors", config=config, **(images if name == "pix2pix" else {}))
    assert export_model(path, tmp_path / f"model.{to}", to=to) < 1e-5


def test_one_graph_takes_any_size_and_batch(tmp_path):
    path, out = save(tmp_path / "model.safetensors"), tmp_path / "model.onnx"
    export_model(path, out, to="onnx")
    session = onnxruntime.InferenceSession(out.read_bytes(), providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).normal(size=(2, 1, 57, 91)).astype(np.float32)
    (both,) = session.run(None, {"image": image})
    assert both.shape == (2, 2, 57, 91)
    np.testing.assert_allclose(both.sum(axis=1), 1, atol=1e-5)
    for one, expected in zip(image, both, strict=True):
        np.testing.assert_allclose(session.run(None, {"image": one[None]})[0][0], expected, atol=1e-6)


def test_folds_become_one_graph_that_averages(tmp_path):
    for number in range(2):
        save(tmp_path / "run" / f"fold-{number}" / "model.safetensors", seed=number)
    assert export_model(tmp_path / "run", tmp_path / "model.pt", to="torchscript") < 1e-5
    net = torch.jit.load(tmp_path / "model.pt")
    image = torch.randn(1, 1, 60, 60, generator=torch.Generator().manual_seed(0))
    members = []
    for number in range(2):
        export_model(tmp_path / "run" / f"fold-{number}", tmp_path / f"{number}.pt", to="torchscript")
        members.append(torch.jit.load(tmp_path / f"{number}.pt")(image))
    torch.testing.assert_close(net(image), (members[0] + members[1]) / 2)


def test_members_that_normalise_apart_are_refused(tmp_path):
    save(tmp_path / "run" / "fold-0" / "model.safetensors")
    fixed = Normalization(offset=(1.0,), scale=(2.0,))
    save(tmp_path / "run" / "fold-1" / "model.safetensors", normalization=fixed)
    with pytest.raises(ConfigError, match="normalise images in different ways"):
        export_model(tmp_path / "run", tmp_path / "model.pt", to="torchscript")
    assert not (tmp_path / "model.pt").exists()


def test_a_file_says_what_it_is(tmp_path):
    path = save(tmp_path / "model.safetensors", target="distance", config=ModelConfig(width=4, depth=1, classes=4))
    export_model(path, tmp_path / "model.onnx", to="onnx")
    session = onnxruntime.InferenceSession((tmp_path / "model.onnx").read_bytes(), providers=["CPUExecutionProvider"])
    told = json.loads(session.get_modelmeta().custom_metadata_map["biounet"])
    assert told["card"]["target"] == "distance"
    assert told["grid"] == [2, 2]
    assert told["halo"][0] % 2 == 0
    assert told["largest_difference_from_torch"] < 1e-5
    export_model(path, tmp_path / "model.pt", to="torchscript")
    files = {"biounet.json": ""}
    torch.jit.load(tmp_path / "model.pt", _extra_files=files)
    assert json.loads(files["biounet.json"])["card"] == told["card"]


@pytest.mark.parametrize("to", EXPORTERS)
def test_nothing_is_replaced_unless_asked(tmp_path, to):
    path, out = save(tmp_path / "model.safetensors"), tmp_path / "out"
    out.write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        export_model(path, out, to=to, **(OF_PACKAGE if to == "bioimageio" else {}))
    assert out.read_text() == "mine"


def test_bad_input_is_said_in_one_line(tmp_path, command):
    path, package = save(tmp_path / "model.safetensors"), ("--to", "bioimageio", "--license", "MIT", "--author", "me")
    for words, said in (
        ([path, "--to", "onx"], f"{', '.join(EXPORTERS)}, got 'onx'"),
        ([path, "--to", "bioimageio"], "--license CC-BY-4.0 and --author NAME"),
        ([path, "--to", "onnx", "--author", "me"], "are of bioimage.io packages"),
        ([path, *package, "--cite", "my paper"], "--cite wants a DOI, as in 10.1038/"),
        ([tmp_path / "nothing", "--to", "onnx"], "is missing; give a model file"),
    ):
        status, _, error = command("export", *words, "--out", tmp_path / "out")
        assert status == 2
        assert said in error
        assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_network_that_differs_is_not_written(tmp_path, monkeypatch):
    path = save(tmp_path / "model.safetensors")
    monkeypatch.setattr(Pipeline, "expected", lambda self, image: np.zeros((1, 2, *image.shape[2:]), np.float32))
    with pytest.raises(ConfigError, match="read back, it differs from biounet by"):
        export_model(path, tmp_path / "model.pt", to="torchscript")
    assert not (tmp_path / "model.pt").exists()


def test_a_package_holds_what_readers_want(tmp_path):
    yaml = pytest.importorskip("yaml")
    config = ModelConfig(width=4, depth=2, padding="same", in_channels=3, classes=3)
    path = save(tmp_path / "model.safetensors", config=config, target="border", spacing=(0.5, 0.25))
    pixels = np.random.default_rng(0).integers(0, 255, (3, 70, 90)).astype(np.uint8)
    write(tmp_path / "image.png", Image(pixels, "CYX"))
    export_model(path, tmp_path / "model.zip", to="bioimageio", sample=tmp_path / "image.png", **OF_PACKAGE)
    with zipfile.ZipFile(tmp_path / "model.zip") as package:
        described = yaml.safe_load(package.read("rdf.yaml"))
        image, output = (np.load(package.open(f"test_{which}.npy")) for which in ("input", "output"))
        weights = package.read("weights.onnx")
        readme = package.read("README.md").decode()
        assert set(package.namelist()) >= {"cover.png", "weights.pt", "objects.ijm", "objects.groovy"}
    (taken,), (given,) = described["inputs"], described["outputs"]
    y = taken["axes"][2]
    assert described["config"]["biounet"]["spacing"] == [0.5, 0.25]
    assert "0.5 x 0.25 micrometres per pixel" in readme
    halo = given["axes"][2]["halo"]
    assert halo % y["size"]["step"] == 0, "or blocks begin between poolings"
    assert y["size"]["min"] == 2 * halo + y["size"]["step"]
    assert given["axes"][1]["channel_names"] == ["background", "interior", "border"]
    mean, deviation = (getattr(image, name)(axis=(2, 3), keepdims=True) for name in ("mean", "std"))
    session = onnxruntime.InferenceSession(weights, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"image": (image - mean) / (deviation + 1e-6)})
    np.testing.assert_allclose(found, output, atol=1e-4)


@pytest.mark.parametrize(
    ("axes", "shape"), [("TZCYX", (2, 5, 2, 30, 40)), ("ZCYX", (2, 2, 30, 40)), ("ZYX", (3, 30, 40))]
)
def test_a_package_is_tested_on_the_first_frame_of_a_sample(tmp_path, axes, shape):
    pytest.importorskip("yaml")
    path = save(tmp_path / "model.safetensors", config=ModelConfig(width=2, depth=1, padding="same", in_channels=2))
    pixels = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    tifffile.imwrite(tmp_path / "image.tif", pixels, imagej=True, metadata={"axes": axes})
    export_model(path, tmp_path / "model.zip", to="bioimageio", sample=tmp_path / "image.tif", **OF_PACKAGE)
    with zipfile.ZipFile(tmp_path / "model.zip") as package:
        (image,) = np.load(package.open("test_input.npy"))
    first = pixels.reshape(-1, 30, 40)[: 2 if "C" in axes else 1]
    np.testing.assert_array_equal(image, np.broadcast_to(first, (2, 30, 40))[:, 4:26, 9:31])


def test_neither_a_folder_nor_a_model_is_replaced(tmp_path):
    path = save(tmp_path / "model.safetensors")
    for out, message in ((tmp_path, "is a folder"), (path, "would be taken for a model of biounet")):
        with pytest.raises(OutputError, match=message):
            export_model(path, out, to="torchscript", overwrite=True)
    assert load_pipeline(path).card.temperature == 1.5
