"""One update of the weights, and the state of a run between two updates."""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from biounet.config import RunConfig, TrainConfig
from biounet.core.errors import TrainingError
from biounet.data.patches import Batch
from biounet.models import build
from biounet.models.device import channels_last, to_channels_last
from biounet.training.adversarial import Adversary
from biounet.training.checkpoint import Progress, load_state, save_state
from biounet.training.distributed import all_gather
from biounet.training.distributed_layers import drop_by_sample, seed_dropout, share_batch_norm
from biounet.training.losses import LOSSES
from biounet.training.optimizer import average_weights, learning_rate, make_optimizer

__all__ = ["State", "train_step"]


@dataclass
class State:
    """State of a run between two updates: networks, optimisers, counters."""

    net: nn.Module
    average: nn.Module
    """Running average of the weights, the network that is validated and saved."""
    optimizer: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0
    best: float = -math.inf
    gone: float = 0.0
    """Seconds before the first step."""
    pieces: int = 1
    """Number of parts that a batch is computed in, one after the other; more than one where memory is short."""
    losses: int = 0
    """Number of losses since the last row of the log, of which the next one has the mean."""
    loss_sum: float = 0.0
    shared: nn.Module | None = None
    """The network, joined with the networks of other processes if there are any."""
    adversary: Adversary | None = None
    """A discriminator that learns to distinguish predictions from annotations; None without adversarial training."""

    @classmethod
    def begin(cls, config: RunConfig, device: torch.device) -> Self:
        """Build the network, draw its weights, and make the optimiser."""
        net = to_channels_last(build(config.model, seed=config.train.seed).to(device), config.model.dims)
        average = copy.deepcopy(net).eval()
        drop_by_sample(net)
        adversary = Adversary.begin(config, device)
        return cls(net, average, make_optimizer(net, config.train), adversary=adversary)

    def join(self, fabric: Fabric) -> None:
        """Train together with the other processes, if there are any; all must hold the same state."""
        if fabric.world_size > 1:
            self.net = share_batch_norm(self.net, fabric.device)
            self.shared = fabric.setup_module(self.net, move_to_device=False)

    def save(self, folder: Path) -> None:
        """Write a checkpoint."""
        tensors: dict[str, Tensor] = {}
        for part, net in self._networks.items():
            tensors |= {f"{part}.{name}": value for name, value in net.state_dict().items()}
        for part, optimizer in self._optimizers.items():
            for number, state in optimizer.state_dict()["state"].items():
                tensors |= {f"{part}.{number}.{name}": value for name, value in state.items() if value is not None}
        progress = Progress(**{name: getattr(self, name) for name in Progress.model_fields})
        save_state(folder, self.step, tensors, progress)

    def resume(self, folder: Path) -> bool:
        """Continue from the latest checkpoint; return False if there is none.

        Raises
        ------
        TrainingError
            If no checkpoint can be read, or it is of another network.
        """
        found = load_state(folder)
        if found is None:
            return False
        tensors, progress = found
        try:
            for part, net in self._networks.items():
                net.load_state_dict(_below(f"{part}.", tensors))
            for part, optimizer in self._optimizers.items():
                _resume_optimizer(optimizer, _below(f"{part}.", tensors))
        except (RuntimeError, ValueError, KeyError, IndexError) as error:  # of another shape, or under another name
            raise TrainingError(
                f"the checkpoint in {folder} does not hold this network; train without --resume, into a new folder"
            ) from error
        for name, value in progress:
            setattr(self, name, value)
        return True

    def is_finite(self) -> bool:
        """Whether all weights are finite numbers; a GPU has to come to a stop for it."""
        tensors = [value for net in self._networks.values() for value in net.state_dict().values()]
        return bool(torch.stack([value.isfinite().all() for value in tensors]).all())

    @property
    def _networks(self) -> dict[str, nn.Module]:
        discriminator = {} if self.adversary is None else {"discriminator": self.adversary.discriminator}
        return {"net": self.net, "average": self.average, **discriminator}

    @property
    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        of_discriminator = {} if self.adversary is None else {"discriminator-optimizer": self.adversary.optimizer}
        return {"optimizer": self.optimizer, **of_discriminator}


