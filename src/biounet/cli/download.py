"""The command `biounet download`: public weights, fetched with progress, and the options that use them."""

from pathlib import Path

from biounet.cli.progress import progress, say
from biounet.models.download import SOURCES, download

__all__ = ["run_download"]


def run_download(name: str, out: Path, *, origin: str | None = None, overwrite: bool) -> None:
    """Fetch public weights, or convert a file of them; say where the result is, its terms, and how to train with it."""
    with progress(f"downloading {name}") as show:
        path = download(name, out, origin=origin, sources=SOURCES, overwrite=overwrite, progress=show)
    say(f"{path} is written ({SOURCES[name].terms})")
    model = "ternausnet" if name.startswith("vgg11") else "fcn-8s"
    norm = "batch" if name.endswith("_bn") else "none"
    say(f"train with --model {model} --set model.pretrained={path} --set model.width=64 --set model.norm={norm}")
