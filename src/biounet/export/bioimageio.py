"""Export to a bioimage.io package: a zip that Fiji (deepImageJ), QuPath, ilastik, BiaPy and others open.

The fields are those of format 0.5.9. Readers refuse fields that are younger than they are, so nothing newer is used.
Axes have no pixel size: JDLL, with which Fiji reads packages, takes the `scale` of an output for the ratio of its size
to that of the input. The pixel size stands in ``config.biounet`` and in the README.
"""

import hashlib
import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Picture

from biounet.core.atomic_files import replacing
from biounet.core.boxes import Box
from biounet.core.errors import ConfigError, need
from biounet.data.normalize import Normalization
from biounet.export.object_scripts import object_scripts
from biounet.export.onnx import OPSET, to_onnx
from biounet.export.package_readme import channel_names, package_readme
from biounet.export.pipeline import Pipeline
from biounet.export.torchscript import to_torchscript
from biounet.inference.tiles import read_mirrored
from biounet.io import open_lazily
from biounet.io.frames import frames_of

__all__ = ["preprocessing", "write_package"]


FORMAT = "0.5.9"
PAPER = {
    "text": "Ronneberger, Fischer and Brox 2015. U-Net: Convolutional Networks for Biomedical Image Segmentation.",
    "doi": "10.1007/978-3-319-24574-4_28",
}


def write_package(
    pipeline: Pipeline,
    path: Path,
    *,
    overwrite: bool = False,
    sample: Path | None = None,
    license: str = "",
    author: str = "",
    cite: str = "",
    name: str = "",
) -> float:
    """Write a bioimage.io package with ONNX and TorchScript weights, test tensors, a cover and a README.

    Parameters
    ----------
    pipeline : Pipeline
    path : Path
        A ``.zip``.
    overwrite : bool
    sample : Path
        An image that the package is tested on and shown with. None: drawn noise.
    license : SPDX name, such as ``CC-BY-4.0``
    author : str
    cite : DOI, or address of a web page
        What is to be cited beside the U-Net.
    name : str
        What the model is called; else what it was trained on says it.

    Returns
    -------
    float
        Largest difference from torch of the weights, read back.

    Raises
    ------
    ConfigError
        If licence or author are missing, `cite` is no DOI, or the network cannot be one graph.
    MissingExtraError
        If ``biounet[onnx]`` is not installed.
    """
    missing = [option for option, given in (("--license CC-BY-4.0", license), ("--author NAME", author)) if not given]
    if missing:
        raise ConfigError(f"a bioimage.io package names its licence and its author; give {' and '.join(missing)}")
    cited = [_citation(cite), PAPER] if cite else [PAPER]
    yaml = need("yaml")
    image = _sample(pipeline, sample)
    normalization = pipeline.card.normalization.measured(image)
    output = pipeline.expected(normalization.apply(image)[np.newaxis])
    onnx, difference = to_onnx(pipeline)
    script, other = to_torchscript(pipeline)
    files = {
        "weights.onnx": onnx,
        "weights.pt": script,
        "test_input.npy": _npy(image[np.newaxis].astype(np.float32)),
        "test_output.npy": _npy(output),
        "cover.png": _cover(image, output[0]),
    }
    if pipeline.card.task.numbered:
        files |= object_scripts(pipeline.card.object_rules, dims=len(pipeline.grid))
    largest = max(difference, other)
    name = name or _title(pipeline)
    files["README.md"] = package_readme(pipeline, largest, name=name).encode()
    about = {"name": name, "authors": [{"name": author}], "cite": cited, "license": license}
    described = _describe(pipeline, files, about)
    files["rdf.yaml"] = yaml.safe_dump(described, sort_keys=False, allow_unicode=True).encode()
    with (
        replacing(path, overwrite=overwrite) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as package,
    ):
        for file, content in files.items():
            package.writestr(file, content)
    return largest


def preprocessing(normalization: Normalization, axes: Sequence[str]) -> list[dict[str, Any]]:
    """What readers do to an image before the graph, in operations that those in Java have, too.

    >>> [step["id"] for step in preprocessing(Normalization(), ("y", "x"))]
    ['zero_mean_unit_variance', 'ensure_dtype']
    """
    steps: list[dict[str, Any]] = []
    if normalization.offset is not None and normalization.scale is not None:
        numbers: dict[str, Any] = {
            "mean": list(normalization.offset),
            "std": list(normalization.scale),
            "axis": "channel",
        }
        if len(normalization.offset) == 1:
            numbers = {"mean": normalization.offset[0], "std": normalization.scale[0]}
        steps.append({"id": "fixed_zero_mean_unit_variance", "kwargs": numbers})
    elif normalization.kind == "percentile":
        limits = {"min_percentile": normalization.low, "max_percentile": normalization.high}
        steps.append({"id": "scale_range", "kwargs": {"axes": list(axes), **limits}})
        steps.append({"id": "scale_linear", "kwargs": {"gain": normalization.span}})
    else:
        steps.append({"id": "zero_mean_unit_variance", "kwargs": {"axes": list(axes)}})
    if normalization.bounds is not None:
        steps.append({"id": "clip", "kwargs": {"min": normalization.bounds[0], "max": normalization.bounds[1]}})
    return [*steps, {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}}]


