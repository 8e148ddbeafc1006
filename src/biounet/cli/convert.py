"""What `biounet convert` takes: labels and images from one format to another."""

from pathlib import Path
from typing import Annotated

import typer

from biounet.cli.options import Axes, Channel, IgnoreValue, Level, Overwrite, Series, channel_numbers

__all__ = ["convert"]


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Label file or image, or a folder of them.")],
    *,
    to: Annotated[
        str, typer.Option(metavar="FORMAT", help="imagej, qupath, coco, cellpose, stardist, nnunet, tif, png, ...")
    ],
    out: Annotated[Path, typer.Option(help="File for one file, else a folder.")],
    image: Annotated[
        Path | None, typer.Option(help="Image, or folder, that outlines were drawn on: it tells their size.")
    ] = None,
    classes: Annotated[
        str | None, typer.Option(metavar="A,B,..", help="Numbers are classes, not objects; the names of 0, 1, ...")
    ] = None,
    ignore_value: IgnoreValue = None,
    axes: Axes = None,
    series: Series = None,
    channel: Channel = None,
    level: Level = 0,
    overwrite: Overwrite = False,
) -> None:
    """Convert label files of other programs, and images."""
    from biounet.cli.convert_files import Reading, run_conversion
    from biounet.cli.label_options import meaning
    from biounet.io import Selection

    names = meaning(objects=False, classes=classes).get("train.class_names", ())
    selection = Selection(axes, series, channel_numbers(channel), level)
    how = Reading(image=image, classes=names, selection=selection, ignore_value=ignore_value)
    run_conversion(source, to, out, how, overwrite=overwrite)
