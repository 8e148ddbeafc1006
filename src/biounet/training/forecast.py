"""What a training run will take: steps, seconds and memory, measured on a few steps before it starts."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from biounet.config import RunConfig
from biounet.core.memory import resident_bytes
from biounet.data.patches import PatchSampler
from biounet.training.step import State, train_step
from biounet.training.time_budget import plan
from biounet.training.validation import Validation

__all__ = ["Forecast", "forecast"]


STEPS, WARM = 4, 2  # that are measured, the first of which are slower, or find patches cut while others were slow

WATCHED = 0.005  # seconds between looks at the memory of the process


@dataclass(frozen=True)
class Forecast:
    """What a run will take, part by part.

    Examples
    --------
    >>> Forecast(
    ...     begin_seconds=20.0, steps=500, step_seconds=0.5, draw_seconds=0.1, reports=10, report_seconds=6.0,
    ...     finalising_seconds=40.0, memory=2**30
    ... ).minutes                                       # 20 + 500 * 0.6 + 10 * 6 + 40 seconds
    7.0
    """

    begin_seconds: float
    """Before the first step: images are read, the width is chosen, weight maps are made, files are written."""
    steps: int
    """How many updates are made, or are to be made."""
    step_seconds: float
    """Of one update."""
    draw_seconds: float
    """For which it waits for its patches."""
    reports: int
    """How many there are: fewer than was asked for, where they would eat the minutes."""
    report_seconds: float
    """Of one report: a validation, and to write the model and the state."""
    finalising_seconds: float
    """Of what follows the last step: statistics, calibration, rules of objects."""
    memory: int
    """Most bytes that the process held, images included; on a GPU, most that tensors took."""

    @property
    def training_seconds(self) -> float:
        """Of all updates."""
        return self.steps * (self.step_seconds + self.draw_seconds)

    @property
    def reporting_seconds(self) -> float:
        """Of all reports."""
        return self.reports * self.report_seconds

    @property
    def minutes(self) -> float:
        """In all."""
        return (self.begin_seconds + self.training_seconds + self.reporting_seconds + self.finalising_seconds) / 60


def forecast(
    config: RunConfig,
    source: PatchSampler,
    validation: Validation,
    finalising: Callable[[Validation, float], tuple[float, float]],
    *,
    fabric: Fabric,
    begin: float = 0.0,
    keep: Callable[[State], None] = lambda _: None,
) -> Forecast:
    """Measure what a run will take: four steps, and the validation of its smallest image and of its largest.

    Parameters
    ----------
    config : RunConfig
        Complete, as it will be trained with.
    source : PatchSampler
    validation : Validation
    finalising : (validation of one image, how many times as long all take) -> seconds as `time_budget.plan` has
    fabric : Fabric
        Of one process.
    begin : seconds that are gone before the first step
    keep : what a report does once it has validated: write the model and the state

    Returns
    -------
    Forecast
    """
    state = State.begin(config, fabric.device)
    waited, stepped = [], []
    with _watching(fabric.device) as most, closing(source.batches(0)) as batches:
        for _ in range(STEPS):
            began = time.perf_counter()
            batch = next(batches)
            waited.append(time.perf_counter() - began)
            train_step(state, batch, config.train, fabric=fabric, progress=0.5).item()
            stepped.append(time.perf_counter() - began - waited[-1])
        report, settled = 0.0, (0.0, 0.0)
        if validation.items:
            one, share = _validate(validation, state.average)
            report, settled = one.seconds * share, finalising(one, share)
        began = time.perf_counter()
        keep(state)
        report += time.perf_counter() - began
    step, draw = (min(seconds[WARM:]) for seconds in (stepped, waited))
    begin += max(0.0, waited[0] + stepped[0] - step - draw)  # of the first one
    whole = plan(config.train, step=step + draw, report=report, finalising=settled, gone=begin)
    return Forecast(begin, whole.steps, step, draw, whole.reports, report, whole.finalising, most[0])


def _validate(validation: Validation, net: nn.Module) -> tuple[Validation, float]:
    """Validate the largest image; return also how many times as long all take.

    A small image may take nearly as long as a large one, where the network looks far around it. Between the smallest
    and the largest, time is taken to grow with the number of pixels.
    """
    items = sorted(validation.items, key=lambda item: item.target.size)
    sizes, seconds = [item.target.size for item in items], dict[int, float]()
    ends = (items[0], items[-1]) if sizes[0] < sizes[-1] else items[-1:]
    for item in (items[0], *ends):  # what is compiled for the first one does not count
        seen = round(validation.seen_pixels * item.target.size / sum(sizes))
        one = replace(validation, items=[item], seen_pixels=seen)
        one.rehearse(net)
        seconds[item.target.size] = one.seconds
    whole = float(np.interp(sizes, list(seconds), list(seconds.values())).sum())
    return one, whole / max(one.seconds, 1e-9)


@contextmanager
def _watching(device: torch.device) -> Iterator[list[int]]:
    """Give the most memory that was held while the block ran, once it is over."""
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
