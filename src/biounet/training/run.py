"""One experiment: a dataset and settings become a run folder with a trained model in it."""

import copy
import shutil
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import takewhile
from math import inf
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from biounet.config import AugmentConfig, RunConfig
from biounet.config.object_rules import ObjectRules
from biounet.core.errors import LabelError, OutputError
from biounet.core.geometry import Geometry
from biounet.data.hashes import dataset_hash, image_hashes
from biounet.data.normalize import Normalization
from biounet.data.patches import UNLABELLED, PatchSampler, network_input_size
from biounet.data.sample_cache import choose_sample_device, prepare_samples, sample_store
from biounet.data.training_set import TrainingSet
from biounet.inference.calibration import Calibration
from biounet.models import check_task, geometry_of
from biounet.models.device import choose_precision
from biounet.models.model_file import ModelCard, load_network, save_network
from biounet.models.pretrained import check_model
from biounet.training.auto_settings import Fingerprint, choose_settings
from biounet.training.auto_width import fit_minutes
from biounet.training.checkpoint import hold
from biounet.training.distributed import broadcast, check_share
from biounet.training.forecast import Forecast, forecast
from biounet.training.loop import Step, fit
from biounet.training.losses import check_loss
from biounet.training.optimizer import measure_statistics
from biounet.training.run_folder import begin_folder, check_folder, clear_parts
from biounet.training.step import State
from biounet.training.time_budget import time_to_finalise
from biounet.training.tuning_images import choose_tuning_images
from biounet.training.validation import Validation

__all__ = ["TrainingRun"]


WIDER = 2
"""How much wider than patches, if images allow it, are the pieces of them that statistics are measured on."""

BATCHES = 16
"""How many batches of such pieces."""

SEARCHING = 0.1
"""Largest share of the minutes that is kept for the search for rules; it goes on as long as minutes are left."""

PREPARED = "prepared"
"""Folder of a run with the files that patches are cut from, where memory does not hold the images; gone at the end."""


