"""A network that learns from labels while they are drawn, with the pieces of an ordinary run."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from biounet.config import RunConfig
from biounet.config.object_rules import ObjectRules
from biounet.config.tasks import TASKS
from biounet.core.boxes import Box
from biounet.core.errors import ModelFileError
from biounet.data.augment import Sample
from biounet.data.normalize import NORMALIZATIONS, Kind
from biounet.data.patches import Batch, PatchSampler, network_input_size
from biounet.data.sample_cache import to_sample
from biounet.data.training_set import TrainingSet
from biounet.inference.decoding import decoder_of
from biounet.inference.overlap_tile import predict_array
from biounet.io import fit_channels
from biounet.measurement.uncertainty import entropy, uncertain_regions
from biounet.models import geometry_of
from biounet.models.device import choose_precision
from biounet.models.model_file import ModelCard, load_network, save_network
from biounet.models.transfer import transfer
from biounet.training.auto_settings import Fingerprint, choose_normalization, choose_settings
from biounet.training.distributed import make_fabric
from biounet.training.prepare import fit_to_data
from biounet.training.starting_model import StartingModel, taken_over
from biounet.training.step import State, train_step
from biounet.workspace.edit import Plane
from biounet.workspace.examples import Examples
from biounet.workspace.predictions import Prediction
from biounet.workspace.project import Project, ProjectImage

__all__ = ["LIVE", "Learner"]


LIVE = {
    "train.schedule": "constant",  # nobody knows how long it will go on
    "train.learning_rate": 2e-3,
    "train.ema": 0.98,  # some fifty steps: a prediction shall show what was just learnt
    "train.steps": 1,
}
"""Settings of a network that learns while labels are drawn, where they differ from the preset."""

LIVE_FROM_MODEL = {"train.learning_rate": 3e-4}
"""Settings where they differ for a network that begins with a model: the first strokes shall leave most of it."""


LEVELS = 8
"""Levels of distance in objects of any size; small ones have fewer."""

SPECKS = (0.03, 0.2)
"""Least sizes of seeds and of predicted objects, as shares of the median size of drawn ones."""

GIANT = 5
"""Largest predicted object, in sizes of the largest drawn one: a young network takes all that is unknown for one."""

WINDOW = 160
"""Pixels along a side of a region that is worth a look."""


@dataclass
class Learner:
    """A network that follows the labels of a project.

    Parameters
    ----------
    project : Project
    model : model file, run folder or name of a shipped model, or None
        Its weights are those to begin with. It predicts by itself until there is something to learn from.
    device : auto, cpu, cuda or cuda:N
    """

    project: Project
    model: str | Path | None = None
    device: str = "auto"
    state: State | None = field(default=None, init=False)
    loss: float = field(default=math.nan, init=False)
    """Mean loss of the last steps."""

    def __post_init__(self) -> None:
        self._start = None if self.model is None else StartingModel.of(self.model)
        self._batches: Iterator[Batch] = iter(())
        self._sizes = np.zeros(0, np.int64)
        """Sizes of the drawn objects, in pixels."""
        self._reset()
        self._fabric = make_fabric(self.device, self.config.train.precision)

    def _reset(self) -> None:
        """Know no labels, and no network but the one to begin with, if that was trained for labels of this kind."""
        self.state = None
        self.config = RunConfig.preset("default").updated(LIVE if self._start is None else LIVE | LIVE_FROM_MODEL)
        self._versions: dict[str, int] = {}
        self._samples: dict[int, tuple[object, Sample]] = {}
        self._examples = self._new_examples("z-score")
        self._untrained: tuple[nn.Module, ModelCard] | None = None
        """The network to begin with, and its card, as long as nothing teaches it."""
        if self._start is not None and self._fits(self._start.card):
            self._untrained = load_network(self._start.path)
            self._examples = self._new_examples(self._start.card.normalization.kind)

    @property
    def folder(self) -> Path:
        """Where checkpoints lie."""
        return self.project.place / "live"

    @property
    def model_path(self) -> Path:
        """File of the network as it is."""
        return self.folder / "model.safetensors"

    @property
    def steps(self) -> int:
        """Updates so far."""
        return 0 if self.state is None else self.state.step

    @property
    def predicts(self) -> bool:
        """Whether there is a network that has learnt something."""
        return self.state is not None or self._untrained is not None

    @property
    def begins_trained(self) -> bool:
        """Whether the first weights were those of a model."""
        return self._start is not None

    def missing(self) -> str:
        """What has to be drawn before the network can learn, in words; empty if nothing has."""
        counts = self._data.counts[1:] if self._versions and self._data.train else np.zeros(2, np.int64)
        if not counts[1:].any():
            what = "an object" if self.project.numbered else "some pixels of a class"
            return f"paint {what}, and some background: then the network begins to learn"
        if not counts[0]:
            return "paint some background, too, so that the network learns what is none"
        return ""

    def follow(self) -> bool:
        """Take in labels that were drawn since; return whether there were any."""
        touched = self.project.touched
        for image in touched:
            image.store.refresh()
        versions = {image.name: image.store.version for image in touched}
        if versions == self._versions:
            return False
        self._data = self._examples.training_set()
        self._versions = versions
        if self._data.train and not self.missing():
            if self.state is None or self._data.classes > self.config.model.classes:
                self._begin()
            self._prepare()
        return True

    def step(self) -> None:
        """Make one update."""
        assert self.state is not None
        loss = float(train_step(self.state, next(self._batches), self.config.train, fabric=self._fabric, progress=0.0))
        self.loss = loss if math.isnan(self.loss) else 0.9 * self.loss + 0.1 * loss

    def predict(self, image: ProjectImage, plane: Plane, box: Box) -> Prediction:
        """Predict a region; its pixels do not depend on the region, but objects that it cuts do."""
        net, card = self._network
        wider = box.grown(geometry_of(card.model).margin, image.planes.size)
        inside = box.relative_to(wider.start).slices
        precision = choose_precision(self.config.train.precision, self._fabric.device)
        pixels = self._examples.normalised(image, plane, wider)
        pixels = fit_channels(pixels, card.model.in_channels, image.planes.path.name)
        options = {"device": self._fabric.device, "precision": precision, **card.output_options}
        probabilities = predict_array(net, pixels, **options)
        probabilities = np.ascontiguousarray(probabilities[(slice(None), *inside)])
        labels = decoder_of(card).segment(probabilities, card).astype(np.int32)
        if self._start is None and self._sizes.size:
            labels[(np.bincount(labels.ravel()) > GIANT * self._sizes.max())[labels]] = 0
        foreground = np.round(255 * (1 - probabilities[0])).clip(0, 255).astype(np.uint8)
        doubt, doubtful = self._doubt(probabilities, image, plane, box)
        return Prediction(image.name, plane, box, self.steps, labels, foreground, doubt, doubtful)

    @property
    def _network(self) -> tuple[nn.Module, ModelCard]:
        """The network that predicts, and its card."""
        if self.state is not None:
            return self.state.average, self.card
        assert self._untrained is not None
        return self._untrained

    @property
    def card(self) -> ModelCard:
        """Description of the network as it learns."""
        task = TASKS[self.project.settings.kind]
        target = self._examples.target if task.numbered else "foreground"
        median = float(np.median(self._sizes)) if self._sizes.size else 0.0
        seed, pixels = (round(share * median) for share in SPECKS)
        # Not the task's first rules: a network that has just begun to learn does not reach their peaks.
        rules = ObjectRules(target=target, least_seed=seed, least_pixels=pixels)
        if self._start is not None:
            rules = self._start.rules(self._examples.target) or rules
        return ModelCard(
            model=self.config.model,
            normalization=self._examples.normalization,
            target=self._examples.target,
            training={"settings": self.config.model_dump(mode="json", exclude={"model"}), "step": self.steps},
            rules=rules if task.numbered else None,
            **taken_over(self._start, self._data, fitted=False),
        )

    def _doubt(
        self, probabilities: NDArray[np.float32], image: ProjectImage, plane: Plane, box: Box
    ) -> tuple[float, tuple[tuple[Box, float], ...]]:
        """Mean entropy of the pixels that nobody has labelled, and the regions where there is most of it."""
        known = image.store.plane(plane).read(box) >= 0
        if known.all():
            return 0.0, ()
        shares = probabilities.copy()
        shares[:, known] = np.eye(len(shares), 1, dtype=np.float32)  # of what is labelled there is no doubt
        found = uncertain_regions(shares, size=(WINDOW, WINDOW), count=3, by_class=not self.project.numbered)
        moved = [
            (Box(tuple(np.add(at.start, box.start)), tuple(np.add(at.stop, box.start))), mean) for at, mean in found
        ]
        doubt = entropy(np.stack([shares[0], 1 - shares[0]]) if self.project.numbered else shares)
        return float(doubt[~known].mean()), tuple((_plain(at), mean) for at, mean in moved if mean > 0)

    def restart(self) -> None:
        """Begin anew, since labels mean something else now."""
        self.project.reload_settings()
        self._reset()

    def save(self) -> None:
        """Write the state, to go on with after a restart, and the model; not where the folder is gone."""
        assert self.state is not None
        self.project.check_there()
        self.state.save(self.folder / "last")
        save_network(self.model_path, self.state.average, self.card, overwrite=True)

    def _new_examples(self, normalization: Kind) -> Examples:
        target = TASKS[self.project.settings.kind].target
        return Examples(self.project, NORMALIZATIONS[normalization], target)

    def _begin(self) -> None:
        """Choose settings by what is labelled, and take weights: those before a restart, of a model, or random ones."""
        resumed = self.folder / "last"
        own = self.model_path.exists() and any(resumed.glob("step-*"))
        start = StartingModel.of(self.model_path) if own else self._start
        if start is not None:
            if not self._fits(start.card):
                raise ModelFileError(
                    f"{start.name} was trained for {start.card.task.name} in {start.card.model.dims}D, labels here are "
                    f"{self.project.settings.kind} in 2D; start biounet serve with another --model"
                )
            self._use(start)
        else:
            self.config, _ = choose_normalization(self.config, self._data)
            self._measure_again(self.config.train.normalization)
        self.config = fit_to_data(self.config, self._data).updated({"model.classes": self._classes})
        self.config, _ = choose_settings(self.config, Fingerprint.of(self._data))
        self.state = State.begin(self.config, self._fabric.device)
        if start is not None and not (own and self.state.resume(resumed)):
            weights = load_network(start.path)[0].state_dict()
            for ours in (self.state.net, self.state.average):
                transfer(ours, weights, start.plan(self.config, self._examples.target))

    def _fits(self, card: ModelCard) -> bool:
        """Whether a model was trained for planes with labels of this kind."""
        return card.task.name == self.project.settings.kind and card.model.dims == 2

    @property
    def _classes(self) -> int:
        """Classes of the network: those that will be drawn, not only those that are drawn yet."""
        named = len(self.project.settings.classes) if not self.project.numbered else 0
        most = 1 + LEVELS if self._examples.target == "distance" else 0
        return max(self._data.classes, named, most)

    def _use(self, start: StartingModel) -> None:
        """Take the network and the normalisation of a model."""
        taken = {name: value for name, value in start.settings.items() if name.startswith("model.")}
        taken["train.normalization"] = start.card.normalization.kind
        auto = tuple(name for name in self.config.train.auto if name not in taken)
        self.config = self.config.updated({**taken, "train.auto": auto})
        self._measure_again(start.card.normalization.kind)

    def _measure_again(self, normalization: Kind) -> None:
        """Read what is labelled anew, if it was normalised otherwise."""
        if self._examples.normalization.kind != normalization:
            self._examples = self._new_examples(normalization)
            self._data = self._examples.training_set()

    def _prepare(self) -> None:
        """Make samples of the labelled regions, those that have changed, and draw from all of them."""
        data: TrainingSet = self._data
        samples = {}
        for each in data.train:
            before = self._samples.get(id(each))
            if before is None or before[0] is not each:
                before = each, to_sample(each.read(), data, self.config)
            samples[id(each)] = before
        self._samples = samples
        self._sizes = _sizes([each.read().labels for each in data.train]) if self.project.numbered else self._sizes
        geometry = geometry_of(self.config.model)
        size = network_input_size(self.config, geometry, data.largest)
        drawn = [sample for _, sample in samples.values()]
        train = self.config.train.model_copy(update={"seed": int(time.time())})
        sampler = PatchSampler(drawn, geometry, size, self.config.augment, train)
        self._batches = sampler.batches(self.steps)


def _sizes(labels: list[NDArray[np.integer[Any]]]) -> NDArray[np.int64]:
    """Sizes of the numbered objects in some images, in pixels."""
    sizes = np.concatenate([np.bincount(each[each > 0].ravel()) for each in labels] or [np.zeros(0, np.int64)])
    return sizes[sizes > 0]


def _plain(box: Box) -> Box:
    """The box with plain numbers, for JSON."""
    return Box(tuple(map(int, box.start)), tuple(map(int, box.stop)))
