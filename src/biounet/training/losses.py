"""Losses: functions of class logits, true classes and pixel weights; unknown pixels do not count.

Each of `LOSSES` takes ``logits`` (N, C, ...) before the soft-max, ``target`` (N, ...) int64 with class numbers,
negative where unknown, and ``weight`` (N, ...) at least 0, or None for 1 everywhere. Each returns
a scalar in at least float32, also under autocast. With no known pixel in the batch, the loss and its
gradient are 0. ``l1`` and ``l2`` compare images: ``target`` has the shape of ``logits``, and is NaN where
unknown.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from biounet.config.tasks import Task
from biounet.core.errors import ConfigError, ShapeError

__all__ = ["LOSSES", "check_loss", "cross_entropy", "cross_entropy_dice", "dice", "focal", "l1", "l2"]


def cross_entropy(logits: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
    """Weighted pixel-wise soft-max cross entropy.

    Notes
    -----
    Source: Ronneberger, Fischer and Brox 2015, equation 1. Differs: divided by the sum of the weights
    of the known pixels, so that the step does not grow with the tile.

    Examples
    --------
    >>> logits, target = torch.zeros(1, 2, 3), torch.tensor([[0, 1, -1]])
    >>> cross_entropy(logits, target, None)                 # two known pixels, ln 2 each
    tensor(0.6931)
    """
    logs, target, weight = _prepared(logits, target, weight)
    return _mean(-_of_truth(logs, target), weight)


def focal(logits: Tensor, target: Tensor, weight: Tensor | None, *, gamma: float = 2.0) -> Tensor:
    """Cross entropy in which a pixel that is right with probability p counts only (1 - p)**gamma.

    Notes
    -----
    Source: Lin, Goyal, Girshick, He and Dollar 2017, "Focal loss for dense object detection", equation 4.
    Differs: divided by the sum of the weights, as `cross_entropy`.

    Examples
    --------
    >>> focal(torch.zeros(1, 2, 1), torch.tensor([[1]]), None)          # ln 2 / 4
    tensor(0.1733)
    """
    logs, target, weight = _prepared(logits, target, weight)
    log_p = _of_truth(logs, target)
    return _mean(-log_p * (1 - log_p.exp()).clamp(min=0) ** gamma, weight)


def dice(logits: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
    """One minus the soft Dice coefficient, mean over all classes, background included.

    A pixel of weight w counts as w pixels. Sums run over the whole batch, and one more pixel is counted
    as right in every class, so that a class that is neither in the target nor predicted costs nothing.

    Notes
    -----
    Source: Milletari, Navab and Ahmadi 2016, "V-Net", section 3. Differs: their denominator has squares;
    with plain sums a hard segmentation gives the Dice coefficient itself.

    Examples
    --------
    >>> logits, target = torch.zeros(1, 2, 2), torch.tensor([[0, 1]])
    >>> dice(logits, target, None)                          # 1 - (2 * 0.5 + 1) / (1 + 1 + 1)
    tensor(0.3333)
    """
    logs, target, weight = _prepared(logits, target, weight)
    return _dice(logs, target, weight)


def cross_entropy_dice(logits: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
    """Sum of `cross_entropy` and `dice`.

    Examples
    --------
    >>> cross_entropy_dice(torch.zeros(1, 2, 2), torch.tensor([[0, 1]]), None)
    tensor(1.0265)
    """
    logs, target, weight = _prepared(logits, target, weight)
    return _mean(-_of_truth(logs, target), weight) + _dice(logs, target, weight)


def l1(logits: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
    """Mean absolute difference of an image from the true one; half of all errors are above, half below.

    Notes
    -----
    Source: Isola, Zhu, Zhou and Efros 2017, equation 3, where it keeps images sharper than `l2`.

    Examples
    --------
    >>> l1(torch.tensor([[[1.0, 2.0, 9.0]]]), torch.tensor([[[1.0, 4.0, torch.nan]]]), None)
    tensor(1.)
    """
    difference, weight = _difference(logits, target, weight)
    return _mean(difference.abs(), weight)


def l2(logits: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
    """Mean squared difference of an image from the true one.

    Examples
    --------
    >>> l2(torch.tensor([[[1.0, 2.0, 9.0]]]), torch.tensor([[[1.0, 4.0, torch.nan]]]), None)
    tensor(2.)
    """
    difference, weight = _difference(logits, target, weight)
    return _mean(difference.square(), weight)


def _difference(logits: Tensor, target: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor]:
    """Difference (N, C, ...) with 0 for unknown, weights of its shape with 0 for unknown."""
    shapes = [tuple(logits.shape), tuple(target.shape), None if weight is None else tuple(weight.shape)]
    if target.shape != logits.shape or shapes[2] not in (None, logits.shape[:1] + logits.shape[2:]):
        raise ShapeError(f"logits and target (N, C, ...) and weight (N, ...) must fit, got {shapes}")
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    unknown = target.isnan()
    known = (~unknown).to(logits.dtype)
    difference = (logits - target).masked_fill(unknown, 0)
    return difference, known if weight is None else known * weight.unsqueeze(1)


def _prepared(logits: Tensor, target: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probabilities (N, C, ...), targets with 0 for unknown, weights with 0 for unknown."""
    if target.shape != logits.shape[:1] + logits.shape[2:] or (weight is not None and weight.shape != target.shape):
        shapes = [tuple(logits.shape), tuple(target.shape), None if weight is None else tuple(weight.shape)]
        raise ShapeError(f"logits (N, C, ...), target (N, ...) and weight (N, ...) must fit, got {shapes}")
    logs = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(dim=1)
    known = (target >= 0).to(logs.dtype)
    return logs, target.clamp(min=0), known if weight is None else known * weight


def _of_truth(logs: Tensor, target: Tensor) -> Tensor:
    """Log-probability of the true class, (N, ...)."""
    return logs.gather(1, target.unsqueeze(1)).squeeze(1)


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean; 0 if all weights are 0."""
    return (values * weight).sum() / weight.sum().clamp(min=1e-12)


def _dice(logs: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Soft Dice loss from log-probabilities."""
    coefficients = []
    for number, log_p in enumerate(logs.unbind(1)):
        predicted = weight * log_p.exp()
        true = (target == number).to(logs.dtype)
        both = (predicted * true).sum()
        coefficients.append((2 * both + 1) / (predicted.sum() + (weight * true).sum() + 1))
    return 1 - torch.stack(coefficients).mean()


LOSSES: Mapping[str, Callable[[Tensor, Tensor, Tensor | None], Tensor]] = MappingProxyType(
    {
        "cross-entropy": cross_entropy,
        "dice": dice,
        "cross-entropy+dice": cross_entropy_dice,
        "focal": focal,
        "l1": l1,
        "l2": l2,
    }
)
"""Name of a loss -> function of logits (or predicted image), target and weight; a `Task` lists the losses that fit."""


def check_loss(name: str, task: Task) -> None:
    """Check that a loss fits the task.

    Raises
    ------
    ConfigError
        If the task does not list it.
    """
    if name not in task.losses:
        raise ConfigError(
            f"train.loss must be one of {', '.join(task.losses)} for such targets, got {name!r}; "
            f"try --set train.loss={task.losses[0]}"
        )
