"""Export to TorchScript: a file that libtorch opens without Python."""

import io
import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from biounet.core.atomic_files import replacing
from biounet.core.errors import ConfigError
from biounet.export.pipeline import Pipeline, check_difference

__all__ = ["to_torchscript", "write_torchscript"]


def write_torchscript(pipeline: Pipeline, path: Path, *, overwrite: bool = False) -> float:
    """Write a TorchScript file with the card of the model as ``biounet.json`` in it.

    Parameters
    ----------
    pipeline : Pipeline
    path : Path
    overwrite : bool

    Returns
    -------
    float
        Largest difference from torch, read back, at three sizes.

    Raises
    ------
    ConfigError
        If the network cannot be one graph.
    """
    content, difference = to_torchscript(pipeline)
    with replacing(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(content)
    return difference


def to_torchscript(pipeline: Pipeline) -> tuple[bytes, float]:
    """Return the bytes of a TorchScript file, and its largest difference from torch."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the tracer warns of sizes that it takes for constants; the check decides
        try:
            traced = torch.jit.trace(  # type: ignore[no-untyped-call]
                pipeline, torch.from_numpy(pipeline.sample(pipeline.sizes()[0])), check_trace=False
            )
        except (RuntimeError, TypeError, ValueError) as error:
            line = " ".join(str(error).split())[:150]
            raise ConfigError(f"{pipeline.card.model.name} cannot be exported to TorchScript: {line}") from error

        def saved(facts: str) -> bytes:
            file = io.BytesIO()
            torch.jit.save(traced, file, _extra_files={"biounet.json": facts})
            return file.getvalue()

        again = torch.jit.load(io.BytesIO(saved("{}")))  # type: ignore[no-untyped-call]

        def run(image: NDArray[np.float32]) -> NDArray[np.float32]:
            result: NDArray[np.float32] = again(torch.from_numpy(image)).numpy()
            return result

        difference = check_difference(pipeline, run, "TorchScript")
        return saved(pipeline.facts(difference)), difference
