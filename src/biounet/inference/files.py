"""Prediction of image files of any size with a trained network."""

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from biounet.config.tasks import OUTPUTS
from biounet.core.atomic_files import remove_parts
from biounet.core.batch import Batch
from biounet.core.errors import ConfigError, OutputError
from biounet.core.output_lock import holding
from biounet.core.overwriting import KINDS, Inputs
from biounet.data.left_out import left_out
from biounet.data.results import check_annotations, name_outputs
from biounet.inference.closed_gaps import write_closed
from biounet.inference.ensemble import Ensemble, member_files
from biounet.inference.job import Job, JobSettings, TileTask, as_trained, load_ensemble
from biounet.inference.memory_budget import MemoryBudget
from biounet.inference.memory_plan import Plan, Stopwatch, warm_up
from biounet.inference.object_numbers import REGION_MEMORY, number_stored
from biounet.inference.object_size import Sizes
from biounet.inference.record import is_complete, noting_damage, read_record
from biounet.inference.tile_store import TileStore
from biounet.inference.verify import largest_difference
from biounet.io import (
    Selection,
    check_replaceable,
    format_of,
    is_folder_of_images,
    load_libraries,
    notes_of,
    place_of,
    root_of,
)
from biounet.io.identity import FileIdentity
from biounet.models.model_file import read_card

LOG = logging.getLogger("biounet")

FEW_TILES = 16
"""Tiles whose time is not forecast, since a trial would take longer than it tells."""

__all__ = ["Run", "predict_files", "run_here"]


class Run(Protocol):
    """Computer of tiles: this process, or a cluster."""

    def __call__(self, job: Job, tasks: Iterable[TileTask], store: TileStore, *, batch: int) -> Iterator[int]:
        """Predict tiles, put each into the store, and yield the number of tiles that were put since the last."""


def run_here(job: Job, tasks: Iterable[TileTask], store: TileStore, *, batch: int = 1) -> Iterator[int]:
    """Predict tiles in this process; a `Run`."""
    return job.run(tasks, store.put, batch=batch)


