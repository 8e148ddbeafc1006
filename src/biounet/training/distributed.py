"""Processes that train one network together: their number, and the values that they exchange.

`biounet train --devices` or torchrun starts them and writes rank and size into the environment; Fabric connects them.
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
    "in_precision",
    "local_size",
    "make_fabric",
    "world_size",
]


PATIENCE = 10.0
"""Seconds that a process waits at its end for exchanges with other processes."""


def world_size() -> int:
    """Number of processes that were started together, on all machines; 1 if this one was started alone."""
    return int(os.environ["WORLD_SIZE"]) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def local_size() -> int:
    """Number of processes that were started together on this machine, and share its memory and its devices."""
    return int(os.environ["LOCAL_WORLD_SIZE"]) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def check_share(batch: int, processes: int) -> None:
    """Check that a batch has a sample for each process.

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
    """Connection of this process with those that were started together with it.

    Parameters
    ----------
    device : auto, cpu, cuda or cuda:N
        Each of several processes of a machine takes its own GPU.
    precision : auto, float32 or bfloat16

    Returns
    -------
    Fabric
        Launched. Processes exchange values over NCCL on GPUs, over gloo on CPUs.

    Raises
    ------
    ConfigError
        If the device or the precision is unknown or not there, or there are fewer GPUs than processes.
    """
    where = choose_device(device)
    kind = _kind(precision, where)
    if world_size() == 1:
        return _of_one(where, kind)
    here = local_size()
    if where.type == "cuda" and (":" in device or here > torch.cuda.device_count()):
        raise ConfigError(
            f"{here} processes want a GPU each, torch finds {torch.cuda.device_count()}; "
            "use as many --devices as there are GPUs, and --device cuda without a number"
        )
    fabric = _of_several(where, kind)
    atexit.register(_disconnect)
    return fabric


def in_precision(fabric: Fabric, precision: str) -> Fabric:
    """Fabric of the same processes and device in another precision; all processes must call this."""
    if fabric.world_size == 1:
        return alone(fabric, precision)
    return _of_several(fabric.device, _kind(precision, fabric.device))


def alone(fabric: Fabric, precision: str) -> Fabric:
    """Fabric of this process and its device without the others; precision as for `make_fabric`."""
    return _of_one(fabric.device, _kind(precision, fabric.device))


def _of_several(device: torch.device, kind: Literal["bf16-mixed", "32-true"]) -> Fabric:
    """Fabric of all processes, which are connected once."""
    _say_less()
    fabric = Fabric(
        accelerator=device.type,
        devices=local_size(),
        num_nodes=world_size() // local_size(),
        strategy=DDPStrategy(),
        precision=kind,
        plugins=[TorchElasticEnvironment()],
    )
    fabric.launch()
    return fabric


def _of_one(device: torch.device, kind: Literal["bf16-mixed", "32-true"]) -> Fabric:
    """Fabric of one process on one device, without any connection."""
    _say_less()
    devices = 1 if device.index is None else [device.index]
    return Fabric(accelerator=device.type, devices=devices, precision=kind, plugins=[LightningEnvironment()])


def _say_less() -> None:
    """Keep Fabric from naming the precision that it is made with, which may not be that of the run."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)


def _kind(precision: str, device: torch.device) -> Literal["bf16-mixed", "32-true"]:
    """Name of a precision in Fabric."""
    return "bf16-mixed" if choose_precision(precision, device) == torch.bfloat16 else "32-true"


@contextmanager
def connected() -> Iterator[None]:
    """A readable error instead of one about sockets, if another process ends while the block runs.

    Raises
    ------
    TrainingError
        Instead of the errors of the connections between processes.
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
    """Join the threads of gloo while Python still runs: a thread that frees a tensor later would abort the process.

    After an error or Ctrl-C a thread may wait in the middle of an exchange for processes that have ended. So the
    process is ended if joining takes long.
    """
    _without_timeout.cache_clear()
    if not dist.is_initialized():
        return
    with open(os.devnull, "w") as nowhere:
        faulthandler.dump_traceback_later(PATIENCE, exit=True, file=nowhere)
        dist.destroy_process_group()
        faulthandler.cancel_dump_traceback_later()


@cache
def _without_timeout() -> dist.ProcessGroup:
    """Process group without a timeout, for waiting while the first process validates or writes; NCCL has a timeout."""
    group = dist.new_group(backend="gloo", timeout=timedelta(days=365))
    assert isinstance(group, dist.ProcessGroup)
    return group


def broadcast(fabric: Fabric, value: float) -> float:
    """Value of the first process; all processes must call this."""
    if fabric.world_size == 1:
        return value
    shared = torch.tensor(value, dtype=torch.float64)
    dist.broadcast(shared, src=0, group=_without_timeout())
    return float(shared)


def all_reduce_min(fabric: Fabric, value: float) -> float:
    """Smallest of the values of all processes; all processes must call this."""
    if fabric.world_size == 1:
        return value
    shared = torch.tensor(value, dtype=torch.float64)
    dist.all_reduce(shared, op=dist.ReduceOp.MIN, group=_without_timeout())
    return float(shared)


def all_gather(own: Tensor, count: int, fabric: Fabric) -> Tensor:
    """Samples of all processes, in the order of the batch.

    Parameters
    ----------
    own : (n, ...)
        Process r of R holds the samples r, r + R, r + 2 R, ...
    count : number of samples in the batch
    fabric : Fabric

    Returns
    -------
    (count, ...)
        Gradients flow into the samples of this process only, so that the gradient of a weight is the sum over the
        processes.
    """
    ranks = fabric.world_size
    most = -(-count // ranks)
    own = pad(own.contiguous(), (0, 0) * (own.ndim - 1) + (0, most - len(own)))
    parts = [torch.empty_like(own) for _ in range(ranks)]
    dist.all_gather(parts, own.detach())
    parts[fabric.global_rank] = own
    return torch.stack(parts, dim=1).flatten(0, 1)[:count]


class _Sum(torch.autograd.Function):
    """Sum over processes; since each process holds the same sum, the gradient is summed, too."""

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
