"""The command line: words and options become calls of the rooms before this one; errors become one line."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from biounet.cli.assignments import assignments, given
from biounet.cli.download import download
from biounet.cli.export import export
from biounet.cli.models import models
from biounet.core.errors import BiounetError, ConfigError, ProblemsError

__all__ = ["app", "main"]

# Heavy libraries are imported inside the commands, so that `biounet --help` answers at once.
app = typer.Typer(
    name="biounet",
    help="U-Net for microscopy: train on a few annotated images, predict images of any size, score as the field does.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

STOPPED = 130
"""Status of a command that Ctrl-C has ended."""

From = Annotated[
    str | None, typer.Option("--from", metavar="MODEL", help="Begin with a run, model file or shipped model.")
]
Also = Annotated[Path | None, typer.Option(metavar="DATASET", help="Learn from these images as well.")]
Minutes = Annotated[float | None, typer.Option(help="Wall-clock budget; 20 if nothing is said.")]
Preset = Annotated[str | None, typer.Option(help="default, if nothing is said, or paper.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
DatasetPath = Annotated[Path | None, typer.Argument(help="Folder of images and labels.")]
ImagesPath = Annotated[Path | None, typer.Option(help="Folder of images, in place of a dataset.")]
LabelsPath = Annotated[Path | None, typer.Option(help="Folder of their labels; names may end in _mask and the like.")]
Objects = Annotated[bool, typer.Option("--objects", help="Each number in the labels is one object.")]
Classes = Annotated[str | None, typer.Option(metavar="A,B,..", help="Each number is a class; their names.")]
IgnoreValue = Annotated[int | None, typer.Option(help="Number in the labels that means unknown, such as 255.")]
Seed = Annotated[int | None, typer.Option(help="Of all chance in the run; 0 if not given.")]


@app.command()
def demo(
    *,
    out: Annotated[Path, typer.Option(help="Folder for images, model, results and report.")] = Path("demo"),
    minutes: Annotated[float, typer.Option(help="Minutes of training.")] = 2.0,
    seed: Annotated[int, typer.Option(help="Of the drawn images and of training.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Draw images, train on them, predict others, score, and write a report: nothing is needed."""
    from biounet.cli.demo import run_demo

    run_demo(out, minutes=minutes, seed=seed, overwrite=overwrite)


