"""Labels that a network guesses for images without any, so that a run learns from them in its second part.

Pseudo-labels (Lee 2013, "Pseudo-Label"; Yarowsky 1995): the network is most often right where it is sure, and what it
learns from there is how such images look. What it is not sure of stays unknown.
"""

import shutil
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import nn

from biounet.config import RunConfig
from biounet.config.object_rules import ObjectRules
from biounet.core.array_store import ArrayFolder
from biounet.core.atomic_files import replacing
from biounet.core.errors import TrainingError
from biounet.core.labels import IGNORE
from biounet.core.words import counted, percent
from biounet.data.annotated_image import AnnotatedImage
from biounet.data.augment import Sample
from biounet.data.patches import PatchSampler, Samples
from biounet.data.sample_cache import SamplesOnDevice, to_sample
from biounet.segmentation import segment_objects
from biounet.training.choose_validation import tuned_pixels
from biounet.training.distributed import broadcast
from biounet.training.starting_model import FEW
from biounet.training.validation import predict_images, tune

if TYPE_CHECKING:
    from biounet.training.run import TrainingRun

__all__ = ["GUESSED", "GuessedLabels", "guess", "unlabelled_pixels"]


GUESSED = "guessed"
"""Folder of a run with the labels that it guessed."""

SURE = 0.8
"""Least probability of a class, and least mean probability of the foreground in an object, that is learnt from: of a
network in the middle of its run, which nothing has calibrated."""


PIXELS, PIXELS_A_MINUTE = 2**24, 2**20
"""Pixels whose labels are guessed at most, and for each minute of a run: a processor needs a second for a million."""


def unlabelled_pixels(config: RunConfig) -> int:
    """Most pixels whose labels a run guesses; of a run by steps no more than it learns from.

    >>> unlabelled_pixels(RunConfig.preset("default").updated({"train.minutes": 5}))
    5242880
    """
    minutes = config.train.minutes
    return int(min(PIXELS, tuned_pixels(config), inf if minutes is None else minutes * PIXELS_A_MINUTE))


def guess(probabilities: NDArray[np.float32], rules: ObjectRules | None) -> NDArray[np.int32]:
    """Labels of an image without any: what a network is sure of; IGNORE elsewhere.

    Parameters
    ----------
    probabilities : (classes, *spatial)
    rules : ObjectRules or None
        Given where objects are numbered.

    Returns
    -------
    int32 (*spatial)
        The most probable class, where its probability is at least `SURE`. Of objects those in which the mean
        probability of the foreground is; and background where that of the background is.

    Examples
    --------
    >>> guess(np.array([[[0.9, 0.5, 0.1]], [[0.1, 0.5, 0.9]]], np.float32), None)
    array([[ 0, -1,  1]], dtype=int32)
    >>> guess(np.array([[[0.1, 0.1, 0.7, 0.9]], [[0.9, 0.9, 0.3, 0.1]]], np.float32), ObjectRules())
    array([[ 1,  1, -1,  0]], dtype=int32)
    """
    if rules is None:
        classes: NDArray[np.int32] = np.where(probabilities.max(0) < SURE, IGNORE, probabilities.argmax(0))
        return classes.astype(np.int32)
    foreground = 1 - probabilities[0]
    labels = segment_objects(probabilities, rules).astype(np.int32)
    sums = np.bincount(labels.ravel(), foreground.ravel())
    doubtful = sums < SURE * np.bincount(labels.ravel())
    doubtful[0] = False
    labels[doubtful[labels] | ((labels == 0) & (foreground > 1 - SURE))] = IGNORE
    return labels