def predict_files(
    model: Path,
    inputs: Sequence[Path],
    out: Path,
    *,
    others: Sequence[Path] = (),
    depth: int | None = None,
    save: str = "labels",
    link: bool = False,
    confidence: bool = False,
    close_gaps: bool | None = None,
    memory: int = 4 * 2**30,
    tile: int | None = None,
    batch: int = 1,
    tta: bool = False,
    device: str = "auto",
    precision: str = "auto",
    axes: str | None = None,
    series: int | str | None = None,
    channel: Sequence[int] | None = None,
    level: int = 0,
    diameter: float | None = None,
    diameters: Mapping[Path, float] = MappingProxyType({}),
    pixel_size: float | None = None,
    adapt: bool = False,
    verify: bool = False,
    overwrite: bool = False,
    resume: bool = False,
    region_memory: int = REGION_MEMORY,
    run: Run = run_here,
    processes: int = 1,
    report: Callable[[str], None] = lambda line: None,
    progress: Callable[[float, str], None] = lambda share, text: None,
) -> list[Path]:
    """Predict image files of any size, and return the files that were written.

    Parameters
    ----------
    model : Path
        A model file, the folder of a training run, or the name of a shipped model; a folder of folds is an
        ensemble, see `load_model`.
    inputs : files, folders of images, or datasets
    out : Path
        A file if there is one input and the name ends in a known suffix, else a folder in which results have
        the names of their inputs.
    others : further models
        The probabilities of all models are averaged.
    depth : int
        As for `load_model`.
    save : labels, objects, classes, probabilities or attention
        What to write. Objects are also numbered where a network has two classes, such as membranes and cells: they are
        the connected components of the foreground. Of two classes only the probability of the foreground is written. A
        network that draws images writes images, in units of the true ones.
    link : bool
        Objects of neighbouring sections get one number where they lie over each other, as by
        `biounet.segmentation.link_slices` on the whole stack. Else no number is in two sections.
    confidence : bool
        Sum the probability of the foreground in each object, in a folder beside the labels, see
        `biounet.inference.confidence_sums`.
    close_gaps : bool
        Close gaps in the membranes between cells, see `biounet.segmentation.close_gaps`, where a model has two classes;
        by default if it paid on the held-out images of its training.
    memory : bytes
        Budget for all processes on this machine together; tiles are planned to stay inside it.
    tile : pixels
        Largest tile; by default it follows from the memory.
    batch : int
        Tiles sent through the network together.
    tta : bool
        Average over the 8 symmetries of the plane YX.
    device, precision
        As for `biounet.models.device.choose_device` and `choose_precision`.
    axes, series, channel, level
        What is read of the inputs, as for `biounet.io.open_lazily`.
    diameter, pixel_size
        Size of a typical object in pixels, or of a pixel in micrometres: images are scaled to what the network learnt
        if they differ by more than it bears, see `biounet.inference.object_size.Sizes`; results keep their pixels.
    diameters : image -> diameter in pixels, of images whose objects have another size
    adapt : bool
        Adapt batch normalisation to each image, see `biounet.inference.adaptation`.
    verify : bool
        Predict sample tiles at a second tiling, and report the largest difference.
    overwrite, resume : bool
        Replace results that exist, or keep their finished tiles.
    region_memory : bytes
        For a region in which objects are numbered at a time; the result does not depend on it.
    run : Run
        Computer of the tiles.
    processes : int
        Workers on this machine, which share the memory; if several, this process itself predicts no tiles.
    report, progress : functions that take lines for a person, and the share of the work that is done

    Returns
    -------
    list of Path
        In the order of the inputs.

    Raises
    ------
    BatchError
        At the end, if some of several images cannot be read or do not fit the network. It carries their errors and the
        files that were written; of a bad image nothing is left that this run began.
    BiounetError
        One line each, see `biounet.core.errors`.
    """
    pairs = _name_results(inputs, out, save=save, as_one=series is not None, report=report)
    given = Selection(axes, series, channel, level)
    with holding(root_of(path) for _, path in pairs):
        _check_results(pairs, [model, *others], out, overwrite=overwrite, resume=resume)
        remove_parts(path for _, path in pairs)
        # Absolute, for workers that were started elsewhere.
        models = tuple(file.absolute() for path in (model, *others) for file in member_files(path))
        options = (save, device, precision, tta, depth, link, confidence, close_gaps)
        first = JobSettings(models, pairs[0][0], given, *options, adapt=adapt)
        net, common, told = _load(first, Sizes(diameter, pixel_size), report)
        load_libraries(path for pair in pairs for path in pair)  # before memory is measured
        held = warm_up(net, net.card.model.in_channels)
        shared = MemoryBudget(memory, held, processes, region_memory)
        stopwatch = Stopwatch(net, net.card.model.in_channels)
        images = Batch(len(pairs), verb="predicted", again="--resume")
        for number, (source, path) in enumerate(pairs):
            begun = read_record(place_of(path)) if resume else None
            settings, identity = replace(common, input=source.absolute()), FileIdentity.of(source)
            own, settings, clock = _scaled(net, settings, stopwatch, diameters.get(source))
            with images.noting(source), Job(settings, own, identity=identity, room=shared.room) as job:
                if resume and is_complete(path, job, overwrite=overwrite):
                    TileStore.clear(path, sums=not confidence)
                    report(f"{path} is complete already")
                    continue
                plan = shared.plan(job, begun.tile if begun else tile, batch)
                plan = clock.time(plan) if len(plan.tiles) * plan.frames > FEW_TILES else plan
                _cut(job, plan, verify=verify, told=told, report=report)
                whole = len(pairs) > 1 and not begun
                with TileStore.begin(job, path, plan.chunk, overwrite=overwrite, resume=resume, whole=whole) as store:
                    left = store.left if resume else len(job.frames) * len(job.tiles)  # a new one has no chunk yet
                    if resume:
                        report(f"{_title(source)}: {left} tiles are left to do")
                    for share, text in _compute(store, run, batch, region_memory, left):
                        progress((number + share) / len(pairs), f"{_title(source)}: {text}")
        written = [path for source, path in pairs if source not in images.failures]
        images.finish(written, report=report)
        return written


def _load(first: JobSettings, sizes: Sizes, report: Callable[[str], None]) -> tuple[Ensemble, JobSettings, set[str]]:
    """Load the models, and fit the settings of the jobs of all images to them; return the notes that were told, too."""
    factor, scaled = sizes.factor(read_card(first.models[0]))
    if scaled:
        report(scaled)
    first = replace(first, factor=factor)
    net = load_ensemble(first)
    selection, notes = as_trained(first.selection, net.card)
    told = _say_once(notes, set(), report)
    if len(first.models) > 1:
        report(f"the mean of {len(first.models)} models")
    # The precision that is chosen here holds for workers on other processors, too: their pixels must be the same.
    precision = str(net.precision).removeprefix("torch.")
    return net, replace(first.fitted(net.card), precision=precision, selection=selection), told


