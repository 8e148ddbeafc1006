"""One image to predict: what has to be done, in words that can be sent to another process, and doing it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from biounet.core.boxes import Box
from biounet.core.errors import ConfigError, ShapeError
from biounet.data.normalize import Normalization, measure
from biounet.inference.ensemble import Ensemble, joint_card, load_members
from biounet.inference.overlap_tile import TileNet, Work, run_tiles
from biounet.inference.tile_store import TileStore
from biounet.inference.tiles import Tile, TilePlan, read_mirrored
from biounet.io import open_lazily
from biounet.io.frames import frames_of
from biounet.measurement.checks import foreground
from biounet.models.device import choose_device, choose_precision
from biounet.models.model_file import ModelCard
from biounet.segmentation import make_elevation, segment

__all__ = ["Job", "OpenJob", "Predictor", "Sink", "Task"]


@dataclass(frozen=True)
class Task:
    """One tile of one frame."""

    frame: int
    index: tuple[int, ...]
    normalizations: tuple[Normalization, ...]
    """With the statistics of the frame; several where the models of an ensemble normalise in several ways."""

    def normalise(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Normalise pixels (C, *spatial) in each way, one after the other along the axis of channels."""
        copies = [normalization.apply(pixels) for normalization in self.normalizations]
        return copies[0] if len(copies) == 1 else np.concatenate(copies)


class Sink(Protocol):
    """Where the pixels of tasks go."""

    @property
    def path(self) -> Path | None:
        """A store that other processes may write whole tiles to, as `store` would."""

    def store(self, task: Task, pixels: NDArray[Any]) -> None:
        """Take the pixels (C, *spatial) of a task."""


@dataclass(frozen=True)
class Job:
    """What is to be predicted and how: all that a worker on another machine must know.

    Parameters
    ----------
    models : model files
        Their probabilities are averaged, see `biounet.inference.ensemble`.
    input : Path
    axes : of the input, where the file does not tell
    save : what is stored
    device, precision : as `biounet.models.device` takes them
    tta : average over symmetries
    depth : of the U-Net to take out of a UNet++
    link : give the objects of neighbouring sections one number where they lie over each other
    confidence : where objects are numbered, keep how probable the foreground is in each
    """

    models: tuple[Path, ...]
    input: Path
    axes: str | None = None
    save: str = "labels"
    device: str = "auto"
    precision: str = "auto"
    tta: bool = False
    depth: int | None = None
    link: bool = False
    confidence: bool = False

    def fitting(self, card: ModelCard) -> "Job":
        """What a model can do of this: an image where it draws one and nothing else was asked for.

        Raises
        ------
        ConfigError
            If what is asked for is nothing that such a model gives.
        """
        task, target = card.task, card.target
        if self.link and (self.save != "labels" or not task.numbered or card.model.dims != 2):
            raise ConfigError(
                "the objects of sections are linked where a 2D network saves labels of objects; this one has "
                f"{card.model.dims} axes and target {target}, to save are {self.save}; leave link out"
            )
        save = task.output if self.save == "labels" else self.save
        if save not in task.outputs:
            raise ConfigError(f"the model has learnt target {target}, it cannot save {save}; leave --save away")
        return replace(self, save=save)


class Predictor:
    """The networks of a job on their device; it serves for all jobs that differ in their input only.

    Raises
    ------
    ModelFileError, ConfigError
    """

    def __init__(self, job: Job) -> None:
        device = choose_device(job.device)
        options: dict[str, Any] = {"device": device, "precision": choose_precision(job.precision, device)}
        members = load_members(job.models, depth=job.depth, attention=job.save == "attention")
        ways = [card.normalization for _, card in members]
        self.normalizations = tuple(dict.fromkeys(ways))
        self.card = joint_card([card for _, card in members])
        self.net = Ensemble(
            [TileNet(net, tta=job.tta, **card.output_options, **options) for net, card in members],
            copies=[self.normalizations.index(way) for way in ways],
            classes=self.card.model.classes,
        )


