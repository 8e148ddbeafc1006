"""A trained model that a run begins with (``--from``): what is taken over of it, what is not, and when it is refused.

A run takes over the architecture, all weights that fit, and the kind of normalisation. The search for rules of objects
begins with those of the model. Where no image is held out, its smoothing, temperature and threshold stay, too.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from biounet.config import ModelConfig, RunConfig, TrainConfig
from biounet.config.object_rules import ObjectRules
from biounet.config.shipped import SHIPPED
from biounet.config.tasks import Task, task_of
from biounet.core.errors import ConfigError, TrainingError
from biounet.data.learnt_images import LearntImages
from biounet.data.training_set import TrainingSet
from biounet.inference.ensemble import member_files
from biounet.models.model_file import ModelCard, load_network, read_card
from biounet.models.pretrained import load_pretrained
from biounet.models.transfer import DATA, Transfer, plan_transfer, transfer

__all__ = [
    "FEW",
    "FINE_TUNING",
    "StartingModel",
    "first_rules",
    "first_weights",
    "keeps_fit",
    "starting_model",
    "taken_over",
]


FINE_TUNING = {"train.learning_rate": 1e-4}
"""Settings of a run that begins with a model, where they differ from those of a run that begins at random; measured in
docs/models.md."""

FEW = 3
"""Held-out images of which fewer are too few to fit rules of objects and a calibration, where a model has some."""


@dataclass(frozen=True)
class StartingModel:
    """A model file that a run begins with."""

    name: str
    """As it was given; of a file or folder, its absolute path."""
    path: Path
    sha256: str
    card: ModelCard

    @classmethod
    def of(cls, given: str | Path) -> "StartingModel":
        """Find and read a model file, without its weights.

        Parameters
        ----------
        given : a model file, the folder of a run, or the name of a shipped model

        Raises
        ------
        ModelFileError
            If there is none, or it cannot be read.
        ConfigError
            If it is an ensemble.
        """
        files = member_files(Path(given))
        if len(files) > 1:
            raise ConfigError(
                f"{given} is an ensemble of {len(files)} models; begin with one of them: {files[0].parent}"
            )
        path = files[0]
        name = str(given) if path in SHIPPED.values() and str(given) in SHIPPED else str(Path(given).absolute())
        return cls(name, path, hashlib.sha256(path.read_bytes()).hexdigest(), read_card(path))

    @property
    def settings(self) -> dict[str, Any]:
        """Settings that a run takes over, and those of `FINE_TUNING`; what is given by hand comes after them."""
        model = self.card.model
        kept = [field for field in ModelConfig.model_fields if field not in (*DATA, "pretrained")]
        return {
            **{f"model.{field}": getattr(model, field) for field in kept},
            "train.normalization": self.card.normalization.kind,
            **FINE_TUNING,
            "train.init": self.name,
            "train.init_sha256": self.sha256,
        }

    def check_images(self, shape: Sequence[int], target: str) -> None:
        """Refuse images and targets that the model cannot learn, before any image is read.

        Parameters
        ----------
        shape : (C, *spatial) of an image
        target : as of `biounet.config.TrainConfig`

        Raises
        ------
        ConfigError
        """
        kinds = {2: "images (Y, X)", 3: "volumes (Z, Y, X)"}
        dims = self.card.model.dims
        if len(shape) - 1 != dims:
            raise ConfigError(
                f"{self.name} is a model for {kinds[dims]}, the dataset has {kinds[len(shape) - 1]}; begin with "
                "another model, or train without --from"
            )
        if task_of(target).has_labels != self.card.task.has_labels:
            labels = task_of(target).has_labels
            learnt, has = ("to draw images", "labels") if labels else ("labels", "target images")
            raise ConfigError(
                f"{self.name} has learnt {learnt}, the dataset has {has}; begin with another model, or train without "
                "--from"
            )

    def check_classes(self, classes: int, task: Task, named: Sequence[str]) -> None:
        """Refuse labels with fewer classes than the model knows, unless they are named.

        Raises
        ------
        ConfigError
        """
        known = self.card.model.classes
        if self.card.task.has_classes and task.has_classes and classes < known and not named:
            listed = ", ".join(self.card.class_names)
            raise ConfigError(
                f"{self.name} knows {known} classes, the labels have {classes}, background included; annotate an image "
                f"with the others (of {listed}), add an older dataset by --also, or name the classes that are left "
                "by --classes A,B,.. to learn these alone"
            )

    def plan(self, config: RunConfig, target: str) -> Transfer:
        """Weights that a run takes over; the output layer is new where targets differ."""
        return plan_transfer(self.card.model, config.model, new_head=target != self.card.target)

    def notes(self, config: RunConfig, data: TrainingSet) -> list[str]:
        """What is taken over, what is not, and whether objects have another size, in lines for people."""
        target = data.target
        plan, before, after = self.plan(config, target), self.card.model, config.model
        whole = len(plan.taken) + len(plan.adapted) + len(plan.drawn)
        lines = [
            f"begins with {self.name} (SHA-256 {self.sha256[:12]}), {len(plan.taken)} of {whole} tensors as they are"
        ]
        if plan.adapted:
            lines.append(
                f"the first layer is adapted from {before.in_channels} channels to {after.in_channels}: the sum over "
                f"the former, divided by {after.in_channels}"
            )
        if plan.drawn:
            meant = f"{before.classes} outputs of {self.card.target}, now {after.classes} of {target}"
            lines.append(
                f"random weights begin in {', '.join(plan.drawn)}: the model has {meant}; these learn "
                "faster with --set train.learning_rate=0.001"
            )
        rules = self.rules(target) is not None
        lines.append(
            f"also taken over: {before.name} of width {before.width} and depth {before.depth}, "
            f"{config.train.normalization} normalisation{', rules of objects' * rules}; not: optimiser, schedule"
        )
        if keeps_fit(self, data):
            lines.append(f"fewer than {FEW} images are held out: rules of objects and calibration of {self.name} stay")
        return [*lines, *self._sizes(data.learnt)]

    def _sizes(self, found: LearntImages) -> list[str]:
        """A note on objects of a size that the model does not know."""
        learnt = self.card.learnt
        if learnt is None or learnt.known is None or learnt.beyond(found.diameter) in (None, 1):
            return []
        least, most = learnt.known
        return [
            f"objects have a median diameter of {found.diameter:g} px; {self.name} knows {least:.3g} to {most:.3g} px"
        ]

    def rules(self, target: str) -> ObjectRules | None:
        """Rules where the search for better rules begins; None if the model has learnt another target."""
        return self.card.rules if target == self.card.target else None

    @property
    def identity(self) -> dict[str, str]:
        """Name and hash, for the header of a model that began with this one."""
        return {"model": self.name, "sha256": self.sha256}


def starting_model(train: TrainConfig) -> StartingModel | None:
    """The model that a run begins with, by its settings; None for random weights.

    Raises
    ------
    ModelFileError
        If it is missing, or cannot be read.
    TrainingError
        If it is not the file that the run was begun with.
    """
    if train.init is None:
        return None
    found = StartingModel.of(train.init)
    if train.init_sha256 not in (None, found.sha256):
        raise TrainingError(
            f"{train.init} has changed since the run began with it (SHA-256 {found.sha256[:12]}, not "
            f"{str(train.init_sha256)[:12]}); put the old file back, or train into another --out"
        )
    return found


def first_rules(start: StartingModel | None, data: TrainingSet) -> ObjectRules:
    """Rules where the search for better rules begins: those of the model to begin with, or of the task.

    Rules that stay, see `keeps_fit`, are scaled where objects are larger or smaller than any that the model knows.
    """
    taken = start and start.rules(data.target)
    if start and taken and keeps_fit(start, data):
        return taken.scaled((_beyond(start, data) or 1.0) ** start.card.model.dims)
    return taken or ObjectRules(target=data.target, **data.task.first_rules.get(data.target, {}))


def keeps_fit(start: StartingModel | None, data: TrainingSet) -> bool:
    """Whether rules of objects, smoothing and temperature stay those of the model that a run begins with.

    Fitted to few held-out images, they would suit these alone. They are fitted even so where it is unknown whether the
    objects have a size that the model knows.
    """
    if start is None or start.rules(data.target) is None or len(data.validation) >= FEW:
        return False
    return _beyond(start, data) is not None


def _beyond(start: StartingModel, data: TrainingSet) -> float | None:
    """How many times as large the objects are as those that the model knows, see `LearntImages.beyond`."""
    return (start.card.learnt or LearntImages()).beyond(data.learnt.diameter)


def taken_over(start: StartingModel | None, data: TrainingSet, *, fitted: bool) -> dict[str, Any]:
    """Smoothing, temperature, threshold, and whether gaps are closed, from the card of the model to begin with.

    Parameters
    ----------
    start : StartingModel
    data : TrainingSet
    fitted : bool
        Whether labelled images are held out. Then the run fits its own values, unless it `keeps_fit`.
    """
    fitted = fitted and not keeps_fit(start, data)
    if start is None or fitted or not data.task.has_labels or data.target != start.card.target:
        return {}
    of_classes = ("close_gaps",) if data.classes == start.card.model.classes else ()
    return {name: getattr(start.card, name) for name in ("smoothing", "temperature", "threshold", *of_classes)}


def first_weights(net: nn.Module, config: RunConfig, *, target: str) -> bool:
    """Give a network the weights that a run begins with, if its settings name any; return whether they do.

    Parameters
    ----------
    net : Module
        With random weights; changed in place.
    config : RunConfig
    target : what the run learns

    Raises
    ------
    ModelFileError, TrainingError
        As `starting_model`, and if ``model.pretrained`` holds no weights for this network.
    ConfigError
        If the architectures differ.
    """
    start = starting_model(config.train)
    if start is not None:
        source, _ = load_network(start.path)
        transfer(net, source.state_dict(), start.plan(config, target))
    elif config.model.pretrained is not None:
        load_pretrained(net, Path(config.model.pretrained))
    return start is not None or config.model.pretrained is not None
