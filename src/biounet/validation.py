"""How good a network is on images that it was not trained on."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from biounet.tiling import predict_array
from biounet.training_data import Item

__all__ = ["Validation", "dice_per_class"]


@dataclass
class Validation:
    """Scores of a network on held-out images, predicted as `biounet predict` does.

    Parameters
    ----------
    items : images and labels that training never sees
    device, precision : as `biounet.devices` chooses them

    Attributes
    ----------
    probabilities : per item (classes, *spatial) float32, of the last validation
    each : per item its Dice per class, of the last validation
    confusion : (classes, classes) int64, pixels of a true class (row) given a class (column), of the last validation
    """

    items: Sequence[Item]
    device: torch.device
    precision: torch.dtype
    probabilities: list[NDArray[np.float32]] = field(default_factory=list)
    each: list[dict[str, float]] = field(default_factory=list)
    confusion: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), np.int64))

    def __call__(self, net: nn.Module) -> dict[str, float]:
        """Return ``score`` (mean Dice over the classes that occur), ``log_loss``, and Dice per class.

        Without held-out images every network is as good as the one before, so that the last is kept.
        """
        if not self.items:
            return {"score": 0.0}
        self.probabilities = [
            predict_array(net, item.image, device=self.device, precision=self.precision) for item in self.items
        ]
        classes = len(self.probabilities[0])
        counts, surprise = [], 0.0
        for item, probabilities in zip(self.items, self.probabilities, strict=True):
            known = item.target >= 0
            truth, given = item.target[known], probabilities[:, known]
            pairs = truth * classes + given.argmax(0)
            counts.append(np.bincount(pairs, minlength=classes**2).reshape(classes, classes))
            surprise -= float(np.log(np.maximum(given[truth, np.arange(len(truth))], 1e-7)).sum())
        self.each = [dice_per_class(count) for count in counts]
        self.confusion = np.sum(counts, axis=0)
        dice = dice_per_class(self.confusion)
        score = float(np.nanmean(list(dice.values())))
        return {"score": score, "log_loss": surprise / max(int(self.confusion.sum()), 1)} | dice


def dice_per_class(confusion: NDArray[np.int64]) -> dict[str, float]:
    """Dice of each class from counts; not a number for a class that is neither there nor given."""
    both = confusion.sum(0) + confusion.sum(1)
    dice = np.full(len(both), np.nan)
    np.divide(2 * np.diag(confusion), both, out=dice, where=both > 0)
    return {f"dice_{number}": float(value) for number, value in enumerate(dice)}