def _resume_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give an optimiser its state back: ``NUMBER.NAME`` of weight and tensor -> tensor."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        number, _, name = key.partition(".")
        if value.ndim:  # in the memory order of its weight: another order would round otherwise
            value = torch.empty_like(weights[int(number)]).copy_(value)
        state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def train_step(state: State, batch: Batch, config: TrainConfig, *, fabric: Fabric, progress: float) -> Tensor:
    """Update the weights once.

    Parameters
    ----------
    state : State, changed in place
    batch : Batch
        Of several processes, the samples of this one.
    config : TrainConfig
    fabric : Fabric
        For the precision, and to exchange gradients between processes.
    progress : in [0, 1]
        Where in the schedule this step stands.

    Returns
    -------
    Tensor, a scalar without gradient
        The loss of the whole batch before the update. Nothing waits for its value, so that a GPU need not stop.

    Raises
    ------
    TrainingError
        If the device has too little memory for a single sample.
    """
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(config, progress)
    state.net.train()
    loss = None
    while loss is None:
        state.optimizer.zero_grad()
        try:
            loss = _add_gradients(state, batch, config, fabric)
        except torch.OutOfMemoryError as error:
            _ask_for_less(state, len(batch.image), fabric, error)
    if config.clip is not None:
        nn.utils.clip_grad_norm_(state.net.parameters(), config.clip)
    state.optimizer.step()
    if state.adversary is not None:
        state.adversary.optimizer.step()
    average_weights(state.average.state_dict(), state.net, decay=config.ema, step=state.step)
    state.step += 1
    return loss.detach()


def _add_gradients(state: State, batch: Batch, config: TrainConfig, fabric: Fabric) -> Tensor:
    """Compute the loss of the whole batch and its gradient."""
    net = state.net if state.shared is None else state.shared
    whole = _whole_batch(batch, state, config, fabric)
    images = torch.split(batch.image, -(-len(batch.image) // state.pieces))
    rank, ranks = fabric.global_rank, fabric.world_size
    samples = range(rank, rank + ranks * len(batch.image), ranks)

    def logits_of(piece: int) -> Tensor:
        own = samples[piece * len(images[0]) :][: len(images[piece])]
        seed_dropout(state.net, seed=config.seed, step=state.step, samples=own, device=fabric.device)
        image = images[piece].contiguous(memory_format=channels_last(batch.image.ndim - 2))
        with fabric.autocast():
            logits: Tensor = net(image)
        return logits.float()

    if len(images) == 1:
        logits = logits_of(0) if ranks == 1 else all_gather(logits_of(0), config.batch, fabric)
        loss = _whole_loss(logits, whole, state, config, fabric)
        fabric.backward(loss * ranks)  # since the mean over the processes is taken, and the sum is wanted
    else:
        # A loss is of the whole batch: first the logits of all pieces, then the gradients, piece by piece.
        with torch.no_grad():
            statistics = [buffer.clone() for buffer in state.net.buffers()]
            parts = [logits_of(piece) for piece in range(len(images))]
            for buffer, before in zip(state.net.buffers(), statistics, strict=True):
                buffer.copy_(before)
        for piece in range(len(images)):
            logits = torch.cat([*parts[:piece], logits_of(piece), *parts[piece + 1 :]])
            loss = _whole_loss(logits, whole, state, config, fabric)
            fabric.backward(loss)
    if state.adversary is not None:
        state.adversary.add_gradients(whole.image, logits, whole.labels, fabric)
    return loss


def _whole_batch(batch: Batch, state: State, config: TrainConfig, fabric: Fabric) -> Batch:
    """Labels and weights of the whole batch, of which each process has a part; images if there is a discriminator."""
    if fabric.world_size == 1:
        return batch
    names = ["labels", *(["weights"] if batch.weights is not None else []), *(["image"] if state.adversary else [])]
    return replace(batch, **{name: all_gather(getattr(batch, name), config.batch, fabric) for name in names})


def _whole_loss(logits: Tensor, batch: Batch, state: State, config: TrainConfig, fabric: Fabric) -> Tensor:
    """Loss of the whole batch."""
    labels, weights = batch.labels, batch.weights
    if logits.ndim > batch.image.ndim:  # (N, classes, heads, *spatial): every head learns the same target
        labels = _for_each(logits, labels)
        weights = None if weights is None else _for_each(logits, weights)
    loss = LOSSES[config.loss](logits, labels, weights)
    if state.adversary is None:
        return loss
    return loss + state.adversary.generator_loss(batch.image, logits, batch.labels, fabric)


def _for_each(logits: Tensor, wanted: Tensor) -> Tensor:
    """Repeat labels (N, ..., *spatial) for all heads of logits (N, classes, heads, *spatial)."""
    spatial = logits.shape[3:]
    return wanted.unsqueeze(-1 - len(spatial)).expand(*wanted.shape[: -len(spatial)], *logits.shape[2:])


def _ask_for_less(state: State, samples: int, fabric: Fabric, error: torch.OutOfMemoryError) -> None:
    """Halve the parts in which a batch is computed; raise an error if they cannot be halved."""
    if fabric.world_size > 1:  # the other processes are in the middle of the step, and would wait for ever
        raise TrainingError(
            "the GPU is out of memory; with several devices use a smaller train.batch or train.patch, or more devices"
        ) from error
    if state.pieces >= samples:
        raise TrainingError(
            "the GPU is out of memory for a single sample; use a smaller train.patch or model.width"
        ) from error
    state.pieces *= 2
