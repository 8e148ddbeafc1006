"""Training: a plain loop that yields after every step; the caller prints, plots or stops.

A run is a function of its settings and its data: patches, drop-out and schedule follow from the number
of the step, so a run that was killed and resumed ends with the same bytes as one that was not.
"""

import csv
import math
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lightning_fabric import Fabric
from torch import Tensor, nn

from biounet.atomic import sayable
from biounet.config import RunConfig, TrainConfig
from biounet.errors import TrainingError
from biounet.modelfile import ModelCard, save_network
from biounet.patches import PatchSource
from biounet.pretrained import load_pretrained
from biounet.processes import agree
from biounet.update import State, train_step

__all__ = ["Report", "State", "Step", "Validate", "fit", "train_step"]

Validate = Callable[[nn.Module], Mapping[str, float]]
"""Scores of a network on images it was not trained on; the entry ``score`` says which network is best."""

SETTLING = 0.25
"""Largest share of the minutes that is left for what comes after the last step."""

REPORTING, FEWEST = 0.2, 3
"""Share of the minutes that reports may take before there are fewer of them, and how many there are at least."""

SAVE_EVERY = 300.0  # seconds; at least this often the state is written, and at every report


@dataclass(frozen=True)
class Report:
    """How a run stands: what a row of ``log.csv`` holds."""

    step: int
    seconds: float
    loss: float
    """Mean training loss since the report before."""
    learning_rate: float
    scores: Mapping[str, float]
    best: bool
    """Whether this network is the best so far, and so the one in ``model.safetensors``."""
    waiting: float
    """Share of the time since the report before in which a step waited for its patches, validation left out."""


@dataclass(frozen=True)
class Step:
    """What the loop yields: where the run is, and a report after a validation."""

    number: int
    seconds: float
    progress: float
    """Share of the run that lies behind, in [0, 1]."""
    report: Report | None
    note: str = ""
    """What a person should know of this step; nearly always nothing."""


def fit(
    config: RunConfig,
    source: PatchSource,
    validate: Validate,
    card: ModelCard,
    folder: Path,
    *,
    fabric: Fabric,
    resume: bool = False,
    began: float | None = None,
    afterwards: Callable[[], float] = float,
) -> Generator[Step]:
    """Train, validate now and then, and keep the best network; yield after every step.

    Parameters
    ----------
    config : RunConfig
        Either ``train.steps`` or ``train.minutes`` says when to stop; with minutes, the schedule follows
        the clock.
    source : PatchSource
    validate : (Module) -> scores
    card : ModelCard
        What is written beside the weights.
    folder : Path
        Of the run: ``model.safetensors``, ``last/`` and ``log.csv`` are written into it.
    fabric : Fabric
        Devices and precision.
    resume : bool
        Go on from ``last/``.
    began : seconds of `time.monotonic`
        When the minutes began to count; now, if not given.
    afterwards : () -> seconds
        What is still to be done after the last step, as far as one knows after a validation; the minutes hold it too.

    Raises
    ------
    TrainingError
        If the loss is no number any more, or there is nothing to resume.
    ModelFileError
        If ``model.pretrained`` holds no weights for this network.
    """
    state = State.begin(config, fabric.device)
    if resume:
        state.resume(folder / "last")
    elif config.model.pretrained is not None:
        load_pretrained(state.net, Path(config.model.pretrained))
        state.average.load_state_dict(state.net.state_dict())
    state.join(fabric)
    leads = fabric.global_rank == 0  # one process validates, writes, and says how long it goes on
    began = (time.monotonic() if began is None else began) - state.seconds
    pace = _Pace(config.train)
    saved, reported, pieces = state.seconds, time.monotonic() - began, state.pieces
    pending, waits = list[Tensor](), list[float]()
    batches = source.batches(state.step, rank=fabric.global_rank, ranks=fabric.world_size)
    progress = pace.progress(state)
    try:
        while (progress := agree(fabric, progress)) < 1:
            asked = time.monotonic()
            batch = next(batches)
            waits.append(time.monotonic() - asked)
            loss = train_step(state, batch, config.train, fabric=fabric, progress=progress)
            pending += [loss] if leads else []
            note, pieces = _said_of_memory(state, pieces, config), state.pieces
            state.seconds = time.monotonic() - began
            before, progress = progress, max(progress, pace.progress(state))
            report = None
            if leads and pace.reports_between(before, progress):
                waiting = sum(waits) / max(state.seconds - reported, 1e-9)
                report = _keep_best(state, _mean_loss(pending, state), waiting, validate(state.average), card, folder)
            if leads and (report is not None or state.seconds - saved > SAVE_EVERY):
                state.save(folder / "last")
                saved = state.seconds
            yield Step(state.step, state.seconds, progress, report, note)
            if report is not None:
                reported = time.monotonic() - began
                pace.learn(reported - state.seconds, afterwards())
                waits.clear()
    except GeneratorExit:  # the caller stops between two steps
        if leads:
            _leave(state, card, folder, fabric)
        raise


