"""Predict images of any size with a trained network: arrays in memory, files, and whole folders."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, get_args

import numpy as np
from numpy.typing import NDArray
from torch import nn

from biounet.atomic import check_absent
from biounet.devices import choose_device, choose_precision
from biounet.ensemble import joint_card, load_members, member_files
from biounet.errors import ConfigError, ShapeError, need
from biounet.jobs import Job, OpenJob, Predictor, Save, Sink, Task
from biounet.modelfile import ModelCard
from biounet.outputs import NUMBERING, Result, name_outputs, read_record
from biounet.plan import Plan, Stopwatch, plan_prediction, warm_up
from biounet.postprocess import link_slices, number_apart, segment, segment_objects
from biounet.postprocess.regions import BYTES_PER_PIXEL
from biounet.tiling import predict_array
from biounet.verify import largest_difference

__all__ = ["Model", "Run", "load_model", "predict_files", "run_here"]


@dataclass(frozen=True)
class Model:
    """A trained network with all that is needed to use it; or several, whose probabilities are averaged."""

    net: nn.Module
    card: ModelCard
    others: tuple["Model", ...] = ()
    """The further members of an ensemble; each normalises images in its own way."""

    def predict(
        self,
        image: NDArray[Any],
        *,
        tile: int | None = None,
        tta: bool = False,
        device: str = "auto",
        precision: str = "auto",
    ) -> NDArray[np.float32]:
        """Return the probability of every class at every pixel; or the image that the network draws.

        Parameters
        ----------
        image : (C)YX or (C)ZYX
            As it comes from the microscope. A stack ZYX given to a 2D network of one channel is predicted section
            by section.
        tile : pixels
            Largest tile delivered at once; the result does not depend on it.
        tta : bool
            Average over the 8 symmetries of the plane YX.
        device, precision
            As for `biounet.devices.choose_device` and `choose_precision`.

        Returns
        -------
        (classes, *spatial), float32, in [0, 1]; or an image (C, *spatial), float32, in units of the true ones

        Raises
        ------
        ShapeError
            If the image does not have the axes or channels that the network was trained on.
        """
        where = choose_device(device)
        what = choose_precision(precision, where)
        dims, channels = self.card.model.dims, self.card.model.in_channels
        if image.ndim == dims:
            image = image[np.newaxis]
        elif image.ndim == dims + 1 and dims == 2 and channels == 1 and image.shape[0] != 1:
            options: dict[str, Any] = {"tile": tile, "tta": tta, "device": device, "precision": precision}
            return np.stack([self.predict(section, **options) for section in image], axis=1)
        if image.ndim != dims + 1 or image.shape[0] != channels:
            raise ShapeError(
                f"the network takes {channels} channels and {dims} spatial axes, got an image of shape {image.shape}"
            )
        normalised = self.card.normalization.measured(image).apply(image)
        result = predict_array(
            self.net,
            normalised,
            device=where,
            precision=what,
            tile=tile,
            tta=tta,
            **self.card.after_scores,
        )
        for other in self.others:
            result += other.predict(image, tile=tile, tta=tta, device=device, precision=precision)
        return np.divide(result, 1 + len(self.others), out=result)

    def segment(
        self, image: NDArray[Any], *, tile: int | None = None, tta: bool = False, link: bool = False
    ) -> NDArray[Any]:
        """Return labels: class numbers, or numbered objects where the network was trained on objects.

        Parameters
        ----------
        image, tile, tta : as for `predict`
        link : bool
            Of a stack given to a 2D network of objects, see `biounet.postprocess.link_slices`. Else no number is in
            two sections.

        Returns
        -------
        integers, (Z)YX, 0 is background

        Raises
        ------
        ConfigError, ShapeError
            If the network draws images; if there are no objects or sections to link.
        """
        if self.card.target == "image":
            raise ConfigError("the model draws images, which have no labels; use predict")
        if link and self.card.target == "classes":
            raise ConfigError("the model was trained on classes, there are no objects to link; leave link out")
        probabilities = self.predict(image, tile=tile, tta=tta)
        if self.card.target == "classes":
            decide = partial(segment, target="classes", threshold=self.card.threshold)
        else:
            decide = partial(segment_objects, rules=self.card.object_rules)
        if probabilities.ndim - 1 > self.card.model.dims:  # sections of a stack
            sections = np.stack([decide(section) for section in np.moveaxis(probabilities, 1, 0)])
            number = link_slices if link else number_apart
            return sections if self.card.target == "classes" else number(sections)
        if link:
            raise ShapeError(f"there are no sections to link, got an image of shape {image.shape}; leave link out")
        return decide(probabilities)


def load_model(
    path: str | Path, *, others: Sequence[str | Path] = (), depth: int | None = None, attention: bool = False
) -> Model:
    """Open a trained model, or an ensemble.

    Parameters
    ----------
    path : str or Path
        A model file (``.safetensors``) or the folder of a training run. A folder of ``fold-0/``, ``fold-1/``, ...,
        as cross-validation leaves it, is an ensemble.
    others : more of the same
        Whose probabilities are averaged with those of the first.
    depth : int
        Of a UNet++, take the U-Net with so many poolings: less good, but faster.
    attention : bool
        Of an attention U-Net, `Model.predict` gives the maps of the gates, (maps, *spatial), in [0, 1], the innermost
        level first.

    Raises
    ------
    ModelFileError
        If a file is missing, torn, not ours, or of a newer version.
    ConfigError
        If members of an ensemble do not agree, or have no output of this depth or no attention gates,
        see `biounet.ensemble.load_members`.
    """
    (net, _), *rest = members = load_members([Path(each) for each in (path, *others)], depth=depth, attention=attention)
    return Model(net, joint_card([card for _, card in members]), tuple(Model(*member) for member in rest))


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
    save: Save = "labels",
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
        `biounet.postprocess.link_slices` does of the whole stack. Else the numbers of a section are in no other.
    confidence : bool
        Keep how probable objects are, in a folder beside the labels, see `biounet.object_confidence`.
    memory : bytes
        That all processes on this machine may hold together; tiles are planned so that they do.
    tile : pixels
        Largest tile, if it should not be chosen.
    batch : int
        Tiles sent through the network together.
    tta : bool
        Average over the 8 symmetries of the plane YX.
    device, precision
        As for `biounet.devices.choose_device` and `choose_precision`.
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
        One line each, see `biounet.errors`.
    """
    if save not in get_args(Save):
        raise ConfigError(f"what to save must be one of {', '.join(get_args(Save))}, got {save!r}")
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
    if any(path.suffix.lower() == ".zarr" for pair in pairs for path in pair):
        need("zarr")  # a large library: loaded before memory is measured
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
