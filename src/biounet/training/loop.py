"""Training: a plain loop that yields after every step; the caller prints, plots or stops.

A run is a function of its settings and its data: patches, drop-out and schedule follow from the number
of the step, so a run that was killed and resumed ends with the same bytes as one that was not.
"""

import math
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from biounet.config import RunConfig
from biounet.core.errors import ImageError, TrainingError
from biounet.data.patches import PatchSampler
from biounet.models.model_file import ModelCard, save_network
from biounet.training.distributed import broadcast
from biounet.training.run_batches import Later, RunBatches
from biounet.training.run_folder import add_row, cut_log
from biounet.training.starting_model import first_weights
from biounet.training.step import State, train_step
from biounet.training.time_budget import TimeBudget, TimeToFinalise
from biounet.training.validation import ValidationResult

__all__ = ["Intervals", "Report", "State", "Step", "Validate", "fit", "train_step"]


Validate = Callable[[nn.Module], ValidationResult]
"""Scores of a network on images that it was not trained on; their entry ``score`` says which network is best."""


@dataclass(frozen=True)
class Intervals:
    """Seconds between regular work of the training loop."""

    save: float = 300.0
    """At least this often a checkpoint is written, and at every report."""
    look: float = 2.0
    """This often the losses are read, for which a GPU has to come to a stop."""


DEFAULT_INTERVALS = Intervals()


@dataclass(frozen=True)
class Report:
    """State of a run after a validation, as a row of ``log.csv``."""

    step: int
    seconds: float
    loss: float
    """Mean training loss since the report before."""
    learning_rate: float
    scores: Mapping[str, float]
    """Of the network on held-out images; empty where the loss is no number."""
    best: bool
    """Whether this network is the best so far, and so the one in ``model.safetensors``."""
    waiting: float
    """Share of the time since the report before in which a step waited for its patches, validation left out."""
    finalising: TimeToFinalise = field(default_factory=TimeToFinalise)
    """Time between the last step and the end, estimated from this validation."""


@dataclass(frozen=True)
class Step:
    """Progress of a run after one step, with a report if the network was validated."""

    number: int
    seconds: float
    progress: float
    """Share of the run that is done, in [0, 1]."""
    report: Report | None
    note: str = ""
    """A message for the user; nearly always empty."""
    loss: float = math.nan
    """Mean training loss of the last steps whose losses were read; no number before that."""


