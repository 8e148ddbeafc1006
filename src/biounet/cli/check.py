"""What `biounet check` takes: what a dataset holds, what training would do, and which labels a run contradicts."""

from pathlib import Path
from typing import Annotated, Any

import typer

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
from biounet.core.errors import ConfigError

__all__ = ["check"]


def check(
    *,
    dataset: DatasetPath = None,
    images: ImagesPath = None,
    labels: LabelsPath = None,
    objects: Objects = False,
    classes: Classes = None,
    ignore_value: IgnoreValue = None,
    from_: From = None,
    also: Also = None,
    unlabelled: Unlabelled = None,
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
    axes: Axes = None,
    series: Series = None,
    channel: Channel = None,
    level: Level = 0,
    suspects: Annotated[
        Path | None, typer.Option(metavar="RUN", help="List labels that a run, or its folds, contradicts, instead.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for suspects.csv and suspects.html.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Say what a dataset holds, what is wrong with it, and what training would do and take."""
    from biounet.cli.early import check_dataset, check_model, check_names, dataset_path, start_of
    from biounet.cli.label_options import meaning
    from biounet.cli.setting_options import assignments, given_settings, unlabelled_images
    from biounet.config.resolve import resolve_settings

    dataset = dataset_path(dataset, images, labels)
    changes = given_settings(model=model, validation=validation, precision=precision, seed=seed)
    changes |= given_settings(ignore_value=ignore_value, axes=axes, series=series, level=level or None)
    changes |= given_settings(channel=channel_numbers(channel), also=also and str(also))
    changes |= given_settings(unlabelled=unlabelled_images(unlabelled))
    changes |= meaning(objects=objects, classes=classes, preset=preset) | assignments(set_ or [])
    budget: dict[str, Any] = {"minutes": minutes, "steps": steps}
    if suspects is not None:
        if changes or preset or config or from_ or any(budget.values()):
            raise ConfigError("--suspects reads images and labels as the run did; leave out options of training")
        check_model(suspects)
        check_dataset(dataset)
        from biounet.cli.suspects import run_suspects

        run_suspects(dataset, suspects, out, device=device, overwrite=overwrite)
        return
    if out is not None or overwrite:
        raise ConfigError("--out and --overwrite are for --suspects; biounet check writes nothing else")
    settings = resolve_settings(changes, preset=preset, file=config, start=start_of(from_), **budget)
    check_names(settings)
    check_dataset(dataset)
    from biounet.cli.train import describe

    for line in describe(dataset, settings, device=device):
        typer.echo(line)
