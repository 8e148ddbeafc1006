"""Datasets in folders: the layout is recognised, images are paired with labels, and held out for validation."""

from biounet.data.dataset import Dataset, Pair, by_section, load
from biounet.data.discover import find_dataset
from biounet.data.layouts import LAYOUTS, images_in
from biounet.data.split import Split, folds, split

__all__ = ["LAYOUTS", "Dataset", "Pair", "Split", "by_section", "find_dataset", "folds", "images_in", "load", "split"]
