"""Several processes that train one network: who they are, what they agree on, and what they add up.

Whoever starts them (`biounet train --devices`, torchrun) says in the environment who is who; Fabric connects them.
"""

import atexit
import faulthandler
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Literal

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor
from torch.nn.functional import pad

from biounet.core.errors import ConfigError, TrainingError
from biounet.models.device import choose_device, choose_precision

__all__ = [
    "all_gather",
    "all_reduce_min",
    "all_reduce_sum",
    "alone",
    "broadcast",
    "check_share",
    "connected",
    "local_size",
    "make_fabric",
    "world_size",
]


PATIENCE = 10.0
"""Seconds that a process which ends waits for what it began together with others."""


def world_size() -> int:
    """Number of processes that were started together, on all machines; 1 if this one was started alone."""
    return int(os.environ["WORLD_SIZE"]) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def local_size() -> int:
    """Number of processes that were started together on this machine, and share its memory and its devices."""
    return int(os.environ["LOCAL_WORLD_SIZE"]) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def check_share(batch: int, processes: int) -> None:
    """Refuse more processes than a batch has samples.

    Raises
    ------
    ConfigError
        If a process would have nothing to do.
    """
    if batch < processes:
        raise ConfigError(
            f"a batch of {batch} cannot be shared by {processes} processes; "
            f"use at most {batch} devices, or --set train.batch={processes}"
        )


def make_fabric(device: str, precision: str) -> Fabric:
    """Connect this process with those that were started together with it.

    Parameters
    ----------
    device : auto, cpu, cuda or cuda:N
        Of several processes of a machine, each takes a GPU of its own.
    precision : auto, float32 or bfloat16

    Returns
    -------
    Fabric
        Launched. Processes speak over NCCL on GPUs, over gloo on CPUs.

    Raises
    ------
    ConfigError
        If the device or the precision is unknown or not there, or there are fewer GPUs than processes.
    """
    where = choose_device(device)
    kind = _kind(precision, where)
    processes = world_size()
    if processes == 1:
        return _of_one(where, kind)
    here = local_size()
    if where.type == "cuda" and (":" in device or here > torch.cuda.device_count()):
        raise ConfigError(
            f"{here} processes want a GPU each, torch finds {torch.cuda.device_count()}; "
            "use as many --devices as there are GPUs, and --device cuda without a number"
        )
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    fabric = Fabric(
        accelerator=where.type,
        devices=here,
        num_nodes=processes // here,
        strategy=DDPStrategy(),
        precision=kind,
        plugins=[TorchElasticEnvironment()],
    )
    fabric.launch()
    atexit.register(_disconnect)
    return fabric


def alone(fabric: Fabric, precision: str) -> Fabric:
    """Take this process and its device without the others; precision as for `make_fabric`."""
    return _of_one(fabric.device, _kind(precision, fabric.device))


def _of_one(device: torch.device, kind: Literal["bf16-mixed", "32-true"]) -> Fabric:
    """One process on one device; nothing is connected."""
    devices = 1 if device.index is None else [device.index]
    return Fabric(accelerator=device.type, devices=devices, precision=kind, plugins=[LightningEnvironment()])


def _kind(precision: str, device: torch.device) -> Literal["bf16-mixed", "32-true"]:
    """Name of a precision, as Fabric has it."""
    return "bf16-mixed" if choose_precision(precision, device) == torch.bfloat16 else "32-true"


@contextmanager
def connected() -> Iterator[None]:
    """Say in one line that another process is gone, where torch would tell of sockets.

    Raises
    ------
    TrainingError
        Instead of the errors of the networks between processes.
    """
    try:
        yield
    except RuntimeError as error:
        if world_size() > 1 and any(word in str(error) for word in ("gloo", "NCCL", "onnection")):
            raise TrainingError(
                "the connection to the other processes of this run broke; see why they ended, and go on with --resume"
            ) from error
        raise


def _disconnect() -> None:
    """Join the threads of gloo while Python still runs: one that drops a tensor after it aborts the process.

    A thread that was left in the middle of a sum, by an error or by Ctrl-C, waits for the other processes, which need
    not come. So this ends the process if it takes long.
    """
    _patient.cache_clear()
    if not dist.is_initialized():
        return
    with open(os.devnull, "w") as nowhere:
        faulthandler.dump_traceback_later(PATIENCE, exit=True, file=nowhere)
        dist.destroy_process_group()
        faulthandler.cancel_dump_traceback_later()


@cache
def _patient() -> dist.ProcessGroup:
    """A way to wait without end, while the first process validates or writes; NCCL would give up after minutes."""
    group = dist.new_group(backend="gloo", timeout=timedelta(days=365))
    assert isinstance(group, dist.ProcessGroup)
    return group


def broadcast(fabric: Fabric, value: float) -> float:
    """Return the number that the first process holds; all processes must ask."""
    if fabric.world_size == 1:
        return value
    told = torch.tensor(value, dtype=torch.float64)
    dist.broadcast(told, src=0, group=_patient())
    return float(told)


def all_reduce_min(fabric: Fabric, value: float) -> float:
    """Return the smallest of the numbers that the processes hold; all processes must ask."""
    if fabric.world_size == 1:
        return value
    told = torch.tensor(value, dtype=torch.float64)
    dist.all_reduce(told, op=dist.ReduceOp.MIN, group=_patient())
    return float(told)


def all_gather(own: Tensor, count: int, fabric: Fabric) -> Tensor:
    """Put the samples of all processes together, in the order of the batch.

    Parameters
    ----------
    own : (n, ...)
        Process r of R holds the samples r, r + R, r + 2 R, ...
    count : number of samples in the batch
    fabric : Fabric

    Returns
    -------
    (count, ...)
        Gradients flow into the own samples only: what each process adds to the gradient of a weight is
        the part that goes through its samples, and the sum over the processes is the whole.
    """
    ranks = fabric.world_size
    most = -(-count // ranks)
    own = pad(own.contiguous(), (0, 0) * (own.ndim - 1) + (0, most - len(own)))
    parts = [torch.empty_like(own) for _ in range(ranks)]
    dist.all_gather(parts, own.detach())
    parts[fabric.global_rank] = own
    return torch.stack(parts, dim=1).flatten(0, 1)[:count]


class _Sum(torch.autograd.Function):
    """Sum over processes; since each holds the same sum, its gradient is summed too."""

    @staticmethod
    def forward(ctx: object, part: Tensor) -> Tensor:
        """Add up."""
        total = part.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> Tensor:
        """Add up the gradients."""
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total


def all_reduce_sum(part: Tensor) -> Tensor:
    """Sum of a tensor over all processes, with its gradient."""
    total: Tensor = _Sum.apply(part)  # type: ignore[no-untyped-call]
    return total
