"""Memory and arithmetic of a network, counted on the network itself without computing anything."""

import copy
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

__all__ = ["Cost", "count_cost", "meta_copy"]


class _Ledger(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counter of the bytes of all tensors that live, as they come and go, and of arithmetic operations."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.living: dict[int, int] = {}
        self.bytes = 0
        self.most = 0
        self.operations = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Say no, or torch would import its compiler, for seconds and 70 MiB."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Note the memory of every tensor that an operation makes, and its arithmetic."""
        results = SHAPES.get(func, func)(*args, **(kwargs or {}))
        if func.overloadpacket in flop_registry:
            self.operations += flop_registry[func.overloadpacket](*args, **(kwargs or {}), out_val=results)
        for result in results if isinstance(results, tuple | list) else (results,):
            if isinstance(result, torch.Tensor):
                self._note(result.untyped_storage())
        return results

    def _note(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self.living:
            self.living[key] = storage.nbytes()
            self.bytes += storage.nbytes()
            self.most = max(self.most, self.bytes)
            weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self.bytes -= self.living.pop(key)


def _join(tensors: Sequence[torch.Tensor], dim: int = 0) -> torch.Tensor:
    """A tensor of the shape of `torch.cat`."""
    shape = list(tensors[0].shape)
    shape[dim] = sum(tensor.shape[dim] for tensor in tensors)
    return tensors[0].new_empty(shape)


def _combine(first: torch.Tensor, second: torch.Tensor | float) -> torch.Tensor:
    """A tensor of the shape of the sum, difference, product or quotient of two."""
    shape = np.broadcast_shapes(first.shape, second.shape) if isinstance(second, torch.Tensor) else first.shape
    return first.new_empty(shape, dtype=torch.result_type(first, second))


def _change(first: torch.Tensor, second: torch.Tensor | float) -> torch.Tensor:
    """The tensor that is changed in place."""
    return first


def _convolve(
    image: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> torch.Tensor:
    """A tensor of the shape of a convolution or of an up-convolution, with the arguments of ``aten.convolution``."""
    each = (_per_axis(given, image.ndim - 2) for given in (stride, padding, dilation, output_padding))
    axes = zip(image.shape[2:], weight.shape[2:], *each, strict=True)
    if transposed:
        channels = groups * weight.shape[1]
        sizes = [(n - 1) * step - 2 * pad + hole * (k - 1) + more + 1 for n, k, step, pad, hole, more in axes]
    else:
        channels = weight.shape[0]
        sizes = [(n + 2 * pad - hole * (k - 1) - 1) // step + 1 for n, k, step, pad, hole, _ in axes]
    return image.new_empty([image.shape[0], channels, *sizes])


def _pool(
    image: torch.Tensor,
    size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil_mode: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Tensors of the shapes of pooled maxima and of their places, with the arguments of ``aten.max_pool``."""
    axes = len(size)
    steps, pads, holes = (_per_axis(given, axes) for given in (stride or size, padding, dilation))
    sizes = []
    for n, k, step, pad, hole in zip(image.shape[-axes:], size, steps, pads, holes, strict=True):
        left = n + 2 * pad - hole * (k - 1) - 1
        count = (-(-left // step) if ceil_mode else left // step) + 1
        sizes.append(count - (ceil_mode and (count - 1) * step >= n + pad))  # a last window begins inside
    shape = [*image.shape[:-axes], *sizes]
    return image.new_empty(shape), image.new_empty(shape, dtype=torch.int64)


def _per_axis(given: Sequence[int], axes: int) -> Sequence[int]:
    """A number for each axis, where one may stand for all."""
    return [given[0]] * axes if len(given) == 1 else given


ATEN = torch.ops.aten

SHAPES: Mapping[Any, Callable[..., torch.Tensor | tuple[torch.Tensor, ...]]] = MappingProxyType(
    {
        ATEN.cat.default: _join,
        ATEN._softmax.default: lambda logits, dim, half_to_float: logits.new_empty(logits.shape),
        ATEN.convolution.default: _convolve,
        ATEN.max_pool2d_with_indices.default: _pool,
        ATEN.max_pool3d_with_indices.default: _pool,
        **dict.fromkeys([ATEN.add.Tensor, ATEN.sub.Tensor, ATEN.mul.Tensor, ATEN.div.Tensor], _combine),
        **dict.fromkeys([ATEN.add_.Tensor, ATEN.mul_.Tensor, ATEN.div_.Tensor], _change),
    }
)
"""Operations whose shapes are computed here: torch would import its compiler for them, or sympy, for seconds."""


def meta_copy(net: nn.Module) -> nn.Module:
    """Copy of a network without its weights, which computes the shapes of tensors and no numbers."""
    weights = {id(weight): nn.Parameter(weight.to("meta"), requires_grad=False) for weight in net.parameters()}
    buffers = {id(buffer): buffer.to("meta") for buffer in net.buffers()}
    return copy.deepcopy(net, {**weights, **buffers})


@dataclass(frozen=True)
class Cost:
    """Cost of one batch: most bytes of feature maps at one time, and arithmetic operations."""

    bytes: int
    operations: int


def count_cost(compute: Callable[[torch.Tensor], object], shape: Sequence[int], precision: torch.dtype) -> Cost:
    """Cost of a computation, counted on tensors without contents.

    Parameters
    ----------
    compute : function of one tensor
        Its networks are made by `meta_copy`.
    shape : (N, C, *spatial) of the input
    precision : type of the input

    Notes
    -----
    Each tensor is counted from its allocation to its release. So the number is exact for any architecture, up to the
    memory that libraries use inside an operation.

    Examples
    --------
    >>> count_cost(meta_copy(nn.Conv2d(1, 2, 3)), (1, 1, 12, 12), torch.float32)   # 4 (144 + 2 * 100), 2 * 9 * 200
    Cost(bytes=1376, operations=3600)
    """
    with torch.no_grad(), _Ledger() as ledger:  # in inference mode, convolutions would not be taken apart
        compute(torch.empty(tuple(shape), dtype=precision, device="meta"))
    return Cost(ledger.most, ledger.operations)
