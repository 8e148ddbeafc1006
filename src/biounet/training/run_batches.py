"""The batches of a run: from some samples, and in its second part from others."""

from collections.abc import Callable
from typing import Protocol

from lightning_fabric import Fabric
from torch import nn

from biounet.data.patches import Batch, PatchSampler
from biounet.training.step import State

__all__ = ["Later", "RunBatches"]


class Later(Protocol):
    """Samples that a run draws from in its second part, such as `biounet.training.guessed_labels.GuessedLabels`."""

    @property
    def after(self) -> float:
        """Share of the run after which they are made."""

    def begun(self, step: int) -> PatchSampler | None:
        """The samples of a run that goes on at a step; None if they were not made by then."""

    def begin(self, net: nn.Module, step: int) -> tuple[PatchSampler, str]:
        """Make them at a step, by the running average of the weights; and a line about them."""

    @property
    def takes_last(self) -> bool:
        """Whether, once they are made, the last network is kept, since too little is held out to tell a better one."""


class RunBatches:
    """The batches of a run, from the samples of its first and its second part, and how long steps wait for them."""

    def __init__(
        self, source: PatchSampler, later: Later | None, state: State, fabric: Fabric, clock: Callable[[], float]
    ) -> None:
        known = later.begun(state.step) if later else None
        self._later, self._state, self._clock = None if known else later, state, clock
        self.takes_last = bool(known and later and later.takes_last)
        self._of_process = {"rank": fabric.global_rank, "ranks": fabric.world_size}
        self._batches = (known or source).batches(state.step, **self._of_process)
        self.waited = 0.0
        """Seconds that steps waited for their patches; to be set back."""

    def draw(self, progress: float) -> tuple[Batch, str]:
        """The next batch, at a share of the run; and a line where the second part begins."""
        told = ""
        if self._later is not None and progress >= self._later.after:
            self._batches.close()
            source, told = self._later.begin(self._state.average, self._state.step)
            self.takes_last = self._later.takes_last
            self._batches, self._later = source.batches(self._state.step, **self._of_process), None
        asked = self._clock()
        batch = next(self._batches)
        self.waited += self._clock() - asked
        return batch, told
