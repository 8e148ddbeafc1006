"""One update: the same whether a batch is computed at once or, where memory is short, piece by piece."""

import pytest
import torch
from lightning_fabric import Fabric

from biounet.config import RunConfig
from biounet.config.tasks import TASKS
from biounet.core.errors import TrainingError
from biounet.data.patches import Batch
from biounet.training.step import State, train_step

FABRIC = Fabric(accelerator="cpu", devices=1)
TINY = {"model.width": 2, "model.depth": 1, "model.dropout": 0.5, "train.batch": 3, "train.clip": None}


def batch() -> Batch:
    """Three patches of which very different shares are known."""
    chance = torch.Generator().manual_seed(0)
    labels = torch.randint(2, (3, 8, 8), generator=chance)
    labels[0, 1:] = -1
    weights = torch.rand((3, 8, 8), generator=chance)
    return Batch(torch.randn((3, 1, 8, 8), generator=chance), labels, weights)


def begun(*, room: int, loss: str = "cross-entropy", norm: str = "none") -> tuple[State, RunConfig]:
    """A state on a device with memory for so many samples."""
    config = RunConfig.preset("default").updated({**TINY, "train.loss": loss, "model.norm": norm})
    state = State.begin(config, torch.device("cpu"))

    def refuse(_: torch.nn.Module, inputs: tuple[torch.Tensor]) -> None:
        if len(inputs[0]) > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    state.net.register_forward_pre_hook(refuse)
    return state, config


@pytest.mark.parametrize("loss", TASKS["classes"].losses)
def test_pieces_give_the_gradient_of_the_batch(loss):
    results = []
    for room in (3, 1):
        state, config = begun(room=room, loss=loss)
        given = [train_step(state, batch(), config.train, fabric=FABRIC, progress=0.5).item() for _ in range(2)]
        results.append((given, [weight.grad for weight in state.net.parameters()]))
        assert state.pieces == {3: 1, 1: 4}[room]
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-5)
    for whole, pieces in zip(results[0][1], results[1][1], strict=True):
        torch.testing.assert_close(pieces, whole, rtol=1e-4, atol=1e-6)
    assert results[0][0][0] != results[0][0][1], "nothing was learnt, so nothing was compared"


def test_statistics_are_counted_once_per_piece():
    state, config = begun(room=2, norm="batch")
    train_step(state, batch(), config.train, fabric=FABRIC, progress=0.5)
    counts = [value.item() for name, value in state.net.state_dict().items() if name.endswith("num_batches_tracked")]
    assert set(counts) == {2}


def test_no_room_for_a_single_sample_is_said():
    state, config = begun(room=0)
    with pytest.raises(TrainingError, match="out of memory for a single sample"):
        train_step(state, batch(), config.train, fabric=FABRIC, progress=0.5)


def test_every_head_of_a_network_learns_the_same():
    """Two equal heads give the loss and the gradient of one."""
    losses = []
    for heads in (1, 2):
        state, config = begun(room=3)
        if heads > 1:
            state.net.register_forward_hook(lambda _, __, scores: torch.stack([scores, scores], dim=2))
        losses.append([train_step(state, batch(), config.train, fabric=FABRIC, progress=0.5).item() for _ in range(2)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