def _leave(state: State, card: ModelCard, folder: Path, fabric: Fabric) -> None:
    """Write the state, and a model if there is none yet; other processes are told to stop."""
    state.save(folder / "last")
    if not (folder / "model.safetensors").exists():
        save_network(folder / "model.safetensors", state.average, card)
    agree(fabric, math.inf)


class _Pace:
    """How far a run is, and when it reports: by its steps or by the clock."""

    def __init__(self, config: TrainConfig) -> None:
        self._config, self._reports = config, config.reports
        self._closing = 0.0

    def progress(self, state: State) -> float:
        """Share of the run that lies behind."""
        if self._config.steps is not None:
            return min(1.0, state.step / self._config.steps)
        if self._config.minutes is None:
            raise TrainingError("say how long to train: --minutes M or --steps N")
        # The first step is always made, so that there is a model at the end of any budget.
        left = max(60 * self._config.minutes - self._closing, 1e-9)
        return min(1.0, state.seconds / left) if state.step else 0.0

    def reports_between(self, before: float, progress: float) -> bool:
        """Whether a report is due."""
        return int(progress * self._reports) > int(before * self._reports)

    def learn(self, report: float, afterwards: float) -> None:
        """From the seconds of a report: the last must fit into the minutes too, and all may not eat them."""
        if self._config.minutes is None:
            return
        budget = 60 * self._config.minutes
        # Of a bad network what follows seems long.
        self._closing = report + min(afterwards, SETTLING * budget)
        self._reports = min(self._reports, max(FEWEST, int(REPORTING * budget / max(report, 1e-9))))


def _said_of_memory(state: State, pieces: int, config: RunConfig) -> str:
    """Say that batches are computed in more pieces than before, if they are."""
    if state.pieces == pieces:
        return ""
    norm = " batch normalisation sees one piece at a time, so set train.batch lower to know what you get;"
    return (
        f"the GPU is out of memory: from step {state.step} on each batch is computed in {state.pieces} pieces;"
        f"{norm if config.model.norm == 'batch' else ' the result is the same;'} it takes a third longer"
    )


def _mean_loss(pending: list[Tensor], state: State) -> float:
    """Mean of the losses since the report before, which are then forgotten."""
    losses = [float(loss) for loss in pending]
    pending.clear()
    if not all(map(math.isfinite, losses)):
        step = state.step - len(losses) + next(at for at, loss in enumerate(losses) if not math.isfinite(loss))
        raise TrainingError(
            f"the loss is no number since step {step}; the learning rate is likely too high: "
            "try --set train.learning_rate with a tenth of it, or --set train.clip=1"
        )
    return sum(losses) / len(losses)


def _keep_best(
    state: State, loss: float, waiting: float, scores: Mapping[str, float], card: ModelCard, folder: Path
) -> Report:
    """Save the network if it is the best so far, and log a row."""
    best = scores["score"] >= state.best
    if best:
        state.best = scores["score"]
        facts = {**card.training, "step": state.step, "scores": dict(scores)}
        path = folder / "model.safetensors"
        learnt = {"training": facts, "threshold": scores.get("threshold", card.threshold)}
        save_network(path, state.average, card.model_copy(update=learnt), overwrite=True)
    report = Report(state.step, state.seconds, loss, state.optimizer.param_groups[0]["lr"], scores, best, waiting)
    _log(folder / "log.csv", report)
    return report


def _log(path: Path, report: Report) -> None:
    """Append a row to the log; the first time, with a heading."""
    row = {"step": report.step, "seconds": round(report.seconds, 1), "loss": report.loss}
    row |= {"learning_rate": report.learning_rate, "waiting": round(report.waiting, 4)}
    row |= {**report.scores, "best": int(report.best)}
    new = not path.exists()
    with sayable(path), path.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)
