"""Models for other programs: one table of exporters, each of which reads back what it wrote and compares it with torch.

An exported file holds the whole path from normalised pixels to probabilities: the mirrored margin, the network, the
smoothing, the temperature and the soft-max. So input and output have one size, and the numbers are those of
``biounet predict --precision float32``.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from biounet.core.atomic_files import remove_parts
from biounet.core.errors import ConfigError, OutputError
from biounet.core.output_lock import holding
from biounet.core.overwriting import Inputs
from biounet.core.places import check_output
from biounet.export.bioimageio import write_package
from biounet.export.onnx import write_onnx
from biounet.export.pipeline import Pipeline, load_pipeline
from biounet.export.torchscript import write_torchscript
from biounet.inference.ensemble import member_files

__all__ = ["EXPORTERS", "Pipeline", "export_model"]


EXPORTERS: Mapping[str, Callable[..., float]] = MappingProxyType(
    {"bioimageio": write_package, "onnx": write_onnx, "torchscript": write_torchscript}
)
"""Name of a format -> function of a pipeline and a path that writes the file and returns its difference from torch."""


def export_model(model: Path | str, out: Path | str, *, to: str, overwrite: bool = False, **options: object) -> float:
    """Write a trained model for another program.

    Parameters
    ----------
    model : Path
        A model file or a run. A folder of folds becomes one graph that averages their probabilities.
    out : Path
        The file to write: ``.onnx``, ``.pt``, or ``.zip`` for bioimage.io.
    to : key of `EXPORTERS`
    overwrite : bool
        Whether a file that exists is replaced.
    options
        Those of the exporter, such as `sample` and `license` of a bioimage.io package.

    Returns
    -------
    float
        Largest difference of a probability between the file, read back in the runtime that it is for, and torch.

    Raises
    ------
    ConfigError
        If there is no such format, or the model cannot be one graph.
    OutputError
        If `out` exists and may not be replaced, or has the suffix of a model file of biounet.
    ModelFileError
        If `model` is no model.
    """
    if to not in EXPORTERS:
        raise ConfigError(f"a model can be exported to {', '.join(EXPORTERS)}, got {to!r}")
    out = Path(out)
    check_output(out, file=True)
    if out.suffix == ".safetensors":
        raise OutputError(f"{out} would be taken for a model of biounet; choose another name, such as {out.stem}.onnx")
    sample = options.get("sample")
    read = Inputs({"the model": member_files(Path(model)), "the sample": [Path(str(sample))] if sample else []})
    with holding([out]):
        read.check(out, overwrite=overwrite, kind="ONNX" if to == "onnx" else "zip")
        remove_parts([out])
        return EXPORTERS[to](load_pipeline(Path(model)), out, overwrite=overwrite, **options)
