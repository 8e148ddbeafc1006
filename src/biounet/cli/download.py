"""The command `biounet download`: public weights, fetched with progress, and the options that use them."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["download"]


def download(
    name: Annotated[str, typer.Argument(help="vgg11, vgg11_bn, vgg16 or vgg16_bn.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder that the file is written to.")],
    from_: Annotated[
        str | None, typer.Option("--from", metavar="FILE|URL", help="Where to take the .pth file of torchvision from.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
) -> None:
    """Fetch public weights that training can begin with, or take a file of them."""
    from biounet.cli.progress import progress, say  # rich and torch: imported when they are needed
    from biounet.models.download import SOURCES
    from biounet.models.download import download as fetch

    with progress(f"downloading {name}") as show:
        path = fetch(name, out, origin=from_, sources=SOURCES, overwrite=overwrite, progress=show)
    say(f"{path} is written ({SOURCES[name].terms})")
    model = "ternausnet" if name.startswith("vgg11") else "fcn-8s"
    norm = "batch" if name.endswith("_bn") else "none"
    say(f"train with --model {model} --set model.pretrained={path} --set model.width=64 --set model.norm={norm}")
