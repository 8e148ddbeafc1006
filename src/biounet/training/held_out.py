"""Images of a dataset as networks predict them that did not learn from them: held out by a run, or by its folds."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.config import RunConfig
from biounet.core.errors import ConfigError, DatasetError, ModelFileError
from biounet.core.labels import IGNORE
from biounet.data import Pair, load
from biounet.evaluation.suspects import Suspects, suspect_classes, suspect_objects
from biounet.inference.ensemble import member_files
from biounet.inference.model import Model, load_model
from biounet.models.model_file import ModelCard, read_card
from biounet.training.prepare import split_by_settings

__all__ = ["LARGEST", "HeldOutImages", "PredictedImage"]


LARGEST = 2**26
"""Pixels of an image beyond which it is not predicted."""


@dataclass(frozen=True)
class PredictedImage:
    """An annotated image with what a network that has never seen it makes of it.

    Attributes
    ----------
    name : str
    image : (C, *spatial), as in the file
    labels : (*spatial) integers, as annotated
        Rows that the network learnt from are IGNORE.
    probabilities : (classes, *spatial) float32, in [0, 1]
    result : (*spatial) integers, classes or numbered objects
    card : ModelCard
    """

    name: str
    image: NDArray[Any]
    labels: NDArray[Any]
    probabilities: NDArray[np.float32]
    result: NDArray[Any]
    card: ModelCard

    def suspects(self) -> Suspects:
        """Labels that the network contradicts."""
        if self.card.task.has_classes:
            return suspect_classes(self.labels, self.probabilities)
        return suspect_objects(self.labels, self.result, self.probabilities, self.card.object_rules)


@dataclass(frozen=True)
class HeldOutImages:
    """Images of a dataset, each with the models of a run that did not learn from it.

    Attributes
    ----------
    models : image -> model files
    learnt : names of the images that all models learnt from
    large : names of the images that are too large to be predicted in memory
    class_names : background first; none where the run learnt objects
    """

    models: dict[Pair, tuple[Path, ...]]
    learnt: tuple[str, ...]
    large: tuple[str, ...]
    class_names: tuple[str, ...]

    @classmethod
    def of(cls, dataset: Path, run: Path) -> "HeldOutImages":
        """Find the images of a dataset, read as the run did, and the models that did not learn from them.

        Parameters
        ----------
        dataset : Path
        run : model file, folder of a run, or of a cross-validation

        Raises
        ------
        ModelFileError
            If there is no model, or one cannot be read, or does not say what it learnt from.
        ConfigError
            If the run learnt to draw images.
        DatasetError
            If all models learnt from all images, but for large ones; or as `biounet.data.find_dataset`.
        """
        cards = {file: read_card(file) for file in member_files(run)}
        first = next(iter(cards.values()))
        if not first.task.has_labels:
            raise ConfigError(f"{run} has learnt to draw images; labels are suspected by a run that has learnt labels")
        divided = split_by_settings(dataset, _settings_of(first))
        known = {file: _trained_on(card, file) for file, card in cards.items()}
        models: dict[Pair, tuple[Path, ...]] = {}
        learnt, large = [], []
        for pair in (*divided.train, *divided.held_out):
            files = tuple(file for file in cards if pair.name not in known[file])
            if not files:
                learnt.append(pair.name)
            elif math.prod(pair.shape[1:]) > LARGEST:
                large.append(pair.name)
            else:
                models[pair] = files
        if not models:
            raise DatasetError(
                f"{run} judges no image of {dataset}: it has learnt {len(learnt)} by heart, and "
                f"{len(large)} are too large; train with --folds, and name that run"
            )
        return cls(models, tuple(learnt), tuple(large), first.class_names)

    def predict(
        self, *, device: str = "auto", progress: Callable[[float], None] = lambda share: None
    ) -> Iterator[PredictedImage]:
        """Predict the images, those of a model one after the other; `progress` is told the share that is done."""
        loaded: tuple[tuple[Path, ...], Model] | None = None
        ranked = sorted(self.models.items(), key=lambda each: each[1])
        for number, (pair, files) in enumerate(ranked):
            if loaded is None or loaded[0] != files:
                loaded = files, load_model(files[0], others=files[1:])
            yield _predict(loaded[1], pair, device)
            progress((number + 1) / len(ranked))


def _trained_on(card: ModelCard, file: Path) -> frozenset[str]:
    """Names of the images that a model learnt from."""
    if "trained_on" not in card.training:
        raise ModelFileError(f"{file} does not say which images it has learnt from; train again")
    return frozenset(card.training["trained_on"])


def _settings_of(card: ModelCard) -> RunConfig:
    """Settings by which a run read and divided its images, but that no image held out is left out."""
    train = card.training.get("settings", {}).get("train", {}) | {"validation_pixels": 2**40}
    return RunConfig().updated({f"train.{name}": value for name, value in train.items()})


def _predict(model: Model, pair: Pair, device: str) -> PredictedImage:
    """Predict an image; of one whose rows are divided all of it, by the statistics of all of it."""
    image, labels = load(replace(pair, rows=None))
    if pair.rows is not None:
        above, below = pair.rows
        labels[..., :above, :] = labels[..., below:, :] = IGNORE
    axes = "CZYX" if image.ndim == 4 else "CYX"
    probabilities = model.predict(image, axes=axes, device=device)
    return PredictedImage(pair.name, image, labels, probabilities, model.decode(probabilities), model.card)
