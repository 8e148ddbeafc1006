"""What `biounet export` does: a model for other programs."""

from pathlib import Path
from typing import Annotated, Any

import typer

from biounet.core.errors import ConfigError

__all__ = ["export"]


def export(
    model: Annotated[Path, typer.Argument(help="Model file, or folder of a training run.")],
    *,
    to: Annotated[str, typer.Option(help="Such as onnx, torchscript, or bioimageio for Fiji, QuPath, ilastik.")],
    out: Annotated[Path, typer.Option(help="File to write: .onnx, .pt, or .zip.")],
    sample: Annotated[Path | None, typer.Option(help="Image that a bioimage.io package is tested on.")] = None,
    license: Annotated[str, typer.Option("--license", help="Of a bioimage.io package, such as CC-BY-4.0.")] = "",
    author: Annotated[str, typer.Option(help="Of a bioimage.io package.")] = "",
    cite: Annotated[str, typer.Option(help="DOI or web address to cite for a bioimage.io package.")] = "",
    name: Annotated[str, typer.Option(help="Of a bioimage.io package.")] = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
) -> None:
    """Write a model for other programs; it is read back and compared first."""
    from biounet.export import export_model  # torch: imported when it is needed

    words = {"sample": sample, "license": license, "author": author, "cite": cite, "name": name}
    options: dict[str, Any] = {word: given for word, given in words.items() if given}
    if options and to != "bioimageio":
        raise ConfigError(
            "--sample, --license, --author, --cite and --name are of bioimage.io packages; leave them out"
        )
    difference = export_model(model, out, to=to, overwrite=overwrite, **options)
    if to == "bioimageio" and not cite:
        typer.echo("note: the package cites the U-Net alone; give --cite DOI to be cited for the model and its data")
    typer.echo(f"{out}: read back, it differs from biounet in float32 by at most {difference:.1e} in probability")
