"""The command `biounet serve`: a page in the browser to look, correct and retrain."""

from pathlib import Path
from typing import Annotated

import typer

from biounet.cli.progress import say

__all__ = ["serve"]


def serve(
    folder: Annotated[Path, typer.Argument(help="Folder of images; labels are written beside them.")],
    *,
    model: Annotated[
        Path | None, typer.Option(help="Begin with a run folder, a model file or a shipped model.")
    ] = None,
    host: Annotated[str, typer.Option(help="Where to listen; others than this machine need --token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    token: Annotated[str | None, typer.Option(help="What the address bears; drawn if not given.")] = None,
) -> None:
    """Look, correct, retrain: open a page in the browser that learns while one works."""
    from biounet.cli.signals import stop_when_told
    from biounet.config.shipped import model_file
    from biounet.web import check_installed

    check_installed()
    if model is not None:
        model_file(model)
    from biounet.web.server import serve as run

    with stop_when_told():  # so that label files are written, and the process that learns ends first
        run(folder, model=model, host=host, port=port, token=token, say=say)