def fit(
    config: RunConfig,
    source: PatchSampler,
    validate: Validate,
    card: ModelCard,
    folder: Path,
    *,
    fabric: Fabric,
    resume: bool = False,
    later: Later | None = None,
    began: float | None = None,
    intervals: Intervals = DEFAULT_INTERVALS,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[Step]:
    """Train, validate now and then, and keep the best network; yield after every step.

    Parameters
    ----------
    config : RunConfig
        Either ``train.steps`` or ``train.minutes`` says when to stop; with minutes, the schedule follows
        the clock.
    source : PatchSampler
    validate : (Module) -> ValidationResult
    card : ModelCard
        What is written beside the weights.
    folder : Path
        Of the run: ``model.safetensors``, ``last/`` and ``log.csv`` are written into it.
    fabric : Fabric
        Devices and precision.
    resume : bool
        Go on from ``last/``; if the run was killed before it wrote a state, begin anew.
    later : Later or None
        Samples for the second part of the run.
    began : seconds of `clock`
        When the minutes began to count; now, if not given.
    intervals : Intervals
    clock : () -> seconds

    Raises
    ------
    TrainingError
        If the loss is no number any more, or no state can be read.
    ConfigError, ModelFileError
        If the weights to begin with, of ``train.init`` or ``model.pretrained``, do not fit this network.
    """
    state = State.begin(config, fabric.device)
    begun = resume and state.resume(folder / "last")
    if not begun and first_weights(state.net, config, target=card.target):
        state.average.load_state_dict(state.net.state_dict())
    state.join(fabric)
    is_main_process = fabric.global_rank == 0  # one process validates, writes, and says how long it goes on
    if is_main_process and resume:
        cut_log(folder, step=state.step)
    began = (clock() if began is None else began) - state.seconds
    state.gone = state.gone if state.step else clock() - began
    budget, keeper = TimeBudget(config.train, state.gone), _Keeper(state, card, folder, intervals)
    keeper.keep_first(validate if is_main_process and not begun and config.train.init else None)
    reported, pieces, patches = clock() - began, state.pieces, RunBatches(source, later, state, fabric, clock)
    progress = budget.progress(state.step, state.seconds)
    try:
        while (progress := broadcast(fabric, progress)) < 1:
            batch, told = patches.draw(progress)
            loss = train_step(state, batch, config.train, fabric=fabric, progress=progress)
            keeper.takes_last = patches.takes_last
            note, pieces = told or _note_on_memory(state, pieces, config), state.pieces
            state.seconds = clock() - began
            before, progress = progress, max(progress, budget.progress(state.step, state.seconds))
            report = None
            if is_main_process:
                waiting = patches.waited / max(state.seconds - reported, 1e-9)
                report = keeper.keep(loss, waiting, validate if budget.reports_between(before, progress) else None)
            yield Step(state.step, state.seconds, progress, report, note, keeper.loss)
            if keeper.fault:
                raise TrainingError(keeper.fault)
            if report is not None:
                reported, patches.waited = clock() - began, 0.0
                budget.reserve(reported - state.seconds, report.finalising)
                progress = max(progress, budget.progress(state.step, reported))  # reports due meanwhile are left out
    except GeneratorExit:  # the caller stops between two steps
        if is_main_process:
            keeper.stop()
            broadcast(fabric, math.inf)  # other processes are told to stop
        raise


class _Keeper:
    """Files of a run: the best network, a row of the log per report, checkpoints; none of a network that broke."""

    def __init__(self, state: State, card: ModelCard, folder: Path, intervals: Intervals) -> None:
        self._state, self._card, self._folder, self._intervals = state, card, folder, intervals
        self._new = list[Tensor]()  # losses since the last look; those before it are summed in the state
        self._looked = self._saved = state.seconds
        self.loss = math.nan
        """Mean of the losses that were read last."""
        self.fault = ""
        """Why the run cannot go on, if it cannot."""
        self.takes_last = False
        """Whether a network is better than those before, whatever its score."""

    def keep(self, loss: Tensor, waiting: float, validate: Validate | None) -> Report | None:
        """Take in the loss of a step; now and then check it and write a checkpoint; report if `validate` is given."""
        state = self._state
        self._new.append(loss)
        saving = validate is not None or state.seconds - self._saved > self._intervals.save
        if saving or state.seconds - self._looked > self._intervals.look:
            self._look(weights=saving)
        report = None
        if self.fault:
            report = self._log(math.nan, waiting, ValidationResult({}), best=False)
        elif validate is not None:
            try:
                report = self._keep_best(waiting, validate(state.average))
            except ImageError as error:
                self._break(f"the held-out images cannot be predicted after step {state.step} ({error})")
                report = self._log(math.nan, waiting, ValidationResult({}), best=False)
        if saving:
            self._save()
        return report

    def keep_first(self, validate: Validate | None) -> None:
        """Save the model that a run begins with, if `validate` is given: it may be better than what it becomes."""
        scores = validate(self._state.average).scores if validate else {"score": math.nan}
        if math.isfinite(scores["score"]):
            self._state.best = scores["score"]
            self._save_network(scores)

    def _save_network(self, scores: Mapping[str, float]) -> None:
        """Save the network of this step as the best so far."""
        facts = {**self._card.training, "step": self._state.step, "scores": dict(scores)}
        learnt = {"training": facts, "threshold": scores.get("threshold", self._card.threshold)}
        path = self._folder / "model.safetensors"
        save_network(path, self._state.average, self._card.model_copy(update=learnt), overwrite=True)

    def stop(self) -> None:
        """Write a checkpoint, and a model if there is none yet."""
        self._look(weights=True)
        self._save()
        path = self._folder / "model.safetensors"
        if not self.fault and not path.exists():
            save_network(path, self._state.average, self._card)

    def _look(self, *, weights: bool) -> None:
        """Read the losses of the last steps, and check that these and the weights are numbers."""
        state = self._state
        losses = torch.stack(self._new).tolist() if self._new else []
        self._new.clear()
        state.losses, state.loss_sum = state.losses + len(losses), math.fsum((state.loss_sum, *losses))
        self._looked = state.seconds
        self.loss = fmean(losses) if losses else self.loss
        broken = next((at for at, loss in enumerate(losses) if not math.isfinite(loss)), None)
        if broken is not None:
            self._break(f"the loss is no number since step {state.step - len(losses) + broken}")
        elif weights and not state.is_finite():
            self._break(f"weights are no numbers after step {state.step}")

    def _break(self, what: str) -> None:
        """Say why the run cannot go on."""
        self.fault = (
            f"{what}; the learning rate is likely too high: try --set train.learning_rate with a tenth of it, "
            "or --set train.clip=1, in a new folder"
        )

    def _save(self) -> None:
        """Write a checkpoint, unless the network broke: checkpoints from before stay."""
        if not self.fault:
            self._state.save(self._folder / "last")
            self._saved = self._state.seconds

    def _keep_best(self, waiting: float, result: ValidationResult) -> Report:
        """Save the network if it is the best so far, and log a row; without a score, the last network is the best."""
        state, scores, score = self._state, result.scores, result.scores["score"]
        best = state.best == -math.inf if math.isnan(score) else score >= state.best or self.takes_last
        if best:
            state.best = state.best if math.isnan(score) else score
            self._save_network(scores)
        return self._log(state.loss_sum / state.losses, waiting, result, best=best)

    def _log(self, loss: float, waiting: float, result: ValidationResult, *, best: bool) -> Report:
        """Add a row to the log; the next row is of the losses that follow."""
        state, scores = self._state, result.scores
        state.losses, state.loss_sum = 0, 0.0
        rate = state.optimizer.param_groups[0]["lr"]
        row = {"step": state.step, "seconds": round(state.seconds, 1), "loss": loss}
        row |= {"learning_rate": rate, "waiting": round(waiting, 4)}
        add_row(self._folder, {**row, **scores, "best": int(best)})
        return Report(state.step, state.seconds, loss, rate, scores, best, waiting, result.finalising)


def _note_on_memory(state: State, pieces: int, config: RunConfig) -> str:
    """A message that batches are computed in more pieces than before; empty if they are not."""
    if state.pieces == pieces:
        return ""
    norm = " batch normalisation sees one piece at a time, so set train.batch lower to know what you get;"
    return (
        f"the GPU is out of memory: from step {state.step} on each batch is computed in {state.pieces} pieces;"
        f"{norm if config.model.norm == 'batch' else ' the result is the same;'} it takes a third longer"
    )