@dataclass
class TrainingRun:
    """Settings, data and folder of a run, ready to be trained.

    Parameters
    ----------
    config : RunConfig
        Complete: it fits the data, and says how long to train.
    data : TrainingSet
    normalization : Normalization
        The one that `data` were read with.
    folder : Path
        Of the run.
    fabric : Fabric
        As `biounet.training.distributed.make_fabric` makes it.
    began : seconds of `time.monotonic`
        When the minutes of the budget began to count.
    """

    config: RunConfig
    data: TrainingSet
    normalization: Normalization
    folder: Path
    fabric: Fabric
    began: float = field(default_factory=time.monotonic)
    reasons: dict[str, str] = field(default_factory=dict)
    """Why settings are what they are, for those that were not given by hand."""
    calibration: Calibration | None = field(default=None, init=False)
    """How far the probabilities of the trained network are from what is true; known when the run is at its end."""

    def __post_init__(self) -> None:
        check_loss(self.config.train.loss, self.data.task)
        check_task(self.config.model.name, self.data.task)
        if not self.data.counts[1:].any():
            raise LabelError(UNLABELLED)

    @cached_property
    def validation(self) -> Validation:
        """Scores of the held-out images; where gaps weigh more, telling objects apart counts too."""
        precision = choose_precision(self.config.train.precision, self.fabric.device)
        apart = self.data.task.has_classes and self.config.train.border_weight > 0 and self.config.model.classes == 2
        numbered = self.data.task.numbered
        seen, pixels = (
            choose_tuning_images(self.data, self.config.train.minutes) if numbered and self.is_main_process else ((), 0)
        )
        return Validation(
            self.data.validation,
            self.fabric.device,
            precision,
            objects=self.data.objects if apart else None,
            rules=self._first_rules if numbered else None,
            units=self.data.target_normalization,
            seen=seen,
            seen_pixels=pixels,
        )

    @property
    def _first_rules(self) -> ObjectRules:
        """Rules that the search for better ones begins with."""
        return ObjectRules(target=self.data.target, **self.data.task.first_rules.get(self.data.target, {}))

    @property
    def is_main_process(self) -> bool:
        """Whether this process, of several that train together, is the one that writes and speaks."""
        return self.fabric.global_rank == 0

    def finalise(self) -> dict[str, str]:
        """Settle what the settings leave to the images and the machine; return the reasons, by setting."""
        auto, processes = self.config.train.auto, self.fabric.world_size
        if auto:
            self.config, reasons = choose_settings(self.config, Fingerprint.of(self.data))
            self.reasons |= reasons
        if "train.batch" in auto and self.config.train.batch < processes:
            self.config = self.config.updated({"train.batch": processes})
            self.reasons["train.batch"] = f"a patch for each of {processes} processes"
        check_share(self.config.train.batch, processes)
        if self._sample_device[1]:
            self.reasons["train.memory"] = self._sample_device[1]
        if self.config.train.minutes is not None:
            size = network_input_size(self.config, self._geometry, self.data.largest)
            self.config, reasons = fit_minutes(self.config, auto, size, fabric=self.fabric)
            self.reasons |= reasons
        return self.reasons

    @cached_property
    def _sample_device(self) -> tuple[torch.device | None, str]:
        """Device of the samples, chosen before the network takes memory itself, and why; None: they lie in files."""
        return choose_sample_device(self.data, self.config, self.fabric.device)

    @property
    def _geometry(self) -> Geometry:
        return geometry_of(self.config.model)

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
            If there is nothing to resume, the settings or the data have changed, or another process
            trains into the folder.
        """
        geometry = self._geometry  # an unknown model is refused here, before anything is written
        if not resume:  # and so are weights of another one
            check_model(self.config.model)
        if self.is_main_process:
            self.check_folder(resume=resume)
        with hold(self.folder) if self.is_main_process else nullcontext():
            if self.is_main_process:
                clear_parts(self.folder)
            if self.is_main_process and not resume:
                begin_folder(self.folder, self.config, self.reasons, self.hashes)
            broadcast(self.fabric, 0)  # nobody goes on before the folder is there
            yield from self._train(geometry, resume)

    def _train(self, geometry: Geometry, resume: bool) -> Generator[Step]:
        """Train into a folder that is ready."""
        source = self._source(geometry, self.folder / PREPARED, self.data)
        began = inf
        for step in fit(
            self.config,
            source,
            self.validation,
            self._card(),
            self.folder,
            fabric=self.fabric,
            resume=resume,
            began=self.began,
            afterwards=lambda: time_to_finalise(self.config.train, *self._finalising(self.validation)),
        ):
            began = min(began, time.monotonic() - step.seconds)  # minutes before a run was resumed count
            yield step
        if self.is_main_process and self._learns_from_held_out:
            self._finalise_model(source, began + 60 * (self.config.train.minutes or inf))
        if self.is_main_process:
            shutil.rmtree(self.folder / PREPARED, ignore_errors=True)

    @property
    def _learns_from_held_out(self) -> bool:
        """Whether the held-out images tell more than which network is best."""
        return self.validation.has_labels and self.data.task.has_labels

    def _finalising(self, last: Validation, share: float = 1.0) -> tuple[float, float]:
        """Seconds of what must, and of what may follow the last step, as a validation of a share of all tells."""
        train, pixels = self.config.train, 0
        if not self._learns_from_held_out:
            return 0.0, 0.0
        if self.config.model.norm == "batch":
            pixels = BATCHES * train.batch * (WIDER * train.patch) ** self.config.model.dims
        needed, search = (share * seconds for seconds in last.finalising_seconds())
        search = search if train.minutes is None else min(search, SEARCHING * 60 * train.minutes)
        return needed, search + last.prediction_seconds(pixels)

    def _finalise_model(self, source: PatchSampler, deadline: float) -> None:
        """Settle all that is left to learn of the network that was kept, and write it into the model file."""
        path = self.folder / "model.safetensors"
        net, card = load_network(path)
        until = deadline - self.validation.finalising_seconds()[0]
        net, facts = self._with_best_statistics(net.to(self.fabric.device), card.training, source, until)
        self.calibration, learnt = self.validation.finalise(net, deadline=deadline)
        save_network(path, net, card.model_copy(update={"training": facts, **learnt}), overwrite=True)

    def _with_best_statistics(
        self, net: nn.Module, facts: Mapping[str, Any], source: PatchSampler, until: float
    ) -> tuple[nn.Module, dict[str, Any]]:
        """Take the statistics of unchanged images, as many as time allows, if those held out are not worse for it."""
        if self.config.model.norm != "batch":
            return net, dict(facts)
        measured = copy.deepcopy(net)
        wider = self.config.updated({"train.patch": WIDER * self.config.train.patch})
        size = network_input_size(wider, self._geometry, self.data.largest)
        still = replace(source, augment=AugmentConfig(elastic=0, rotate=0, mirror=False), size=size)
        steps = takewhile(lambda step: not step or time.monotonic() < until, range(BATCHES))
        measure_statistics(measured, (still.batch(step).image for step in steps))
        scores = self.validation(measured)
        if scores["score"] < facts["scores"]["score"]:
            return net, dict(facts)
        return measured, {**facts, "scores": scores, "statistics": "of unchanged images"}

    def forecast(self) -> Forecast:
        """Measure what the run will take; nothing is written that stays."""
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            excerpt, share = self.data.excerpt()
            source = self._source(self._geometry, Path(folder), excerpt)
            return self._measured(source, (time.monotonic() - began) * (1 / share - 1))

    def _measured(self, source: PatchSampler, others: float = 0.0) -> Forecast:
        """Measure what the run will take; preparing the other samples takes so many seconds more."""
        begin = time.monotonic() - self.began + others
        options: dict[str, Any] = {"fabric": self.fabric, "begin": begin, "keep": self._keep_for_a_while}
        return forecast(self.config, source, self.validation, self._finalising, **options)

    def _keep_for_a_while(self, state: State) -> None:
        """Write what a report writes, where it does not stay; as much of it as there is room for."""
        with tempfile.TemporaryDirectory() as place, suppress(OutputError):
            state.save(Path(place))
            save_network(Path(place) / "model.safetensors", state.average, self._card())

    def _source(self, geometry: Geometry, folder: Path, data: TrainingSet) -> PatchSampler:
        """Prepare the samples on the device, in memory or in files of a folder, and draw patches from them."""
        size = network_input_size(self.config, geometry, self.data.largest)
        augment, train, device = self.config.augment, self.config.train, self.fabric.device
        store = sample_store(self._sample_device[0], folder, len(data.train))
        rank, ranks = self.fabric.global_rank, self.fabric.world_size
        samples = prepare_samples(data, self.config, store, rank=rank, ranks=ranks)
        broadcast(self.fabric, 0)  # nobody goes on before all samples are there
        wanted = None if samples.device == device else device
        return PatchSampler(samples, geometry, size, augment, train, wanted)

    def check_folder(self, *, resume: bool) -> None:
        """Refuse a folder that the run may not be written into, see `biounet.training.run_folder`; write nothing."""
        check_folder(self.folder, self.config, self.hashes, resume=resume)

    @cached_property
    def hashes(self) -> dict[str, str]:
        """What the data are, by name."""
        return image_hashes(self.data)

    def _card(self) -> ModelCard:
        return ModelCard(
            model=self.config.model,
            normalization=self.data.normalization or self.normalization,
            target_normalization=self.data.target_normalization,
            target=self.data.target,
            rules=self.validation.rules,
            training={
                "settings": self.config.model_dump(mode="json", exclude={"model"}),
                "data": dataset_hash(self.hashes),
                "trained_on": self.data.trained_on,
                "validated_on": [item.name for item in self.data.validation],
            },
        )
