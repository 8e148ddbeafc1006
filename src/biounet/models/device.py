"""Choice of the device and of the floating-point type, from what the hardware can do."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from biounet.core.errors import ConfigError

__all__ = [
    "channels_last",
    "choose_device",
    "choose_precision",
    "choose_training_precision",
    "exact_kernels",
    "gpu_names",
    "has_bfloat16",
    "one_thread",
    "to_channels_last",
]


# Torch asks for memory anew for every feature map, and the system hands it over page by page. With large pages
# that is a quarter of the time of a network on large tiles. Torch reads this when it first needs memory.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


def choose_device(name: str) -> torch.device:
    """Return the device to run on.

    Parameters
    ----------
    name : auto, cpu, cuda or cuda:N
        ``auto`` is the GPU if there is one that torch can use.

    Raises
    ------
    ConfigError
        If the name is unknown, or there is no such GPU.

    Examples
    --------
    >>> choose_device("cpu")
    device(type='cpu')
    """
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        name = "cuda" if there else "cpu"
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and (kind == "cpu" or not number.isdecimal())):
        raise ConfigError(f"device must be auto, cpu, cuda or cuda:N, got {name!r}")
    if kind == "cuda" and int(number or 0) >= there:
        raise ConfigError(f"device {name} was asked for, torch finds {there} GPUs; use --device cpu")
    return torch.device(kind, int(number or 0)) if kind == "cuda" else torch.device("cpu")


def gpu_names() -> str:
    """Names of the GPUs that torch finds, or ``none``."""
    return (
        ", ".join(sorted({torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())})) or "none"
    )


def has_bfloat16(device: torch.device) -> bool:
    """Whether the hardware multiplies bfloat16 itself; elsewhere it is imitated and slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    able = torch.cpu.get_capabilities()
    return bool(able.get("amx_bf16") or able.get("avx512_bf16"))


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """Return the floating-point type that networks compute in.

    Parameters
    ----------
    name : auto, float32 or bfloat16
        ``auto`` is bfloat16 where `has_bfloat16`, else float32.
    device : torch.device

    Raises
    ------
    ConfigError
        If the name is unknown.

    Examples
    --------
    >>> choose_precision("float32", torch.device("cpu"))
    torch.float32
    """
    if name == "auto":
        name = "bfloat16" if has_bfloat16(device) else "float32"
    if name not in ("float32", "bfloat16"):
        raise ConfigError(f"precision must be auto, float32 or bfloat16, got {name!r}")
    return torch.bfloat16 if name == "bfloat16" else torch.float32


def choose_training_precision(name: str, device: torch.device, *, dims: int) -> tuple[str, str]:
    """The precision to train in, and why it is not the one asked for; "" where it is.

    Parameters
    ----------
    name : auto, float32 or bfloat16
    device : torch.device
    dims : 2 or 3, spatial axes of the network

    Returns
    -------
    precision : auto, float32 or bfloat16
    reason : for users, of float32 instead of ``auto``

    Raises
    ------
    ConfigError
        If bfloat16 is asked for by name where its gradients break the process.

    Notes
    -----
    Torch 2.13 writes past its memory in the gradient of 3D convolutions in bfloat16 on processors with AMX: it aborts
    with "double free or corruption", as seen of (1, 1, 6, 96, 96) with 16 filters on one thread. Whether such a fault
    aborts depends on what lies beside it, so a step that went well proves nothing. A number of planes is no bound,
    either: the inner levels of every network have few. So all 3D training on these processors is in float32.
    Prediction computes no gradients. ``benchmarks/conv3d_gradients.py`` looks for the fault; once a torch passes it on
    such a processor, this can go.

    Examples
    --------
    >>> choose_training_precision("auto", torch.device("cpu"), dims=2)
    ('auto', '')
    """
    able = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    if dims < 3 or name == "float32" or not able.get("amx_bf16"):
        return name, ""
    if name == "bfloat16":
        raise ConfigError(
            "train.precision is bfloat16, in which torch breaks down on 3D networks on this processor (AMX); set it to "
            "float32, or leave --precision out"
        )
    return "float32", "torch breaks down on gradients of 3D networks in bfloat16 on this processor (AMX)"


def channels_last(dims: int) -> torch.memory_format:
    """Memory format of torch with channels innermost, the order in which convolutions read fastest.

    >>> channels_last(3)
    torch.channels_last_3d
    """
    return torch.channels_last_3d if dims == 3 else torch.channels_last


def to_channels_last(net: nn.Module, dims: int) -> nn.Module:
    """Bring the weights of a network to `channels_last`, in place."""
    return net.to(memory_format=channels_last(dims))  # type: ignore[call-overload,no-any-return]


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute in one thread, so that sums do not depend on how many there are."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def exact_kernels() -> Iterator[None]:
    """Forbid GPU kernels that round float32 to fewer bits, or that differ from one call to the next."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield
