"""Prediction of image files of any size with a trained network."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from biounet.config.tasks import OUTPUTS
from biounet.core.atomic_files import check_absent
from biounet.core.batch import Batch
from biounet.core.errors import ConfigError
from biounet.data.left_out import left_out
from biounet.data.results import check_annotations, name_outputs
from biounet.inference.ensemble import member_files
from biounet.inference.job import Job, JobSettings, TileTask, load_ensemble
from biounet.inference.memory_plan import Plan, Stopwatch, plan_prediction, warm_up
from biounet.inference.object_numbers import REGION_MEMORY, number_objects
from biounet.inference.record import noting_damage, read_record
from biounet.inference.tile_store import TileStore
from biounet.inference.verify import largest_difference
from biounet.io import format_of, is_folder_of_images, load_libraries
from biounet.io.identity import FileIdentity
from biounet.segmentation.regions import BYTES_PER_PIXEL

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
    memory: int = 4 * 2**30,
    tile: int | None = None,
    batch: int = 1,
    tta: bool = False,
    device: str = "auto",
    precision: str = "auto",
    axes: str | None = None,
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
    save : labels, classes, probabilities or attention
        What to write; of two classes only the probability of the foreground. A network that draws images writes
        images, in units of the true ones.
    link : bool
        Objects of neighbouring sections get one number where they lie over each other, as by
        `biounet.segmentation.link_slices` on the whole stack. Else no number is in two sections.
    confidence : bool
        Sum the probability of the foreground in each object, in a folder beside the labels, see
        `biounet.inference.confidence_sums`.
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
    axes : str
        Axes of the inputs, where the files do not say.
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
    pairs = _name_results(inputs, out, save=save, overwrite=overwrite, resume=resume, report=report)
    # Absolute, for workers that were started elsewhere.
    models = tuple(file.absolute() for path in (model, *others) for file in member_files(path))
    first = JobSettings(models, pairs[0][0], axes, save, device, precision, tta, depth, link, confidence)
    net = load_ensemble(first)
    # The precision that is chosen here holds for workers on other processors, too: their pixels must be the same.
    common = replace(first.fitted(net.card), precision=str(net.precision).removeprefix("torch."))
    if len(models) > 1:
        report(f"the mean of {len(models)} models")
    load_libraries(path for pair in pairs for path in pair)  # before memory is measured
    held = warm_up(net, net.card.model.in_channels)
    memory = max(0, memory - held) // processes if processes > 1 else memory
    stopwatch = Stopwatch(net, net.card.model.in_channels)
    images = Batch(len(pairs), verb="predicted", again="--resume")
    for number, (source, path) in enumerate(pairs):
        if resume and path.is_file():
            report(f"{path} is complete already")
            continue
        begun = read_record(path) if resume else {}
        settings = replace(common, input=source.absolute())
        with images.noting(source), Job(settings, net, identity=FileIdentity.of(source)) as job:
            plan = stopwatch.time(_plan(job, held, memory, begun.get("tile", tile), batch, region_memory))
            report(f"{source.name}: {plan}")
            job.cut(plan.tiles.step)
            if verify:
                report(f"{source.name}: tiles cut elsewhere differ by at most {largest_difference(job):.1e}")
            whole = len(pairs) > 1 and not begun
            with (
                TileStore.begin(job, path, plan.chunk, overwrite=overwrite, resume=resume, whole=whole) as store,
                noting_damage(path, job),
            ):
                left = store.left
                if resume:
                    report(f"{source.name}: {left} tiles are left to do")
                for done, _ in enumerate(_compute(store, run, batch, region_memory), start=1):
                    progress((number + done / left) / len(pairs), f"{source.name}: tile {done} of {left}")
                job.check_input()
    written = [path for source, path in pairs if source not in images.failures]
    images.finish(written, report=report)
    return written


def _name_results(
    inputs: Sequence[Path], out: Path, *, save: str, overwrite: bool, resume: bool, report: Callable[[str], None]
) -> list[tuple[Path, Path]]:
    """Images with the files of their results, none of which may replace what it must not; files left out are told."""
    if save not in OUTPUTS:
        raise ConfigError(f"what to save must be one of {', '.join(OUTPUTS)}, got {save!r}")
    pairs = name_outputs(inputs, out, save=save)
    for _, path in pairs:
        check_absent(path, overwrite=overwrite or resume, file=not format_of(path).is_folder)
    if overwrite:
        check_annotations(pairs)
    for line in left_out(folder for folder in inputs if is_folder_of_images(folder)):
        report(f"note: {line}")
    return pairs


def _plan(job: Job, held: int, memory: int, tile: int | Sequence[int] | None, batch: int, region_memory: int) -> Plan:
    """Plan the tiles of an image."""
    first = job.frames[0]
    # Memory for a region of objects comes on top, because the memory of tiles is not all given back.
    objects = min(region_memory, BYTES_PER_PIXEL * math.prod(first.shape[1:])) if job.numbers_objects else 0
    return plan_prediction(
        job.net,
        first.shape,
        classes=job.card.model.classes,
        itemsize=job.image.dtype.itemsize,
        held=held + objects,
        budget=memory,
        frames=len(job.frames),
        tile=tile,
        batch=batch,
    )


def _compute(store: TileStore, run: Run, batch: int, region_memory: int) -> Iterator[None]:
    """Predict the missing tiles of a result, and finish the result; yield once for every tile."""
    job, frames = store.job, range(len(store.job.frames))
    if not job.numbers_objects:
        for count in run(job, store.missing(frames), store, batch=batch):
            yield from [None] * count
        return
    for frame in frames:
        if not store.is_written(frame):
            for count in run(job, store.missing([frame]), store, batch=batch):
                yield from [None] * count
            number_objects(store, frame, memory=region_memory)
