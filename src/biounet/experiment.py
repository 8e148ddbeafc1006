"""One experiment: a dataset and settings become a run folder with a trained model in it."""

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import nn

from biounet.atomic import replacing
from biounet.budget import choose_width
from biounet.config import RunConfig
from biounet.devices import choose_device, choose_precision
from biounet.errors import ConfigError, OutputError, TrainingError
from biounet.fingerprint import Fingerprint, choose_settings
from biounet.geometry import Geometry
from biounet.losses import LOSSES
from biounet.modelfile import ModelCard
from biounet.models import build
from biounet.normalize import Normalization
from biounet.patches import PatchSource, network_input_size
from biounet.tiling import predict_array
from biounet.train import Step, fit
from biounet.training_data import Item, TrainingData, to_samples

__all__ = ["Experiment", "Validation"]


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


def check_loss(name: str) -> None:
    """Refuse a loss that is not in the table."""
    if name not in LOSSES:
        raise ConfigError(f"train.loss must be one of {', '.join(LOSSES)}, got {name!r}")


@dataclass
class Experiment:
    """Settings, data and folder of a run, ready to be trained.

    Parameters
    ----------
    config : RunConfig
        Complete: it fits the data, and says how long to train.
    data : TrainingData
    normalization : Normalization
        The one that `data` were read with.
    folder : Path
        Of the run.
    device : auto, cpu, cuda or cuda:N
    began : seconds of `time.monotonic`
        When the minutes of the budget began to count.
    """

    config: RunConfig
    data: TrainingData
    normalization: Normalization
    folder: Path
    device: str = "auto"
    began: float = field(default_factory=time.monotonic)
    reasons: dict[str, str] = field(default_factory=dict)
    """Why settings are what they are, for those that were not given by hand."""

    def __post_init__(self) -> None:
        where = choose_device(self.device)
        precision = choose_precision(self.config.train.precision, where)
        self.fabric = Fabric(
            accelerator=where.type,
            devices=1 if where.index is None else [where.index],
            precision="bf16-mixed" if precision == torch.bfloat16 else "32-true",
        )
        check_loss(self.config.train.loss)
        self.validation = Validation(self.data.validation, where, precision)

    def settle(self) -> dict[str, str]:
        """Settle what the settings leave to the images and the machine; return the reasons, by setting."""
        if self.config.train.auto:
            self.config, self.reasons = choose_settings(self.config, Fingerprint.of(self.data))
        if "model.width" in self.config.train.auto and self.config.train.minutes is not None:
            size = network_input_size(self.config, self._geometry, self.data.largest)
            self.config, reason = choose_width(self.config, size, fabric=self.fabric)
            self.reasons["model.width"] = reason
        return self.reasons

    @property
    def _geometry(self) -> Geometry:
        geometry = build(self.config.model).geometry
        assert isinstance(geometry, Geometry)
        return geometry

    def run(self, *, resume: bool = False) -> Generator[Step]:
        """Train; yield after every step.

        Parameters
        ----------
        resume : bool
            Go on with the run in the folder, which must have been made from the same settings.

        Raises
        ------
        OutputError
            If the folder exists and it is not to be resumed.
        TrainingError
            If there is nothing to resume, or the settings have changed.
        """
        geometry = self._geometry  # an unknown model is refused here, before anything is written
        self._open_folder(resume)
        source = PatchSource(
            to_samples(self.data, self.config, self.fabric.device),
            geometry,
            network_input_size(self.config, geometry, self.data.largest),
            self.config.augment,
            self.config.train,
        )
        yield from fit(
            self.config,
            source,
            self.validation,
            self._card(),
            self.folder,
            fabric=self.fabric,
            resume=resume,
            began=self.began,
        )

    def _open_folder(self, resume: bool) -> None:
        """Make the folder of a new run, or check that it holds this one."""
        settings = self.folder / "config.toml"
        if resume:
            if not settings.is_file():
                raise TrainingError(f"{self.folder} holds no run to resume; train without --resume")
            before = RunConfig.from_toml(settings.read_text(), source=str(settings))
            changed = before.differences(self.config)
            if changed:
                raise TrainingError(f"{self.folder} was begun with other settings ({', '.join(changed)}); use its own")
            return
        if self.folder.exists() and any(self.folder.iterdir()):
            raise OutputError(f"{self.folder} is not empty; choose another --out, or go on with --resume")
        with replacing(settings) as temporary:
            temporary.write_text(self.config.to_toml(reasons=self.reasons))

    def _card(self) -> ModelCard:
        return ModelCard(
            model=self.config.model,
            normalization=self.normalization,
            target="foreground" if self.data.kind == "objects" else "classes",
            training={
                "settings": self.config.model_dump(mode="json", exclude={"model"}),
                "trained_on": [item.name for item in self.data.train],
                "validated_on": [item.name for item in self.data.validation],
            },
        )
