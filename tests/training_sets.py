"""Training sets as `biounet train` makes them, from a folder."""

from math import inf
from pathlib import Path
from typing import Any

from biounet.data.normalize import Normalization
from biounet.data.out_of_core import SIZES, StripSizes
from biounet.data.split import split_dataset
from biounet.data.training_set import TrainingSet, read_split


def load_training_set(
    dataset: Path, normalization: Normalization, *, memory: float = inf, sizes: StripSizes = SIZES, **options: Any
) -> TrainingSet:
    """Find annotated images, divide them by the options of `split_dataset`, and read them."""
    return read_split(split_dataset(dataset, **options), normalization, memory=memory, sizes=sizes)
