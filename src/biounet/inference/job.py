"""Jobs: one image to predict, whose tiles are read, predicted and encoded."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from biounet.core.boxes import Box
from biounet.core.errors import ConfigError, ImageError, ShapeError
from biounet.data.normalize import Normalization, measure
from biounet.inference.decoding import check_objects, decoder_of
from biounet.inference.ensemble import Ensemble, load_members, normalise
from biounet.inference.overlap_tile import Floats, run_tiles
from biounet.inference.tiles import Tile, TilePlan, check_tile, read_mirrored
from biounet.io import DecodingRoom, Selection, open_selected
from biounet.io.frames import Frame, frames_of
from biounet.io.identity import FileIdentity, check_unchanged
from biounet.measurement.checks import foreground
from biounet.models.device import choose_device, choose_precision
from biounet.models.model_file import ModelCard

__all__ = ["Job", "JobSettings", "TileTask", "as_trained", "load_ensemble", "measured_ways"]


REMEDY = "run again with --overwrite"

LOOK, RARELY = 2.0, 100
"""Seconds between two looks at the image while it is predicted, and how many times as long as a look at least."""


@dataclass(frozen=True)
class JobSettings:
    """Settings of a job, from which any process on any machine can open it.

    Parameters
    ----------
    models : model files
        Their probabilities are averaged, see `biounet.inference.ensemble`.
    input : Path
    selection : what is read of the input
    save : one of `biounet.config.tasks.OUTPUTS`
    device, precision : as for `biounet.models.device`
    tta : average over symmetries
    depth : of the U-Net to take out of a UNet++
    link : objects of neighbouring sections that lie over each other get one number
    confidence : the mean probability of the foreground in each object is kept
    close_gaps : gaps in membranes are closed or not; by default as the model files say
    factor : images are scaled by it before they are predicted
    adapt : batch normalisation is adapted to the image, see `biounet.inference.adaptation`
    """

    models: tuple[Path, ...]
    input: Path
    selection: Selection = Selection()
    save: str = "labels"
    device: str = "auto"
    precision: str = "auto"
    tta: bool = False
    depth: int | None = None
    link: bool = False
    confidence: bool = False
    close_gaps: bool | None = None
    factor: float = 1.0
    adapt: bool = False

    def fitted(self, card: ModelCard) -> "JobSettings":
        """Settings with an output that the model has: an image instead of labels where the model draws images.

        Raises
        ------
        ConfigError
            If the model has no such output, or no objects that could be linked.
        """
        task, target = card.task, card.target
        if self.link and (not task.saves_objects(self.save) or card.model.dims != 2):
            remedy = "save objects, or leave link out" if card.is_binary else "leave link out"
            raise ConfigError(
                "the objects of sections are linked where a 2D network saves labels of objects; this one has "
                f"{card.model.dims} axes and target {target}, to save are {self.save}; {remedy}"
            )
        if self.save == "objects":
            check_objects(card)
        save = task.output if self.save == "labels" else self.save
        if save not in task.outputs:
            raise ConfigError(f"the model has learnt target {target}, it cannot save {save}; leave --save away")
        return replace(self, save=save)


def as_trained(selection: Selection, card: ModelCard) -> tuple[Selection, list[str]]:
    """What is read of an image: without channels those that the network was trained on, where it was told some.

    Returns
    -------
    The selection, and what a person should know of it
    """
    train = card.training.get("settings", {}).get("train", {})
    channel, level, notes = train.get("channel"), train.get("level"), []
    if selection.channel is None and channel:
        selection = replace(selection, channel=tuple(map(int, channel)))
        listed = ",".join(map(str, channel))
        notes.append(f"channels {listed} are read, which the network was trained on; --channel takes others")
    if not selection.level and level:
        notes.append(f"the network was trained on level {level} of its images; --level {level} reads that")
    return selection, notes


def load_ensemble(settings: JobSettings) -> Ensemble:
    """Networks of a job on their device; they serve for all jobs that differ in their input only.

    Raises
    ------
    ModelFileError, ConfigError
    """
    device = choose_device(settings.device)
    attention = settings.save == "attention"
    members = load_members(settings.models, depth=settings.depth, attention=attention, close_gaps=settings.close_gaps)
    precision = choose_precision(settings.precision, device)
    options: dict[str, Any] = {"tta": settings.tta, "factor": settings.factor, "adaptable": settings.adapt}
    return Ensemble(members, device=device, precision=precision, **options)


@dataclass(frozen=True)
class TileTask:
    """One tile of one frame, to be predicted by any process.

    Parameters
    ----------
    frame : number of the frame in the image
    tile : Tile
    normalizations : with the statistics of the frame; as many as the ensemble has
    """

    frame: int
    tile: Tile
    normalizations: tuple[Normalization, ...]


class Job:
    """An image and the networks that predict it, open: its tiles can be read, predicted and encoded.

    Parameters
    ----------
    settings : JobSettings
    net : Ensemble
    step : pixels per spatial axis that a tile delivers
        By default one grid of the network; `cut` changes it.
    identity : FileIdentity
        Of the image, from before it was opened, for `check_input`. None, as in workers: it is not checked.
    room : memory for what must be decoded of the image at once; by default that of `biounet.io.open_lazily`

    Raises
    ------
    ImageError
        If the image cannot be opened.
    ShapeError
        If the image does not have the axes or channels of the network, or no sections that could be linked.
    """

    def __init__(
        self,
        settings: JobSettings,
        net: Ensemble,
        *,
        step: tuple[int, ...] | None = None,
        identity: FileIdentity | None = None,
        room: DecodingRoom | None = None,
    ) -> None:
        self.settings, self.card = settings, net.card
        self.identity, self._look = identity, time.monotonic() + LOOK
        self._decoder = decoder_of(net.card, save=settings.save)
        model = self.card.model
        with ExitStack() as stack:
            self.image = stack.enter_context(open_selected(settings.input, settings.selection, room=room))
            self.frames = frames_of(self.image, dims=model.dims, channels=model.in_channels, name=settings.input.name)
            if settings.link and "Z" not in self.image.axes:
                raise ShapeError(
                    f"{settings.input.name} has axes {self.image.axes}, so there are no sections to link; "
                    "leave --link out, or give --axes"
                )
            first = Box((0,) * len(self.image.shape), (1,) * len(self.image.shape))
            self.image.read(first)  # what cannot be decoded is refused before anything is written
            middle = self.frames.middle
            self.net = net.adapted(middle, measured_ways(middle, net)) if settings.adapt else net
            self._files = stack.pop_all()
        sample = self._decoder.encode(np.zeros((model.classes,) + (1,) * model.dims, np.float32), self.card)
        self.channels, self.dtype = len(sample), sample.dtype
        self.cut(step or net.geometry.grid)

    def cut(self, step: tuple[int, ...]) -> None:
        """Cut the image into tiles that deliver `step` pixels per spatial axis."""
        self.tiles = TilePlan(self.frames[0].shape[1:], step, self.net.geometry)

    @property
    def numbers_objects(self) -> bool:
        """Whether tiles are encoded as elevation maps, from which the objects of a whole frame are numbered."""
        return self._decoder.numbers_objects

    @property
    def closes_gaps(self) -> bool:
        """Whether tiles are encoded as the probability of the foreground, in which gaps are closed in a whole frame."""
        return self.card.close_gaps

    @property
    def by_frame(self) -> bool:
        """Whether the result is made of whole frames, so that their tiles are kept until then."""
        return self.numbers_objects or self.closes_gaps

    @property
    def saves_floats(self) -> bool:
        """Whether pixels are saved as the network gives them: probabilities, predicted images, attention maps."""
        return self.dtype.kind == "f"

    @property
    def axes(self) -> str:
        """Axes of the result: those of the image, with a channel axis only where there are several channels."""
        plain = self.image.axes.replace("C", "")
        return plain if self.channels == 1 else "T" * ("T" in plain) + "C" + plain.replace("T", "")

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels per axis of the result."""
        sizes = {**dict(zip(self.image.axes, self.image.shape, strict=True)), "C": self.channels}
        return tuple(sizes[axis] for axis in self.axes)

    def tasks(self, frame: int) -> Iterator[TileTask]:
        """All tiles of a frame, whose statistics are measured first."""
        measured = measured_ways(self.frames[frame], self.net)
        return (TileTask(frame, tile, measured) for tile in self.tiles)

    def check_input(self, *, quick: bool = False) -> None:
        """Refuse to call a result complete whose image changed since before it was opened; see `check_unchanged`."""
        if self.identity is not None:
            check_unchanged(self.settings.input, self.identity, verb="predicted", remedy=REMEDY, quick=quick)

    def read(self, task: TileTask) -> Floats:
        """Normalised pixels of the input region of a tile, one copy for each normalisation.

        Now and then it looks whether the image has changed, so that no hours are lost.

        Raises
        ------
        ImageError
        """
        began = time.monotonic()
        if began > self._look:
            self.check_input(quick=True)
            ended = time.monotonic()
            self._look = ended + max(LOOK, RARELY * (ended - began))
        return normalise(read_mirrored(self.frames[task.frame], task.tile.input), task.normalizations)

    def encode(self, task: TileTask, probabilities: Floats) -> NDArray[Any]:
        """Pixels (C, *spatial) of the output region of a tile, as they are stored.

        The pixels are those that are saved, or what a whole frame is made of: the probability of the foreground, where
        gaps are closed; an elevation map, where objects are numbered, and then, if the confidence of objects is wanted,
        the probability of the foreground as a second channel.
        """
        inside = probabilities[(slice(None), *(slice(size) for size in task.tile.output.shape))]
        if self.closes_gaps:
            return inside[1:]
        pixels = self._decoder.encode(inside, self.card)
        if self.numbers_objects and self.settings.confidence:
            return np.concatenate([pixels, foreground(inside[1:] if len(inside) == 2 else inside)])
        return pixels

    def encode_foreground(self, foreground: Floats) -> NDArray[Any]:
        """Pixels (C, *spatial) as they are saved, of the probability of the foreground (*spatial) of two classes."""
        return self._decoder.encode(np.stack([1 - foreground, foreground]), self.card)

    def _check(self, task: TileTask, probabilities: Floats) -> None:
        """Refuse a tile that is not finite, in words that name the image and the frame."""
        frame = self.frames[task.frame]
        try:
            check_tile(probabilities, task.tile.output, position=frame.position)
        except ImageError as error:
            raise ImageError(f"{frame.name}: {error}") from error

    def run(
        self, tasks: Iterable[TileTask], put: Callable[[TileTask, NDArray[Any]], None], *, batch: int = 1
    ) -> Iterator[int]:
        """Predict tiles in this process, and put each where it belongs; see `run_tiles`."""

        def write(task: TileTask, probabilities: Floats) -> None:
            self._check(task, probabilities)
            put(task, self.encode(task, probabilities))

        return run_tiles(self.net, tasks, self.tiles.step, read=self.read, write=write, batch=batch)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self._files.close()
        if kind is not None and issubclass(kind, ImageError):
            self.check_input()  # a change is the better reason why it cannot be read


def measured_ways(frame: Frame, net: Ensemble) -> tuple[Normalization, ...]:
    """Normalisations of networks with the statistics of a frame.

    Parameters
    ----------
    frame : Frame
    net : Ensemble

    Returns
    -------
    as many as `Ensemble.normalizations`
    """
    return tuple(measure(frame, way) for way in net.normalizations)