def _scaled(
    net: Ensemble, settings: JobSettings, stopwatch: Stopwatch, diameter: float | None
) -> tuple[Ensemble, JobSettings, Stopwatch]:
    """Networks, settings and stopwatch for an image, for whose objects a diameter may be given."""
    if diameter is None:
        return net, settings, stopwatch
    factor, _ = Sizes(diameter).factor(net.card)
    scaled = net.scaled(factor)
    return scaled, replace(settings, factor=factor), Stopwatch(scaled, net.card.model.in_channels)


def _name_results(
    inputs: Sequence[Path], out: Path, *, save: str, as_one: bool, report: Callable[[str], None]
) -> list[tuple[Path, Path]]:
    """Images with the files of their results; files left out are told."""
    if save not in OUTPUTS:
        raise ConfigError(f"what to save must be one of {', '.join(OUTPUTS)}, got {save!r}")
    pairs = name_outputs(inputs, out, save=save, as_one=as_one)
    for line in left_out(folder for folder in inputs if is_folder_of_images(folder)):
        report(f"note: {line}")
    return pairs


def _check_results(
    pairs: Sequence[tuple[Path, Path]], models: Sequence[Path], named: Path, *, overwrite: bool, resume: bool
) -> None:
    """Refuse results that would replace what they must not: of files that nobody named, all that are not ours."""
    files = [file for path in models for file in (path, *member_files(path))]
    read = Inputs({"the model": files, "an image to predict": [image for image, _ in pairs]})
    for _, path in pairs:
        if not os.path.lexists(path):
            continue
        form = format_of(path)
        read.check(path, overwrite=overwrite or resume, kind=form.name if form.name in KINDS else None)
        if path != named and overwrite and not resume and form.is_ours is not None and not form.is_ours(path):
            raise OutputError(f"{path} was not written by biounet, so it is not replaced; give another --out")
        if form.is_folder and overwrite and not resume:
            check_replaceable(path)
    if overwrite:
        check_annotations(pairs)


def _title(path: Path) -> str:
    """Name of an image; of one inside a plate or another set, with the folders to it."""
    root = root_of(path)
    return path.name if root == path else path.relative_to(root.parent).as_posix()


def _say_once(notes: Iterable[str], told: set[str], report: Callable[[str], None], *, name: str = "") -> set[str]:
    """Say notes that were not told before; return all that were."""
    for note in notes:
        if note not in told:
            report(f"note: {name}{note}")
            told.add(note)
    return told


def _cut(job: Job, plan: Plan, *, verify: bool, told: set[str], report: Callable[[str], None]) -> None:
    """Cut an image into the tiles that were planned, and say what there is to say; `told` are notes of other images."""
    name = _title(job.settings.input)
    _say_once(notes_of(job.image), told, report, name=f"{name}: ")
    LOG.info("%s: %s", name, plan)
    job.cut(plan.tiles.step)
    if verify:
        report(f"{name}: tiles cut elsewhere differ by at most {largest_difference(job):.1e}")


def _compute(store: TileStore, run: Run, batch: int, region_memory: int, left: int) -> Iterator[tuple[float, str]]:
    """Predict the missing tiles of a result, and finish the result; yield share and number of the tiles done."""
    with noting_damage(store.place, store.job) if store.shared else nullcontext():
        for done, _ in enumerate(_tiles(store, run, batch, region_memory), start=1):
            yield done / left, f"tile {done} of {left}"
        store.job.check_input()


def _tiles(store: TileStore, run: Run, batch: int, region_memory: int) -> Iterator[None]:
    """Predict the missing tiles of a result, finish its frames, and yield once for every tile."""
    job, frames = store.job, range(len(store.job.frames))
    finish = write_closed if job.closes_gaps else number_stored
    if not job.by_frame:
        for count in run(job, store.missing(frames), store, batch=batch):
            yield from [None] * count
        return
    for frame in frames:
        if not store.is_done(frame):
            for count in run(job, store.missing([frame]), store, batch=batch):
                yield from [None] * count
            finish(store, frame, memory=region_memory)
