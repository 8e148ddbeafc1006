"""Memory and arithmetic of a network, counted on the network itself without computing anything."""

import copy
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

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
        # To learn the shape of joined tensors, torch would import its compiler, too.
        results = _join(*args) if func is torch.ops.aten.cat.default else func(*args, **(kwargs or {}))
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