@dataclass
class GuessedLabels:
    """Images without labels, and the samples that a run draws from once it has guessed their labels.

    Parameters
    ----------
    run : TrainingRun
        With images in `unlabelled`.
    source : PatchSampler
        Of the labelled images.
    """

    run: "TrainingRun"
    source: PatchSampler

    @property
    def after(self) -> float:
        """Share of the run after which labels are guessed."""
        return self.run.config.train.unlabelled_after

    @property
    def takes_last(self) -> bool:
        """Whether the last network is kept: where labels were guessed, and few images are held out.

        They find a network from before the guess better as often as not, which the images without labels do not.
        """
        sure = any((image.labels != IGNORE).any() for image in self.run.guessed)
        return sure and 0 < len(self.run.data.validation) < FEW

    def begun(self, step: int) -> PatchSampler | None:
        """The samples of a run that goes on at a step; None if its labels were not guessed by then."""
        found = [folder.name.split("-") for folder in self._folder.glob("[0-9]*-*")]
        known = {int(at): digest for at, digest in found if int(at) <= step}
        if not known:
            return None
        if known[max(known)] != self._digest:
            raise TrainingError(
                f"the images of {self.run.config.train.unlabelled} (--unlabelled) are not those that labels were "
                "guessed for; bring them back, or train into a new folder"
            )
        return self._joined(max(known))

    def begin(self, net: nn.Module, step: int) -> tuple[PatchSampler, str]:
        """Guess labels by a network at a step, and write them; the samples, and a line about them."""
        run = self.run
        if run.is_main_process:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir()
            with replacing(self._labels_of(step)) as folder:
                folder.mkdir()
                store, rules = ArrayFolder(folder), self._rules(net)
                for number, probabilities in enumerate(predict_images(net, self.run.unlabelled, run.validation)):
                    store[(number,)] = guess(probabilities, rules)
        broadcast(run.fabric, 0)  # nobody goes on before the labels are there
        source, labels = self._joined(step), [image.labels for image in self.run.guessed]
        share = sum(int((each != IGNORE).sum()) for each in labels) / sum(each.size for each in labels)
        told = (
            f"labels guessed for {counted(len(labels), 'image')} without any: {percent(share)} of the pixels are sure"
        )
        return source, told if share else f"{told}, so nothing is learnt from them"

    @property
    def _folder(self) -> Path:
        return self.run.folder / GUESSED

    def _labels_of(self, step: int) -> Path:
        """Folder of the labels that were guessed at a step, for these images."""
        return self._folder / f"{step}-{self._digest}"

    @cached_property
    def _digest(self) -> str:
        """Digest of the pixels of the images, in which no two sets agree."""
        hashes = "".join(image.statistics.image_hash for image in self.run.unlabelled)
        return sha256(hashes.encode()).hexdigest()[:16]

    def _rules(self, net: nn.Module) -> ObjectRules | None:
        """Rules of objects that suit the network as it is, or those that stay; None where objects are not numbered."""
        validation = self.run.validation
        if validation.rules is None or not (validation.images and validation.finalise):
            return validation.rules
        images = list(validation.tuning_images)
        held_out, more = (predict_images(net, part, validation) for part in (validation.images, images))
        # The quick search, and the largest seed: joined objects would be learnt as one.
        return tune(held_out, validation, validation.rules, more=more, images=images, deadline=0.0)[0]

    def _joined(self, step: int) -> PatchSampler:
        """The labelled samples, and those with guessed labels after them, which the report of the run shows."""
        data, config, store = self.run.data, self.run.config, ArrayFolder(self._labels_of(step))
        self.run.guessed = guessed = [
            AnnotatedImage.of(image.name, image.image, store[number,], target=data.target, spacing=image.spacing)
            for number, image in enumerate(self.run.unlabelled)
        ]
        labelled = self.source.samples
        samples = SamplesOnDevice(labelled[0].image.device)
        samples.prepare(
            [image.target.shape[-2] for image in guessed], lambda at: [to_sample(guessed[at], data, config)]
        )
        spacing = [*self.source.anisotropy, *(image.anisotropy for image in guessed)] if self.source.anisotropy else ()
        further = self.source.further + len(guessed)
        return replace(self.source, samples=_Joined(labelled, samples), anisotropy=spacing, further=further)


@dataclass(frozen=True)
class _Joined:
    """Samples of two stores, one after the other."""

    first: Samples
    second: Samples

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def __getitem__(self, number: int, /) -> Sample:
        return self.first[number] if number < len(self.first) else self.second[number - len(self.first)]
