"""Predict images of any size with a trained network: arrays in memory, files, and whole folders."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from biounet.config.tasks import OUTPUTS
from biounet.core.atomic_files import check_absent
from biounet.core.errors import ConfigError
from biounet.data.results import name_outputs
from biounet.inference.ensemble import member_files
from biounet.inference.job import Job, OpenJob, Predictor, Sink, Task
from biounet.inference.memory_plan import Plan, Stopwatch, plan_prediction, warm_up
from biounet.inference.output import NUMBERING, Result
from biounet.inference.record import read_record
from biounet.inference.verify import largest_difference
from biounet.io import load_libraries
from biounet.segmentation.regions import BYTES_PER_PIXEL

__all__ = ["Run", "predict_files", "run_here"]


class Run(Protocol):
    """Something that computes tasks: this process, or a cluster."""

    def __call__(self, job: OpenJob, tasks: Iterable[Task], sink: Sink, *, batch: int) -> Iterator[int]:
        """Compute tasks, hand each result to the sink, and yield how many it has got."""


def run_here(job: OpenJob, tasks: Iterable[Task], sink: Sink, *, batch: int = 1) -> Iterator[int]:
    """Compute tasks in this process."""
    return job.run(tasks, sink.store, batch=batch)


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
    run: Run = run_here,
    processes: int = 1,
    report: Callable[[str], None] = lambda line: None,
    progress: Callable[[float, str], None] = lambda share, text: None,
) -> list[Path]:
    """Predict image files of any size.

    Parameters
    ----------
    model : Path
        A model file or the folder of a training run; a folder of folds is an ensemble, see `load_model`.
    inputs : files, folders of images, or datasets
    out : Path
        A file if there is one input and the name ends in a known suffix, else a folder in which results have
        the names of their inputs.
    others : further models
        Whose probabilities are averaged with those of the first.
    depth : int
        As for `load_model`.
    save : labels, classes, probabilities or attention
        What to write; of the probabilities of two classes only those of the foreground. A network that draws images
        writes those, in units of the true ones.
    link : bool
        Give objects of neighbouring sections one number where they lie over each other, as
        `biounet.segmentation.link_slices` does of the whole stack. Else the numbers of a section are in no other.
    confidence : bool
        Keep how probable objects are, in a folder beside the labels, see `biounet.inference.tile_store`.
    memory : bytes
        That all processes on this machine may hold together; tiles are planned so that they do.
    tile : pixels
        Largest tile, if it should not be chosen.
    batch : int
        Tiles sent through the network together.
    tta : bool
        Average over the 8 symmetries of the plane YX.
    device, precision
        As for `biounet.models.device.choose_device` and `choose_precision`.
    axes : str
        Axes of the inputs, where the files do not tell.
    verify : bool
        Predict sample tiles at a second tiling, and report the largest difference.
    overwrite, resume : bool
        Replace results that exist, or keep what is finished of them.
    run : Run
        Who computes.
    processes : int
        Of this machine that share the memory; if several, this one hands out the work and takes no tiles.
    report, progress : take lines for a person, and how much of the work is done

    Returns
    -------
    list of Path
        What was written, in the order of the inputs.

    Raises
    ------
    BiounetError
        One line each, see `biounet.core.errors`.
    """
    if save not in OUTPUTS:
        raise ConfigError(f"what to save must be one of {', '.join(OUTPUTS)}, got {save!r}")
    pairs = name_outputs(inputs, out, save=save)
    for _, path in pairs:
        check_absent(path, overwrite=overwrite or resume)
    # Absolute, for workers that were started elsewhere.
    models = tuple(file.absolute() for path in (model, *others) for file in member_files(path))
    how = (axes, save, device, precision, tta, depth, link, confidence)
    jobs = [Job(models, source.absolute(), *how) for source, _ in pairs]
    predictor = Predictor(jobs[0])
    jobs = [job.fitting(predictor.card) for job in jobs]
    # What is chosen here holds for workers on other processors, too: their pixels must be the same.
    jobs = [replace(job, precision=str(predictor.net.precision).removeprefix("torch.")) for job in jobs]
    if len(models) > 1:
        report(f"the mean of {len(models)} models")
    load_libraries(path for pair in pairs for path in pair)  # before memory is measured
    held = warm_up(predictor.net, predictor.card.model.in_channels)
    memory = max(0, memory - held) // processes if processes > 1 else memory
    stopwatch = Stopwatch(predictor.net, predictor.card.model.in_channels)
    for number, (job, (source, path)) in enumerate(zip(jobs, pairs, strict=True)):
        if resume and path.is_file():
            report(f"{path} is complete already")
            continue
        begun = read_record(path) if resume else {}
        with OpenJob(job, predictor) as opened:
            plan = stopwatch.time(_plan(opened, held, memory, begun.get("tile", tile), batch))
            report(f"{source.name}: {plan}")
            opened.cut(plan.tiles.step)
            if verify:
                report(f"{source.name}: tiles cut elsewhere differ by at most {largest_difference(opened):.1e}")
            with Result(opened, path, plan.chunk, overwrite=overwrite, resume=resume) as result:
                left = result.left
                if resume:
                    report(f"{source.name}: {left} tiles are left to do")
                for done, _ in enumerate(_compute(opened, result, run, batch), start=1):
                    progress((number + done / left) / len(pairs), f"{source.name}: tile {done} of {left}")
    return [path for _, path in pairs]


def _plan(job: OpenJob, held: int, memory: int, tile: int | Sequence[int] | None, batch: int) -> Plan:
    """Plan the tiles of an image."""
    first = job.frames[0]
    # Where objects are numbered, a region of them comes on top, for what tiles took is not all given back.
    objects = min(NUMBERING, BYTES_PER_PIXEL * math.prod(first.shape[1:])) if job.save_objects else 0
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


def _compute(job: OpenJob, result: Result, run: Run, batch: int) -> Iterator[None]:
    """Compute what is missing of a result; yield once for every tile."""
    for tasks in result.rounds():
        for count in run(job, tasks, result, batch=batch):
            yield from [None] * count
