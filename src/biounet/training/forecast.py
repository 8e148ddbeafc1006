"""Steps, seconds and memory that a training run will take, measured on a few steps before it starts."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import nn

from biounet.config import RunConfig
from biounet.core.memory import freed_memory_kept, resident_bytes
from biounet.data.patches import PatchSampler
from biounet.training.step import State, train_step
from biounet.training.time_budget import TimeToFinalise, plan
from biounet.training.validation import Validation, ValidationResult, predict, score

__all__ = ["Forecast", "forecast"]


STEPS, WARM = 4, 2
"""Steps that are measured, and how many of them do not count: the first are slower, or find patches cut in advance."""

WATCHED = 0.005
"""Seconds between measurements of the memory of the process."""


@dataclass(frozen=True)
class Forecast:
    """Time and memory of a training run, part by part.

    Examples
    --------
    >>> Forecast(
    ...     begin_seconds=20.0, steps=500, step_seconds=0.5, draw_seconds=0.1, reports=10, report_seconds=6.0,
    ...     finalising_seconds=40.0, memory=2**30
    ... ).minutes                                       # 20 + 500 * 0.6 + 10 * 6 + 40 seconds
    7.0
    """

    begin_seconds: float
    """Time before the first step: images are read, the width is chosen, weight maps are made, files are written."""
    steps: int
    """Number of updates."""
    step_seconds: float
    """Duration of one update."""
    draw_seconds: float
    """Time that one update waits for its patches."""
    reports: int
    """Number of reports: fewer than asked for, where they would take too many of the minutes."""
    report_seconds: float
    """Duration of one report: a validation, and to write the model and a checkpoint."""
    finalising_seconds: float
    """Time between the last step and the end: statistics, calibration, rules of objects."""
    memory: int
    """Most bytes that the process held, images included; on a GPU, most that tensors took."""

    @property
    def training_seconds(self) -> float:
        """Duration of all updates."""
        return self.steps * (self.step_seconds + self.draw_seconds)

    @property
    def reporting_seconds(self) -> float:
        """Duration of all reports."""
        return self.reports * self.report_seconds

    @property
    def minutes(self) -> float:
        """Duration of the run."""
        return (self.begin_seconds + self.training_seconds + self.reporting_seconds + self.finalising_seconds) / 60


def forecast(
    config: RunConfig,
    source: PatchSampler,
    validation: Validation,
    *,
    fabric: Fabric,
    begin: float = 0.0,
    write: Callable[[State], None] = lambda _: None,
    clock: Callable[[], float] = time.perf_counter,
) -> Forecast:
    """Time and memory of a run, measured on four steps and on the validation of its smallest and its largest image.

    Parameters
    ----------
    config : RunConfig
        Complete, as it will be trained with.
    source : PatchSampler
    validation : Validation
    fabric : Fabric
        Of one process.
    begin : seconds before the first step
    write : (State) -> None
        Writes the files of a report: the model and a checkpoint.
    clock : () -> seconds

    Returns
    -------
    Forecast
    """
    state = State.begin(config, fabric.device)
    waited, stepped = [], []
    with freed_memory_kept(), _watching(fabric.device) as most, closing(source.batches(0)) as batches:
        for _ in range(STEPS):
            began = clock()
            batch = next(batches)
            waited.append(clock() - began)
            train_step(state, batch, config.train, fabric=fabric, progress=0.5).item()
            stepped.append(clock() - began - waited[-1])
        report, finalising = _validate(validation, state.average) if validation.images else (0.0, TimeToFinalise())
        began = clock()
        write(state)
        report += clock() - began
    step, draw = (min(seconds[WARM:]) for seconds in (stepped, waited))
    begin += max(0.0, waited[0] + stepped[0] - step - draw)  # of the first one
    whole = plan(config.train, step=step + draw, report=report, finalising=finalising, setup=begin)
    return Forecast(begin, whole.steps, step, draw, whole.reports, report, whole.finalising, most[0])


def _validate(validation: Validation, net: nn.Module) -> tuple[float, TimeToFinalise]:
    """Seconds of a validation of all held-out images, and of the end of the run, measured on one image or two.

    A small image may take nearly as long as a large one, where the network sees far around it. Between the smallest
    and the largest image, the time grows linearly with the number of pixels.
    """
    images = sorted(validation.images, key=lambda image: image.target.size)
    sizes, seconds = [image.target.size for image in images], dict[int, float]()
    ends = (images[0], images[-1]) if sizes[0] < sizes[-1] else images[-1:]
    for image in (images[0], *ends):  # the first image is repeated, since functions are compiled for it
        pixels = round(validation.tuning_pixels * image.target.size / sum(sizes))
        result = _score_as_trained(net, replace(validation, images=[image], tuning_pixels=pixels))
        seconds[image.target.size] = result.seconds
    whole = float(np.interp(sizes, list(seconds), list(seconds.values())).sum())
    return whole, result.finalising.scaled(whole / max(result.seconds, 1e-9))


def _score_as_trained(net: nn.Module, validation: Validation) -> ValidationResult:
    """Scores as if a network that has just begun predicted the truth, since a trained one has more objects to score."""
    predictions = predict(net, validation)
    if validation.target_normalization is None:
        pairs = zip(validation.images, predictions.probabilities, strict=True)
        certain = [_certain(image.target, len(given)) for image, given in pairs]
        predictions = replace(predictions, probabilities=certain)
    return score(predictions, validation)


def _certain(target: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """Probabilities (classes, *spatial) of a network that is sure of the truth; unknown pixels are background."""
    given: NDArray[np.float32] = np.zeros((classes, *target.shape), np.float32)
    np.put_along_axis(given, np.maximum(target, 0)[None], 1.0, axis=0)
    return given


@contextmanager
def _watching(device: torch.device) -> Iterator[list[int]]:
    """The most bytes that were held while the block ran, in a list that is filled when it ends."""
    most = [resident_bytes()]
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        yield most
        most[0] = torch.cuda.max_memory_allocated(device)
        return
    over = threading.Event()

    def watch() -> None:
        while not over.wait(WATCHED):
            most[0] = max(most[0], resident_bytes())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield most
    finally:
        over.set()
        watcher.join()
