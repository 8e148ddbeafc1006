"""The command line: words and options become calls of the rooms before this one; errors become one line."""

import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer

import biounet
from biounet.cli.analysis import evaluate, measure
from biounet.cli.check import check
from biounet.cli.convert import convert
from biounet.cli.download import download
from biounet.cli.export import export
from biounet.cli.models import models
from biounet.cli.options import (
    Also,
    Axes,
    Channel,
    Classes,
    DatasetPath,
    Device,
    From,
    IgnoreValue,
    ImagesPath,
    LabelsPath,
    Level,
    Minutes,
    Objects,
    Overwrite,
    Preset,
    Seed,
    Series,
    Unlabelled,
    channel_numbers,
)
from biounet.cli.serve import serve
from biounet.cli.verbosity import with_verbosity
from biounet.core.errors import BiounetError, ConfigError, ImageError, ProblemsError
from biounet.core.places import check_working_folder, explained

__all__ = ["app", "main"]

# Heavy libraries are imported inside the commands, so that `biounet --help` answers at once.
app = typer.Typer(
    name="biounet",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

STOPPED = 130
"""Status of a command that Ctrl-C has ended."""


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"biounet {biounet.__version__}")
        raise typer.Exit


@app.callback()
def overview(
    *,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """U-Net for microscopy: train on a few annotated images, predict images of any size, score as the field does."""


@app.command()
@with_verbosity
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


app.command()(with_verbosity(check))


@app.command()
@with_verbosity
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
    unlabelled: Unlabelled = None,
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
        bool, typer.Option("--resume", help="Go on with a run; longer with --minutes or --steps.")
    ] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write curves for TensorBoard, too.")] = False,
    axes: Axes = None,
    series: Series = None,
    channel: Channel = None,
    level: Level = 0,
) -> None:
    """Train a network on annotated images."""
    from biounet.cli.early import check_crossed, check_dataset, check_names, check_output, dataset_path, start_of
    from biounet.cli.label_options import meaning
    from biounet.cli.setting_options import assignments, given_settings, unlabelled_images
    from biounet.config.resolve import resolve_settings

    dataset = dataset_path(dataset, images, labels)
    changes = given_settings(model=model, validation=validation, precision=precision, seed=seed)
    changes |= given_settings(ignore_value=ignore_value, axes=axes, series=series, level=level or None)
    changes |= given_settings(channel=channel_numbers(channel), also=also and str(also))
    changes |= given_settings(unlabelled=unlabelled_images(unlabelled))
    changes |= meaning(objects=objects, classes=classes, preset=preset) | assignments(set_ or [])
    if folds is not None and not resume and "train.validation" in changes:
        raise ConfigError("--folds holds each image out once; leave out --validation and train.validation")
    crossed = folds is not None or (resume and (out / "folds.csv").exists())
    check_crossed(crossed, also, minutes if resume else None, steps if resume else None)
    begun = (out / "fold-0" if crossed else out) if resume else None
    budget: dict[str, Any] = {"minutes": minutes, "steps": steps}
    settings = resolve_settings(changes, preset=preset, file=config, resume=begun, start=start_of(from_), **budget)
    if not resume:
        check_names(settings)
    check_output(out)
    check_dataset(dataset)
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
@with_verbosity
def predict(
    model: Annotated[Path, typer.Argument(help="Model file, folder of a run, or name of a shipped model.")],
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT...", help="Images, or folders of images.")],
    *,
    out: Annotated[Path, typer.Option(help="File for one image, else a folder.")],
    with_: Annotated[
        list[Path] | None, typer.Option("--with", metavar="MODEL", help="A model to average with; repeat at will.")
    ] = None,
    depth: Annotated[int | None, typer.Option(help="Poolings of the U-Net to take out of a unet++.")] = None,
    save: Annotated[str, typer.Option(help="labels, objects, classes, probabilities, attention.")] = "labels",
    table: Annotated[bool, typer.Option("--table", help="Measure the labels: objects.csv, counts.csv.")] = False,
    link: Annotated[bool, typer.Option("--link", help="Link objects of the sections of a stack to volumes.")] = False,
    close_gaps: Annotated[bool | None, typer.Option(help="Close gaps in membranes; by default as tuned.")] = None,
    report: Annotated[bool | None, typer.Option(help="Write report.html; on for folders of objects.")] = None,
    pictures: Annotated[
        bool | None, typer.Option(help="Write pictures/NAME.png, labels on the image; on for up to 100 images.")
    ] = None,
    memory: Annotated[str, typer.Option(help="Most memory to use, for all local processes together.")] = "4GiB",
    tile: Annotated[int | None, typer.Option(help="Largest tile in pixels; chosen by --memory if not given.")] = None,
    batch: Annotated[int, typer.Option(help="Tiles sent through the network together.")] = 1,
    tta: Annotated[bool, typer.Option("--tta", help="Average over 8 turned and mirrored copies.")] = False,
    axes: Axes = None,
    series: Series = None,
    channel: Channel = None,
    level: Level = 0,
    diameter: Annotated[
        str | None, typer.Option(metavar="PX|auto", help="Size of a typical object; images are scaled if need be.")
    ] = None,
    pixel_size: Annotated[float | None, typer.Option(metavar="UM", help="The same by the size of a pixel.")] = None,
    adapt: Annotated[bool, typer.Option("--adapt", help="Adapt the network to images of another look.")] = False,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
    workers: Annotated[int | None, typer.Option(help="Local processes.")] = None,
    scheduler: Annotated[str | None, typer.Option(help="Address of a running dask scheduler.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Cut sample tiles elsewhere and compare.")] = False,
    overwrite: Overwrite = False,
    resume: Annotated[bool, typer.Option("--resume", help="Keep what an earlier run has finished.")] = False,
) -> None:
    """Predict images of any size."""
    from biounet.cli.early import check_files, check_model, check_output

    for each in (model, *(with_ or [])):
        check_model(each)
    check_files(inputs, ImageError)
    check_output(out)
    from biounet.cli.predict import run_prediction

    run_prediction(
        model, inputs, out, others=with_ or [], depth=depth, save=save, link=link, close_gaps=close_gaps, table=table,
        report=report, pictures=pictures, memory=memory, workers=workers, scheduler=scheduler, tile=tile, batch=batch,
        tta=tta, axes=axes, series=series, channel=channel_numbers(channel), level=level, diameter=diameter,
        pixel_size=pixel_size, adapt=adapt, device=device, precision=precision, verify=verify, overwrite=overwrite,
        resume=resume,
    )  # fmt: skip


app.command()(with_verbosity(evaluate))
app.command()(with_verbosity(convert))
app.command()(with_verbosity(export))
app.command()(with_verbosity(serve))
app.command()(with_verbosity(download))
app.command()(models)
app.command()(with_verbosity(measure))


def main() -> None:
    """Run the command line.

    Status 0: done; 2: wrong use or bad input, in one line; 130: Ctrl-C; 143: told to end; 1: a fault of ours.
    """
    if isinstance(sys.stdout, TextIOWrapper):  # names of files may hold bytes that are no text; stderr escapes them
        with suppress(OSError):  # of a stream that is broken, whoever writes to it says so
            sys.stdout.reconfigure(errors="backslashreplace")
    try:
        check_working_folder()
        words = sys.argv[1:] or ["--help"]
        if app(args=words, prog_name="biounet", standalone_mode=False) == STOPPED:  # as typer says of Ctrl-C
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
    except OSError as error:
        why = explained(error)
        if why is None:
            raise
        _fail(f"{error.filename}: {why}" if error.filename else why)


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
