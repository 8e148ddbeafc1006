"""What a training run will take: steps, seconds and memory, measured on a few steps before it starts."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from lightning_fabric import Fabric

from biounet.config import RunConfig
from biounet.footprint import resident_bytes
from biounet.patches import PatchSource
from biounet.update import State, train_step
from biounet.validation import Validation

__all__ = ["Forecast", "forecast"]

WATCHED = 0.005  # seconds between looks at the memory of the process


@dataclass(frozen=True)
class Forecast:
    """What a run will take.

    Examples
    --------
    >>> plan = Forecast(step_seconds=0.5, draw_seconds=0.1, validation_seconds=6.0, reports=10, memory=2**30)
    >>> plan.steps(minutes=6)                   # (360 - 10 * 6) / 0.6
    500
    >>> plan.minutes(steps=500)
    6.0
    >>> replace(plan, prepare_seconds=60.0).steps(minutes=6)    # a minute of which is gone before the first step
    400
    """

    step_seconds: float
    """Of one update."""
    draw_seconds: float
    """Of drawing its patches."""
    validation_seconds: float
    """Of one validation."""
    reports: int
    """How many validations there are."""
    memory: int
    """Most bytes that the process held, images included; on a GPU, most that tensors took."""
    prepare_seconds: float = 0.0
    """Of making the files that patches are cut from, where memory does not hold the images."""

    def steps(self, *, minutes: float) -> int:
        """Updates that minutes hold, at least one."""
        left = 60 * minutes - self.prepare_seconds - self.reports * self.validation_seconds
        return max(1, round(left / (self.step_seconds + self.draw_seconds)))

    def minutes(self, *, steps: int) -> float:
        """Minutes that updates take, validations included."""
        updates = steps * (self.step_seconds + self.draw_seconds)
        return (self.prepare_seconds + updates + self.reports * self.validation_seconds) / 60


def forecast(config: RunConfig, source: PatchSource, validation: Validation, *, fabric: Fabric) -> Forecast:
    """Measure what a run will take: three steps, and the validation of its largest image.

    Parameters
    ----------
    config : RunConfig
        Complete, as it will be trained with.
    source : PatchSource
    validation : Validation
    fabric : Fabric
        Of one process.

    Returns
    -------
    Forecast
    """
    state = State.begin(config, fabric.device)
    drawn, stepped = [], []
    with _watching(fabric.device) as most:
        for number in range(3):
            began = time.perf_counter()
            batch = source.batch(number)
            drawn.append(time.perf_counter() - began)
            train_step(state, batch, config.train, fabric=fabric, progress=0.5).item()
            stepped.append(time.perf_counter() - began - drawn[-1])
        seconds = 0.0
        if validation.items:
            largest = max(validation.items, key=lambda item: item.target.size)
            began = time.perf_counter()
            replace(validation, items=[largest])(state.average)
            share = sum(item.target.size for item in validation.items) / largest.target.size
            seconds = (time.perf_counter() - began) * share
    return Forecast(min(stepped[1:]), min(drawn[1:]), seconds, config.train.reports, most[0])


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
