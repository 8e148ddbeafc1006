"""A training run: a dataset and settings become a folder with a trained model."""

import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from biounet.config import RunConfig, TrainConfig
from biounet.core.errors import ConfigError, LabelError, OutputError
from biounet.core.geometry import Geometry
from biounet.core.memory import freed_memory_kept
from biounet.core.output_lock import holding
from biounet.data.annotated_image import AnnotatedImage
from biounet.data.hashes import dataset_hash, image_hashes
from biounet.data.normalize import Normalization
from biounet.data.patches import UNLABELLED, PatchSampler, network_input_size, tell_cut_patch
from biounet.data.sample_cache import choose_sample_device, prepare_samples, sample_store
from biounet.data.training_set import TrainingSet
from biounet.data.unlabelled_images import read_unlabelled
from biounet.inference.calibration import Calibration
from biounet.io import Selection
from biounet.models import check_task, geometry_of
from biounet.models.device import choose_training_precision
from biounet.models.model_file import ModelCard, save_network
from biounet.models.pretrained import check_model
from biounet.training.auto_settings import Fingerprint, choose_settings
from biounet.training.auto_width import fit_minutes
from biounet.training.choose_validation import choose_validation
from biounet.training.distributed import broadcast, check_share, in_precision
from biounet.training.finalise import Show, show_nothing
from biounet.training.finish_model import finish_model
from biounet.training.forecast import Forecast, forecast
from biounet.training.guessed_labels import GuessedLabels, unlabelled_pixels
from biounet.training.loop import Step, fit
from biounet.training.losses import check_loss
from biounet.training.run_folder import begin_folder, check_folder, clear_parts, lengthen
from biounet.training.starting_model import StartingModel, first_rules, keeps_fit, starting_model, taken_over
from biounet.training.step import State
from biounet.training.validation import Validation, ValidationResult, predict, score

__all__ = ["TrainingRun", "selection_of"]


PREPARED = "prepared"
"""Folder of a run with the files that patches are cut from, where memory does not hold the images; gone at the end."""