class OpenJob:
    """A job with its network and its image at hand.

    Parameters
    ----------
    job : Job
    predictor : Predictor
    step : pixels per spatial axis that a tile delivers
        May be given later by `cut`.

    Raises
    ------
    ImageError
        If the image cannot be opened.
    ShapeError
        If it does not have the axes or channels of the network, or no sections that could be linked.
    """

    def __init__(self, job: Job, predictor: Predictor, *, step: tuple[int, ...] | None = None) -> None:
        self.job, self.net, self.card = job, predictor.net, predictor.card
        self._normalizations = predictor.normalizations
        model = self.card.model
        with ExitStack() as stack:
            self.image = stack.enter_context(open_lazily(job.input, axes=job.axes))
            self.frames = frames_of(self.image, dims=model.dims, channels=model.in_channels, name=job.input.name)
            if job.link and "Z" not in self.image.axes:
                raise ShapeError(
                    f"{job.input.name} has axes {self.image.axes}, so there are no sections to link; "
                    "leave --link out, or give --axes"
                )
            self._files = stack.pop_all()
        self.cut(step or self.net.geometry.grid)

    def cut(self, step: tuple[int, ...]) -> None:
        """Cut the image into tiles that deliver `step` pixels per spatial axis."""
        self.tiles = TilePlan(self.frames[0].shape[1:], step, self.net.geometry)

    @property
    def spatial_axes(self) -> str:
        """The axes of tiles."""
        return "ZYX"[-self.net.dims :]

    @property
    def channels(self) -> int:
        """Channels that are stored: of two classes only the foreground, of labels one."""
        classes = self.card.model.classes
        if self.job.save in ("image", "attention"):
            return classes
        return classes if self.job.save == "probabilities" and classes > 2 else 1

    @property
    def save_objects(self) -> bool:
        """Whether objects are to be numbered: then tiles deliver an elevation map, see `make_elevation`."""
        return self.job.save == "labels" and self.card.task.numbered

    @property
    def saves_floats(self) -> bool:
        """Whether what a network gives is stored as it is: probabilities, the image that it draws, attention maps."""
        return self.job.save in ("probabilities", "image", "attention")

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels that tasks deliver."""
        if self.saves_floats:
            return np.dtype(np.float32)
        return np.dtype(np.uint8 if self.card.model.classes <= 256 or self.save_objects else np.uint16)

    @property
    def axes(self) -> str:
        """Axes of the result: those of the image, the channel axis only where it is needed."""
        plain = self.image.axes.replace("C", "")
        return plain if self.channels == 1 else "T" * ("T" in plain) + "C" + plain.replace("T", "")

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels per axis of the result."""
        sizes = {**dict(zip(self.image.axes, self.image.shape, strict=True)), "C": self.channels}
        return tuple(sizes[axis] for axis in self.axes)

    def tasks(self, frame: int) -> Iterator[Task]:
        """All that there is to do of a frame; its statistics are measured first."""
        measured = tuple(measure(self.frames[frame], way) for way in self._normalizations)
        return (Task(frame, index, measured) for index in self.indices())

    def indices(self) -> Iterator[tuple[int, ...]]:
        """LabelIndex of the tiles of a frame in the grid of tiles."""
        return np.ndindex(self.tiles.counts)

    def tile(self, task: Task) -> Tile:
        """Return the regions that a task reads and delivers."""
        return self.tiles.tile(task.index)

    def place(self, frame: int, box: Box, axes: str) -> Box:
        """Where the pixels of a region of a frame belong in an output with these axes."""
        return self.frames[frame].place(axes, box, self.channels)

    def elevation(self, folder: Path, frame: int) -> TileStore:
        """What tiles deliver of a frame whose objects are to be numbered."""
        return TileStore(folder, frame, self.tiles)

    def foreground(self, folder: Path, frame: int) -> TileStore:
        """How probable the foreground is, which tiles deliver, too, if the confidence of objects is wanted."""
        return TileStore(folder / "foreground", frame, self.tiles, np.float32)

    def keep(self, folder: Path, task: Task, pixels: NDArray[Any]) -> None:
        """Put what a task delivers of such a frame where `elevation` and `foreground` read it."""
        if self.job.confidence:
            self.foreground(folder, task.frame).put(task.index, pixels[1])
        self.elevation(folder, task.frame).put(task.index, pixels[0].astype(np.uint8))

    def kept(self, folder: Path, frame: int, index: tuple[int, ...]) -> bool:
        """Whether all that is needed of a tile is there."""
        parts = [self.elevation(folder, frame), *([self.foreground(folder, frame)] if self.job.confidence else [])]
        return all(part.holds(index) for part in parts)

    def run(
        self, tasks: Iterable[Task], store: Callable[[Task, NDArray[Any]], None], *, batch: int = 1
    ) -> Iterator[int]:
        """Predict tiles in this process; see `biounet.inference.overlap_tile.run_tiles`."""
        return run_tiles(self.net, (self._work(task, store) for task in tasks), self.tiles.step, batch=batch)

    def probabilities(self, task: Task, box: Box) -> NDArray[np.float32]:
        """Probabilities (classes, *spatial) of any region of the frame of a task that begins on the grid."""
        geometry = self.net.geometry
        before = tuple(start - margin for start, margin in zip(box.start, geometry.margin, strict=True))
        after = tuple(start + size for start, size in zip(before, geometry.input_size(box.shape), strict=True))
        pixels = read_mirrored(self.frames[task.frame], Box(before, after))
        result: NDArray[np.float32] = self.net(task.normalise(pixels)[np.newaxis], box.shape)[0]
        return result

    def _work(self, task: Task, store: Callable[[Task, NDArray[Any]], None]) -> Work:
        tile, frame = self.tile(task), self.frames[task.frame]
        inside = tuple(slice(size) for size in tile.output.shape)

        def load() -> NDArray[np.float32]:
            return task.normalise(read_mirrored(frame, tile.input))

        def finish(probabilities: NDArray[np.float32]) -> None:
            store(task, self._encode(probabilities[(slice(None), *inside)]))

        return Work(load, finish)

    def _encode(self, probabilities: NDArray[np.float32]) -> NDArray[Any]:
        """What is stored of the probabilities (classes, *spatial)."""
        stored = probabilities[1:] if len(probabilities) == 2 else probabilities
        if self.saves_floats:
            return stored if self.job.save == "probabilities" else probabilities
        if self.save_objects:
            elevation = make_elevation(probabilities, self.card.object_rules)[np.newaxis]
            return np.concatenate([elevation, foreground(stored)]) if self.job.confidence else elevation
        return segment(probabilities, target="classes", threshold=self.card.threshold)[np.newaxis]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._files.close()
