"""Export to ONNX: one file of opset 17 and IR 8, which ONNX Runtime from 1.13 on and readers in Java take."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from biounet.core.atomic_files import replacing
from biounet.core.errors import ConfigError, need
from biounet.export.pipeline import Pipeline, check_difference

__all__ = ["OPSET", "to_onnx", "write_onnx"]


OPSET = 17
"""The newest that ONNX Runtime 1.13 has, which deepImageJ ships."""


def write_onnx(pipeline: Pipeline, path: Path, *, overwrite: bool = False) -> float:
    """Write an ONNX file with the card of the model in its metadata.

    Parameters
    ----------
    pipeline : Pipeline
    path : Path
    overwrite : bool

    Returns
    -------
    float
        Largest difference from torch in ONNX Runtime at three sizes.

    Raises
    ------
    ConfigError
        If the network cannot be one graph.
    MissingExtraError
        If ``biounet[onnx]`` is not installed.
    """
    content, difference = to_onnx(pipeline)
    with replacing(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(content)
    return difference


def to_onnx(pipeline: Pipeline) -> tuple[bytes, float]:
    """Return the bytes of an ONNX file, and its largest difference from torch."""
    onnx, runtime = need("onnx"), need("onnxruntime")
    model = onnx.load_from_string(_traced(pipeline))
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

    def run(image: NDArray[np.float32]) -> NDArray[np.float32]:
        result: NDArray[np.float32] = session.run(None, {"image": image})[0]
        return result

    difference = check_difference(pipeline, run, "ONNX")
    onnx.helper.set_model_props(model, {"biounet": pipeline.facts(difference)})
    content: bytes = model.SerializeToString()
    return content, difference


def _traced(pipeline: Pipeline) -> bytes:
    """Trace the graph with free batch and spatial sizes."""
    axes: dict[str, Any] = {name: {0: "batch"} for name in ("image", "output")}
    for name in axes:
        axes[name] |= {axis: "zyx"[-len(pipeline.grid) :][axis - 2] for axis in range(2, 2 + len(pipeline.grid))}
    file: Any = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer warns of sizes that it takes for constants; the check decides
        try:
            torch.onnx.export(
                pipeline,
                (torch.from_numpy(pipeline.sample(pipeline.sizes()[0])),),
                file,
                input_names=["image"],
                output_names=["output"],
                dynamic_axes=axes,
                opset_version=OPSET,
                dynamo=False,  # the other exporter writes IR 10, which readers in Java refuse
            )
        except (RuntimeError, TypeError, ValueError) as error:
            line = " ".join(str(error).split())[:150]
            raise ConfigError(f"{pipeline.card.model.name} cannot be exported to ONNX: {line}") from error
    content: bytes = file.getvalue()
    return content
