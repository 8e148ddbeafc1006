"""What `biounet convert` takes: labels and images from one format to another."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["convert"]


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Label file or image, or a folder of them.")],
    *,
    to: Annotated[str, typer.Option(metavar="FORMAT", help="Such as imagej, qupath, coco, tif, png, zarr.")],
    out: Annotated[Path, typer.Option(help="File for one file, else a folder.")],
    image: Annotated[
        Path | None, typer.Option(help="Image, or folder, that outlines were drawn on: it tells their size.")
    ] = None,
    axes: Annotated[str | None, typer.Option(help="Axes of images where files do not tell, as in TYX.")] = None,
    ignore_value: Annotated[int | None, typer.Option(help="Number in the labels that means unknown.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
) -> None:
    """Convert label files of other programs, and images."""
    from biounet.cli.convert_files import run_conversion

    run_conversion(source, to, out, image=image, axes=axes, ignore_value=ignore_value, overwrite=overwrite)