@app.command()
def check(
    dataset: DatasetPath = None,
    *,
    images: ImagesPath = None,
    labels: LabelsPath = None,
    objects: Objects = False,
    classes: Classes = None,
    ignore_value: IgnoreValue = None,
    preset: Preset = None,
    model: Annotated[str | None, typer.Option(help="Architecture.")] = None,
    minutes: Minutes = None,
    steps: Annotated[int | None, typer.Option(help="Number of updates.")] = None,
    validation: Annotated[str | None, typer.Option(help="Fraction to hold out, or another dataset.")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings in TOML, as a run writes them.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; repeat at will.")] = None,
    device: Device = "auto",
    precision: Annotated[str | None, typer.Option(help="auto, float32 or bfloat16.")] = None,
    seed: Seed = None,
) -> None:
    """Say what a dataset holds, what is wrong with it, and what training would do and take."""
    from biounet.cli.label_options import meaning
    from biounet.cli.train import describe
    from biounet.config.resolve import resolve_settings
    from biounet.data.layouts import dataset_path

    dataset = dataset_path(dataset, images, labels)
    changes = given(model=model, validation=validation, precision=precision, seed=seed, ignore_value=ignore_value)
    changes |= meaning(objects=objects, classes=classes, preset=preset) | assignments(set_ or [])
    settings = resolve_settings(changes, preset=preset, file=config, minutes=minutes, steps=steps)
    for line in describe(dataset, settings, device=device):
        typer.echo(line)


@app.command()
def train(
    dataset: DatasetPath = None,
    *,
    images: ImagesPath = None,
    labels: LabelsPath = None,
    objects: Objects = False,
    classes: Classes = None,
    ignore_value: IgnoreValue = None,
    out: Annotated[Path, typer.Option(help="Folder of the run; new, unless --resume.")],
    from_: From = None,
    also: Also = None,
    preset: Preset = None,
    model: Annotated[str | None, typer.Option(help="Architecture.")] = None,
    minutes: Minutes = None,
    steps: Annotated[int | None, typer.Option(help="Number of updates, for runs that repeat exactly.")] = None,
    validation: Annotated[str | None, typer.Option(help="Fraction to hold out, or another dataset.")] = None,
    folds: Annotated[int | None, typer.Option(min=2, help="Train K times, each image held out once.")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings in TOML, as a run writes them.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; repeat at will.")] = None,
    device: Device = "auto",
    devices: Annotated[int, typer.Option(min=1, help="GPUs of this machine, or processes on its CPU.")] = 1,
    precision: Annotated[str | None, typer.Option(help="auto, float32 or bfloat16.")] = None,
    seed: Seed = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run; with --minutes or --steps for longer.")
    ] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write curves for TensorBoard, too.")] = False,
) -> None:
    """Train a network on annotated images."""
    from biounet.cli.label_options import meaning
    from biounet.config.resolve import resolve_settings
    from biounet.data.layouts import dataset_path
    from biounet.training.starting_model import StartingModel

    dataset = dataset_path(dataset, images, labels)
    changes = given(model=model, validation=validation, precision=precision, seed=seed, ignore_value=ignore_value)
    changes |= given(also=None if also is None else str(also))
    changes |= meaning(objects=objects, classes=classes, preset=preset) | assignments(set_ or [])
    if folds is not None and not resume and "train.validation" in changes:
        raise ConfigError("--folds holds each image out once; leave out --validation and train.validation")
    if folds is not None and also is not None:
        raise ConfigError("--folds takes the images of one dataset; leave out --also")
    crossed = folds is not None or (resume and (out / "folds.csv").exists())
    if crossed and resume and (minutes is not None or steps is not None):
        raise ConfigError("a cross-validation cannot be made longer; leave out --minutes and --steps")
    begun = (out / "fold-0" if crossed else out) if resume else None
    start = {} if from_ is None else StartingModel.of(from_).settings
    settings = resolve_settings(
        changes, preset=preset, file=config, resume=begun, minutes=minutes, steps=steps, start=start
    )
    from biounet.cli.launch import run_processes, started
    from biounet.cli.train import run_training
    from biounet.training.prepare import check_settings

    if not resume:
        check_settings(settings)
    if devices > 1 and not started():
        sys.exit(run_processes(devices, [sys.executable, "-m", "biounet", *sys.argv[1:]]))
    if crossed:
        from biounet.cli.folds import run_folds
        from biounet.training.cross_validation import of_one_fold

        settings = settings if resume or folds is None else of_one_fold(settings, folds)
        run_folds(dataset, out, settings, count=folds, device=device, resume=resume, tensorboard=tensorboard)
    else:
        run_training(dataset, out, settings, device=device, resume=resume, tensorboard=tensorboard)


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="Model file, folder of a run, or name of a shipped model.")],
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT...", help="Images, or folders of images.")],
    *,
    out: Annotated[Path, typer.Option(help="File for one image, else a folder.")],
    with_: Annotated[
        list[Path] | None, typer.Option("--with", metavar="MODEL", help="A model to average with; repeat at will.")
    ] = None,
    depth: Annotated[int | None, typer.Option(help="Poolings of the U-Net to take out of a unet++.")] = None,
    save: Annotated[str, typer.Option(help="labels, classes, probabilities or attention.")] = "labels",
    table: Annotated[bool, typer.Option("--table", help="Measure the labels: objects.csv, counts.csv.")] = False,
    link: Annotated[bool, typer.Option("--link", help="Link objects of the sections of a stack to volumes.")] = False,
    memory: Annotated[str, typer.Option(help="Most memory to use, for all local processes together.")] = "4GiB",
    tile: Annotated[int | None, typer.Option(help="Largest tile in pixels; chosen by --memory if not given.")] = None,
    batch: Annotated[int, typer.Option(help="Tiles sent through the network together.")] = 1,
    tta: Annotated[bool, typer.Option("--tta", help="Average over 8 turned and mirrored copies.")] = False,
    axes: Annotated[str | None, typer.Option(help="Axes of the images where files do not tell, as in TYX.")] = None,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
    workers: Annotated[int | None, typer.Option(help="Local processes.")] = None,
    scheduler: Annotated[str | None, typer.Option(help="Address of a running dask scheduler.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Cut sample tiles elsewhere and compare.")] = False,
    overwrite: Overwrite = False,
    resume: Annotated[bool, typer.Option("--resume", help="Keep what an earlier run has finished.")] = False,
) -> None:
    """Predict images of any size."""
    from biounet.cli.predict import run_prediction

    run_prediction(
        model, inputs, out, others=with_ or [], depth=depth, save=save, link=link, table=table, memory=memory,
        workers=workers, scheduler=scheduler, tile=tile, batch=batch, tta=tta, axes=axes, device=device,
        precision=precision, verify=verify, overwrite=overwrite, resume=resume,
    )  # fmt: skip


