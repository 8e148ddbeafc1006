"""Packages have what JDLL, the reader of Fiji, implements: a lint of its rules, as its source of July 2026 has them.

Names in comments are its classes, in ``io.bioimage.modelrunner``. The files of a package are read by `test_export`.
"""

import re
import zipfile

import numpy as np
import pytest

from biounet.config import ModelConfig
from biounet.data.normalize import NORMALIZATIONS, Normalization
from biounet.export import export_model
from biounet.export.bioimageio import preprocessing
from biounet.export.package_readme import normalised_by_jdll
from biounet.models import build
from biounet.models.model_file import ModelCard, save_network

onnx = pytest.importorskip("onnx", reason="no ONNX: pip install 'biounet[onnx]'")
yaml = pytest.importorskip("yaml")
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")

SETTERS = {
    "binarize": {"threshold"},
    "clip": {"min", "max", "eps"},
    "ensure_dtype": {"dtype"},
    "fixed_zero_mean_unit_variance": {"mean", "std", "eps", "axes", "axis"},
    "scale_linear": {"gain", "offset", "eps", "axes", "axis"},
    "scale_range": {"min_percentile", "max_percentile", "eps", "axes", "axis", "reference_tensor"},
    "sigmoid": {"axes", "axis"},
    "zero_mean_unit_variance": {"mean", "std", "eps", "axes", "axis"},
}
"""transformations: an operation -> the arguments that it has a setter for. It has no others."""

CASES = {
    "plane": {},
    "objects": {"config": {"classes": 5}, "target": "distance", "spacing": (0.25, 0.25)},
    "volume": {"config": {"name": "unet3d", "dims": 3, "depth": 1}, "spacing": (2.0, 0.5, 0.5)},
    "colours": {"config": {"in_channels": 3}, "normalization": NORMALIZATIONS["percentile"]},
    "classes": {"config": {"classes": 4}, "normalization": Normalization(offset=(3.0,), scale=(2.0,))},
}


FIXED = Normalization(offset=(1.0,), scale=(3.0,))


@pytest.fixture(params=CASES)
def package(request, tmp_path):
    """A package, open."""
    known = {"normalization": Normalization()} | CASES[request.param]
    config = ModelConfig(**{"width": 2, "depth": 1, "padding": "same"} | known.pop("config", {}))
    save_network(tmp_path / "model.safetensors", build(config), ModelCard(model=config, **known))
    words = {"license": "MIT", "author": "A. Person", "cite": "https://doi.org/10.1000/182"}
    export_model(tmp_path / "model.safetensors", tmp_path / "model.zip", to="bioimageio", **words)
    with zipfile.ZipFile(tmp_path / "model.zip") as opened:
        yield opened


def described(package):
    return yaml.safe_load(package.read("rdf.yaml"))


def test_the_description_can_be_built(package):
    told = described(package)
    # ModelDescriptorV05: without one of these the constructor has no name, and ends with a NullPointerException.
    assert told.get("id") or re.fullmatch("[a-z0-9-]+", told["config"]["bioimageio"]["nickname"])
    # ModelDescriptor.buildModelDescription casts these to String.
    for field in ("format_version", "name", "description", "license", "documentation", "type"):
        assert isinstance(told[field], str)
    assert all(isinstance(text, str) for text in [*told["tags"], *told["covers"]])
    assert [set(entry) for entry in told["cite"]] == [{"text", "doi"}, {"text", "doi"}]
    assert told["cite"][0]["doi"] == "10.1000/182"


def test_axes_are_read_as_they_are_meant(package):
    told = described(package)
    (taken,), (given,) = told["inputs"], told["outputs"]
    by_name = {axis.get("id"): axis for axis in taken["axes"]}
    for tensor in (taken, given):
        kinds = [axis["type"] for axis in tensor["axes"]]
        assert kinds[:2] == ["batch", "channel"]
        assert set(kinds[2:]) == {"space"}
        assert all(isinstance(name, str) for name in tensor["axes"][1]["channel_names"])  # AxisV05: size() of it
    for axis in given["axes"][2:]:
        assert axis["size"] == {"tensor_id": taken["id"], "axis_id": axis["id"]}
        # TileMaker, TileCalculator and calculateTotalInputHalo multiply sizes by the scale of the output.
        assert axis.get("scale", 1.0) == 1.0
        size = by_name[axis["id"]]["size"]
        assert all(type(number) is int for number in (size["min"], size["step"], axis["halo"]))
        assert size["min"] > 2 * axis["halo"]  # TileMaker.validateTileVsHalo
        assert axis["halo"] % size["step"] == size["min"] % size["step"] == 0  # blocks then begin on the grid


def test_files_are_in_the_package(package):
    told, names = described(package), set(package.namelist())
    weights = told["weights"]
    sources = [entry["source"] for entry in (*weights.values(), *told["attachments"])]
    sources += [tensor["test_tensor"]["source"] for tensor in (*told["inputs"], *told["outputs"])]
    assert names >= {*sources, *told["covers"], told["documentation"]}
    model = onnx.load_from_string(package.read(weights["onnx"]["source"]))
    assert weights["onnx"]["opset_version"] == model.opset_import[0].version <= 17  # ONNX Runtime 1.13.1 at most
    assert model.ir_version <= 8
    assert re.fullmatch(r"\d+\.\d+\.\d+", weights["torchscript"]["pytorch_version"])
    for tensor in (*told["inputs"], *told["outputs"]):
        assert np.load(package.open(tensor["test_tensor"]["source"])).dtype == np.float32


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "normalization",
    [*NORMALIZATIONS.values(), Normalization(offset=(1.0,), scale=(3.0,))],
    ids=["z", "percentile", "fixed"],
)
def test_operations_have_the_arguments_that_java_sets(normalization, channels):
    if normalization.offset is not None:
        normalization = Normalization(offset=(1.0,) * channels, scale=(3.0,) * channels)
    steps = preprocessing(normalization, ("y", "x"))
    for step in steps:
        assert set(step["kwargs"]) <= SETTERS[step["id"]]
        values = [value for key, value in step["kwargs"].items() if key not in ("axes", "axis", "dtype")]
        assert all(isinstance(value, int | float | list) for value in values)
    card = ModelCard(model=ModelConfig(in_channels=channels), normalization=normalization)
    # FixedZeroMeanUnitVariance and ZeroMeanUnitVariance go wrong where channels have their own mean and deviation.
    own = steps[0]["id"].endswith("zero_mean_unit_variance") and channels > 1
    assert normalised_by_jdll(card) is not own
