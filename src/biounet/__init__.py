"""U-Net for microscopy: train on a few annotated images, predict images of any size, score as the field does.

Examples
--------
>>> import biounet
>>> model = biounet.train("dataset", "run", minutes=20)             # doctest: +SKIP
>>> model = biounet.load_model("run")                               # doctest: +SKIP
>>> probabilities = model.predict("image.tif")                      # doctest: +SKIP
>>> labels = model.segment("image.tif")                             # doctest: +SKIP
>>> table = biounet.measure(labels, "image.tif")                    # doctest: +SKIP
>>> scores = biounet.evaluate("result", "truth").scores             # doctest: +SKIP
"""

import importlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from biounet.config import RunConfig
    from biounet.evaluation import evaluate
    from biounet.inference.model import Model, load_model
    from biounet.measurement.measure import measure
    from biounet.training.monitor import Monitor

__version__ = "0.2.0"
__all__ = ["Model", "__version__", "evaluate", "load_model", "measure", "train"]

_ROOMS = {
    "Model": "biounet.inference.model",
    "evaluate": "biounet.evaluation",
    "load_model": "biounet.inference.model",
    "measure": "biounet.measurement.measure",
}
"""Names that are imported when they are first used, so that importing biounet is quick, and the modules they are in."""


def train(
    dataset: str | Path | None,
    out: str | Path,
    *,
    images: str | Path | None = None,
    labels: str | Path | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    settings: "Mapping[str, Any] | RunConfig" = MappingProxyType({}),
    init: str | Path | None = None,
    device: str = "auto",
    resume: bool = False,
    report: bool = True,
    tensorboard: bool = False,
    monitor: "Monitor | None" = None,
) -> "Model":
    """Train a network on annotated images; the command ``biounet train`` does the same.

    Parameters
    ----------
    dataset : str or Path
        A folder of images and labels; None where `images` and `labels` are given.
    out : str or Path
        Folder of the run: ``model.safetensors``, ``config.toml``, ``log.csv``, ``report.html`` and ``last/`` are
        written into it. It must be new or empty, unless `resume` is given.
    images, labels : str or Path
        Two folders in place of a dataset; names of labels may end in ``_mask`` and the like.
    minutes : wall-clock budget
        20, if neither minutes nor steps are given.
    steps : number of updates, for runs that repeat exactly
    settings : ``{"train.batch": 4, ...}``
        What differs from the preset ``default``, or from the settings of the run to resume; or a whole
        `biounet.config.RunConfig`. Settings that are not given are chosen from the images; ``config.toml`` has the
        reasons, and the logger ``biounet`` takes them.
    init : str or Path
        Model to begin with: a model file, the folder of a run, or the name of a shipped model. Its architecture and
        all weights that fit are taken over, see `biounet.training.starting_model`.
    device : auto, cpu, cuda or cuda:N
    resume : bool
        Go on with the run in `out`, which must have been made from the same settings and images. More `minutes` or
        `steps` than at first make it longer.
    report : bool
        Keep ``report.html`` up to date, and say what looks wrong with the run.
    tensorboard : bool
        Write curves for TensorBoard, too.
    monitor : Monitor
        Takes lines and progress, and may stop the run. None: lines are printed.

    Returns
    -------
    Model
        The best network on the held-out images, as `load_model` gives it.

    Raises
    ------
    ConfigError
        If a setting is unknown, out of range, or does not suit the images.
    DatasetError, ImageError, LabelError, ShapeError
        If the dataset cannot be read, or has nothing to learn from.
    OutputError
        If `out` holds something already.
    TrainingError
        If there is nothing to resume, or the run cannot go on; a `biounet.training.monitor.StoppedError` if the
        monitor has stopped the run.
    """
    import time

    began = time.monotonic()
    from biounet.config import RunConfig
    from biounet.config.resolve import resolve_settings
    from biounet.core.errors import DatasetError, OutputError
    from biounet.core.places import path_of
    from biounet.data.layouts import dataset_path
    from biounet.inference.model import load_model
    from biounet.report.run_report import RunReport
    from biounet.training.distributed import connected
    from biounet.training.monitor import PrintingMonitor, StoppedError, train_run
    from biounet.training.prepare import begin_run, check_settings
    from biounet.training.starting_model import StartingModel

    if dataset is not None:
        dataset = path_of(dataset, DatasetError, what="a dataset")
    dataset = dataset_path(dataset, images, labels)
    out = path_of(out, OutputError, what="a folder for the run")
    whole = isinstance(settings, RunConfig)
    start = StartingModel.of(init).settings if init is not None else {}
    begun = out if resume and not whole else None
    config = resolve_settings(settings, resume=begun, minutes=minutes, steps=steps, start=start)
    if not resume:
        check_settings(config)
    follower = monitor or PrintingMonitor(again=f"biounet.train({str(dataset)!r}, {str(out)!r}, resume=True)")
    with connected():
        run = begin_run(dataset, out, config, device=device, began=began, resume=resume)
        stopped = train_run(
            run, follower, resume=resume, tensorboard=tensorboard, write_report=RunReport() if report else None
        )
    if stopped:
        raise StoppedError(f"the run in {out} was stopped ({stopped}); go on with resume=True")
    return load_model(out)


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name not in _ROOMS:
        raise AttributeError(f"module 'biounet' has no attribute {name!r}")
    return getattr(importlib.import_module(_ROOMS[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