def selection_of(train: TrainConfig) -> Selection:
    """The part of each file that a run reads."""
    return Selection(train.axes, train.series, train.channel, train.level)


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
    began : seconds of `clock`
        When the minutes of the budget began to count.
    """

    config: RunConfig
    data: TrainingSet
    normalization: Normalization
    folder: Path
    fabric: Fabric
    began: float = field(default_factory=time.monotonic)
    reasons: dict[str, str] = field(default_factory=dict)
    """Reasons for the values of settings that were not given by hand."""
    clock: Callable[[], float] = time.monotonic
    show_end: Show = field(default_factory=lambda: show_nothing, init=False)
    """Takes the share of the work after the last step that is done, and what is being done."""
    result: ValidationResult | None = field(default=None, init=False)
    """Scores and results on the held-out images at the last validation; at the end, of the finished model."""
    share: float | None = field(default=None, init=False)
    """Share of the trained weights in the finished model, where the others are those of the model to begin with."""
    calibration: Calibration | None = field(default=None, init=False)
    """Calibration error of the trained network, before and after it was calibrated; known at the end of the run."""
    guessed: Sequence[AnnotatedImage] = field(default=(), init=False)
    """The images of `unlabelled`, once labels are guessed for them."""
    _holds: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        check_loss(self.config.train.loss, self.data.task)
        check_task(self.config.model.name, self.data.task)
        if not self.data.counts[1:].any():
            raise LabelError(UNLABELLED)
        given = self.config.train.precision
        precision, reason = choose_training_precision(given, self.fabric.device, dims=self.config.model.dims)
        if reason:
            self.config, self.fabric = (
                self.config.updated({"train.precision": precision}),
                in_precision(self.fabric, precision),
            )
            self.reasons["train.precision"] = reason

    @cached_property
    def validation(self) -> Validation:
        """The held-out images, and how networks are scored on them."""
        rules = first_rules(self.start, self.data) if self.data.task.numbered else None
        keeps = keeps_fit(self.start, self.data)
        options: dict[str, Any] = {"device": self.fabric.device, "tunes": self.is_main_process, "keeps": keeps}
        return choose_validation(self.config, self.data, rules, clock=self.clock, **options)

    def validate(self, net: nn.Module, *, progress: Callable[[float], None] = lambda share: None) -> ValidationResult:
        """Predict and score the held-out images, and keep the result.

        The arrays of the result before are released first, since memory may not hold both.
        """
        self.result = self.result and self.result.without_arrays()
        self.result = score(predict(net, self.validation, progress=progress), self.validation)
        return self.result

    @cached_property
    def start(self) -> StartingModel | None:
        """The model that the run begins with; None for random weights."""
        return starting_model(self.config.train)

    @cached_property
    def unlabelled(self) -> Sequence[AnnotatedImage]:
        """Images without labels, whose labels the run guesses; none if it is given none."""
        train = self.config.train
        if train.unlabelled is None:
            return ()
        if not self.data.task.has_labels:
            raise ConfigError("--unlabelled is for labels, the dataset has target images; leave it out")
        options: dict[str, Any] = {"pixels": unlabelled_pixels(self.config), "selection": selection_of(train)}
        return read_unlabelled(Path(train.unlabelled), self.data, self.normalization, **options)

    @property
    def is_main_process(self) -> bool:
        """Whether this process, of several that train together, is the one that writes files and messages."""
        return self.fabric.global_rank == 0

    def choose_settings(self) -> dict[str, str]:
        """Choose the settings that follow from the images and the machine; return the reasons, by setting."""
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
        if "train.patch" not in auto and (cut := tell_cut_patch(self.config, self._geometry, self.data.largest)):
            self.reasons["train.patch"] = cut
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
            Go on with the run in the folder, made from the same settings; only its budget may be larger.

        Raises
        ------
        OutputError
            If another process trains into the folder, or it is not empty and the run is not to be resumed.
        TrainingError
            If there is nothing to resume, or the settings or the data have changed.
        """
        geometry = self._geometry  # an unknown model is refused here, before anything is written
        if not resume:  # and so are weights of another one
            check_model(self.config.model)
        if self.is_main_process:
            self.check_folder(resume=resume)
        with self.holding():
            if self.is_main_process:
                clear_parts(self.folder)
            if self.is_main_process and not resume:
                begin_folder(self.folder, self.config, self.reasons, self.hashes)
            elif self.is_main_process:
                lengthen(self.folder, self.config)
            broadcast(self.fabric, 0)  # nobody goes on before the folder is there
            yield from self._train(geometry, resume)

    def _train(self, geometry: Geometry, resume: bool) -> Generator[Step]:
        """Train into a folder that is ready."""
        source = self._source(geometry, self.folder / PREPARED, self.data)
        began = inf
        times: dict[str, Any] = {"began": self.began, "clock": self.clock}
        made = self._card(), self.folder
        later = GuessedLabels(self, source) if self.unlabelled else None
        steps = fit(self.config, source, self.validate, *made, fabric=self.fabric, resume=resume, later=later, **times)
        # Without `closing`, the error of a checkpoint that cannot be written when a run is stopped would be lost.
        with freed_memory_kept(), closing(steps):
            for step in steps:
                began = min(began, self.clock() - step.seconds)  # minutes before a run was resumed count
                yield step
        if self.is_main_process and self._is_finalised:
            finish_model(self, source, deadline=began + 60 * (self.config.train.minutes or inf))
        if self.is_main_process:
            shutil.rmtree(self.folder / PREPARED, ignore_errors=True)

    @property
    def _is_finalised(self) -> bool:
        """Whether the end of the run fits settings of prediction to the held-out images."""
        return self.config.train.finalise and self.validation.has_labels and self.data.task.has_labels

    def forecast(self) -> Forecast:
        """Measure the time and memory that the run will take; no file stays."""
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            excerpt, share = self.data.excerpt()
            source = self._source(self._geometry, Path(folder), excerpt)
            return self._measured(source, (time.monotonic() - began) * (1 / share - 1))

    def _measured(self, source: PatchSampler, others: float = 0.0) -> Forecast:
        """Measure the time and memory of the run; `others` are seconds to prepare the other images."""
        begin = self.clock() - self.began + others
        options: dict[str, Any] = {"fabric": self.fabric, "begin": begin, "write": self._write_temporarily}
        return forecast(self.config, source, self.validation, **options)

    def _write_temporarily(self, state: State) -> None:
        """Write the files of a report into a temporary folder, as far as the disk has room for them."""
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
        anisotropy, further = [each.anisotropy for each in data.train], min(data.further, len(samples) - 1)
        return PatchSampler(samples, geometry, size, augment, train, wanted, anisotropy, further)

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Context in which nobody else writes into the folder; it may stand in another of the same run.

        Raises
        ------
        OutputError
            If another run is written into the folder, see `biounet.core.output_lock.holding`.
        """
        if self._holds or not self.is_main_process:
            yield
            return
        with holding((), folder=self.folder):
            self._holds = True
            try:
                yield
            finally:
                self._holds = False

    def check_folder(self, *, resume: bool) -> None:
        """Check that the run may be written into its folder, see `biounet.training.run_folder`; nothing is written."""
        with self.holding() if self.folder.is_dir() else nullcontext():
            check_folder(self.folder, self.config, self.hashes, resume=resume)

    @cached_property
    def hashes(self) -> dict[str, str]:
        """Hash of each image with its labels, by name."""
        return image_hashes(self.data)

    def _card(self) -> ModelCard:
        return ModelCard(
            model=self.config.model,
            normalization=self.data.normalization or self.normalization,
            target_normalization=self.data.target_normalization,
            target=self.data.target,
            **self.data.remembered(magnified=self.config.augment.scale),
            rules=self.validation.rules if self.config.train.finalise else None,
            **taken_over(self.start, self.data, fitted=self.validation.has_labels),
            training={
                **({"start": self.start.identity} if self.start else {}),
                "settings": self.config.model_dump(mode="json", exclude={"model"}),
                "data": dataset_hash(self.hashes),
                "trained_on": self.data.trained_on,
                "validated_on": [item.name for item in self.data.validation],
            },
        )