def _describe(pipeline: Pipeline, files: Mapping[str, bytes], about: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of ``rdf.yaml``."""
    card, axes = pipeline.card, "zyx"[-len(pipeline.grid) :]
    hashes = {file: {"source": file, "sha256": hashlib.sha256(content).hexdigest()} for file, content in files.items()}

    def tensor(ident: str, channels: Sequence[str], space: Sequence[dict[str, Any]], test: str) -> dict[str, Any]:
        listed = [{"type": "batch"}, {"type": "channel", "channel_names": list(channels)}, *space]
        return {"id": ident, "axes": listed, "test_tensor": hashes[test], "data": {"type": "float32"}}

    taken, given = [], []
    for axis, grid, halo in zip(axes, pipeline.grid, pipeline.halo, strict=True):
        taken.append({"type": "space", "id": axis, "size": {"min": 2 * halo + grid, "step": grid}})
        same = {"tensor_id": "image", "axis_id": axis}
        given.append({"type": "space", "id": axis, "size": same, "halo": halo})
    image = tensor("image", [f"channel{n}" for n in range(card.model.in_channels)], taken, "test_input.npy")
    image["preprocessing"] = preprocessing(card.normalization, axes)
    return {
        "format_version": FORMAT,
        "type": "model",
        **about,
        "description": f"{card.model.name} that learnt {card.target}, trained and exported by biounet {card.biounet}",
        "tags": ["unet", "segmentation", "biounet", f"{len(axes)}d"],
        "documentation": "README.md",
        "covers": ["cover.png"],
        "attachments": [content for file, content in hashes.items() if Path(file).stem == "objects"],
        "timestamp": datetime.now(UTC).isoformat(),
        "inputs": [image],
        "outputs": [tensor("output", channel_names(card), given, "test_output.npy")],
        "weights": {
            "onnx": {**hashes["weights.onnx"], "opset_version": OPSET},
            "torchscript": {
                **hashes["weights.pt"],
                "pytorch_version": torch.__version__.partition("+")[0],
                "parent": "onnx",
            },
        },
        "config": {
            "bioimageio": {"nickname": re.sub("[^a-z0-9]+", "-", about["name"].lower()).strip("-")},  # JDLL wants one
            "biounet": card.model_dump(mode="json", exclude={"training"}),
        },
    }


def _citation(cite: str) -> dict[str, str]:
    """An entry of ``cite``."""
    doi = re.fullmatch(r"(?:https?://(?:dx\.)?doi\.org/|doi:)?(10\.\d{4,9}/\S+)", cite)
    if doi is None and not re.fullmatch(r"https?://\S+", cite):
        raise ConfigError(f"--cite wants a DOI, as in 10.1038/s41586-024-00000-0, or a web address, got {cite!r}")
    return {"text": "This model and its data.", **({"doi": doi[1]} if doi else {"url": cite})}


def _sample(pipeline: Pipeline, path: Path | None) -> NDArray[Any]:
    """An image (C, *spatial) of the least size that readers may cut; of a film or stack the first frame."""
    size = pipeline.sizes()[0]
    if path is None:
        noise: NDArray[Any] = (100 + 20 * pipeline.sample(size)[0]).round().clip(0, 255)
        return noise
    model = pipeline.card.model
    with open_lazily(path) as source:
        frame = frames_of(source, dims=model.dims, channels=model.in_channels, name=path.name)[0]
        start = tuple((have - want) // 2 for have, want in zip(frame.shape[1:], size, strict=True))
        box = Box(start, tuple(at + want for at, want in zip(start, size, strict=True)))
        cut: NDArray[Any] = read_mirrored(frame, box)
    return cut


def _cover(image: NDArray[Any], output: NDArray[np.float32]) -> bytes:
    """The image beside what the network gives, as PNG."""
    shown = output[:1] if len(output) == 1 else 1 - output[:1]
    planes = [part[(0,) * (part.ndim - 2)].astype(np.float64) for part in (image, shown)]
    grey = [255 * (plane - plane.min()) / max(float(np.ptp(plane)), 1e-9) for plane in planes]
    file = io.BytesIO()
    Picture.fromarray(np.concatenate(grey, axis=1).round().astype(np.uint8)).save(file, "png")
    return file.getvalue()


def _npy(array: NDArray[Any]) -> bytes:
    """The bytes of a ``.npy`` file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _title(pipeline: Pipeline) -> str:
    """A name out of what is known."""
    return f"biounet {pipeline.card.model.name} for {pipeline.card.task.name}".replace("+", "p")