@app.command()
def evaluate(
    result: Annotated[Path, typer.Argument(help="File or folder of results.")],
    truth: Annotated[Path, typer.Argument(help="File or folder of annotations, or a dataset.")],
    *,
    metrics: Annotated[str | None, typer.Option(help="isbi2012, overlap, objects, ctc, ...; with commas.")] = None,
    json_: Annotated[Path | None, typer.Option("--json", help="Write the scores here, too.")] = None,
    per_image: Annotated[Path | None, typer.Option(help="Write a CSV with a row per image.")] = None,
    sections: Annotated[str | None, typer.Option(help="Sections of a stack, as in 20:24.")] = None,
    groups: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv|IMAGES", help="Score groups, too: columns name,group; or grey and colour images."
        ),
    ] = None,
    ignore_value: IgnoreValue = None,
    overwrite: Overwrite = False,
) -> None:
    """Score results against annotations."""
    from biounet.cli.evaluate import run_evaluation

    run_evaluation(
        result,
        truth,
        metrics=metrics,
        json_file=json_,
        csv_file=per_image,
        sections=sections,
        groups=groups,
        ignore_value=ignore_value,
        overwrite=overwrite,
    )


app.command()(export)
app.command()(download)
app.command()(models)


@app.command()
def measure(
    labels: Annotated[Path, typer.Argument(help="Label image, or folder of label images.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder for objects.csv, counts.csv and all else.")],
    image: Annotated[Path | None, typer.Option(help="Image, or folder, to measure intensities in.")] = None,
    probabilities: Annotated[Path | None, typer.Option(help="File or folder, for the confidence of objects.")] = None,
    model: Annotated[Path | None, typer.Option(help="Model of the probabilities: tells if they are classes.")] = None,
    axes: Annotated[str | None, typer.Option(help="Axes of the labels where files do not tell, as in TYX.")] = None,
    by_section: Annotated[bool, typer.Option("--by-section", help="Sections of a stack are single images.")] = False,
    split: Annotated[bool, typer.Option("--split", help="Number the pieces of objects apart.")] = False,
    pictures: Annotated[bool, typer.Option("--pictures", help="Write pictures of outlines and numbers.")] = False,
    rois: Annotated[bool, typer.Option("--rois", help="Write outlines for ImageJ and Fiji.")] = False,
    annotate: Annotated[int, typer.Option(min=0, help="List so many regions worth annotating next.")] = 0,
    region: Annotated[int, typer.Option(min=1, help="Pixels per side of such a region.")] = 256,
    ignore_value: IgnoreValue = None,
    overwrite: Overwrite = False,
) -> None:
    """Measure objects: a table, counts, pictures, and outlines for ImageJ."""
    from biounet.cli.measure import run_measurement

    run_measurement(
        labels, out, image=image, probabilities=probabilities, model=model, axes=axes, by_section=by_section,
        split=split, pictures=pictures, rois=rois, annotate=annotate, region=region,
        ignore_value=ignore_value, overwrite=overwrite,
    )  # fmt: skip


def main() -> None:
    """Run the command line.

    Status 0: done; 2: wrong use or bad input, in one line; 130: Ctrl-C; 143: told to end; 1: a fault of ours.
    """
    try:
        if app(args=sys.argv[1:] or ["--help"], standalone_mode=False) == STOPPED:  # as typer says of Ctrl-C
            raise KeyboardInterrupt
    except typer.TyperException as error:
        said = error.format_message() if hasattr(error, "format_message") else str(error)
        _fail(f"{said.rstrip('.')}; see 'biounet --help' or 'biounet COMMAND --help'")
    except ProblemsError as error:
        _list(error)
    except BiounetError as error:
        _fail(str(error))
    except (KeyboardInterrupt, typer.Abort):
        _fail("stopped", status=STOPPED)
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _list(error: ProblemsError) -> None:
    """End with a line for each problem, the first ones if there are many."""
    from biounet.core.problems import LISTED

    for each in error.problems[:LISTED]:
        print(f"problem: {' '.join(str(each).split())}", file=sys.stderr)
    others = len(error.problems) - LISTED
    more = f" ({others} more are not listed)" if others > 0 else ""
    _fail(f"{len(error.problems)} problems{more}; put them right and check again")


def _fail(message: str, *, status: int = 2) -> None:
    print(f"biounet: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(status)
