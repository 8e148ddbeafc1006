"""The pictures of `biounet predict`: labels in colours on each image, where they go, and their writing."""

import os
import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from biounet.cli.progress import progress, say
from biounet.config.tasks import LABELS
from biounet.core.atomic_files import remove_parts, replacing
from biounet.core.errors import BiounetError, ConfigError, OutputError
from biounet.core.output_lock import holding
from biounet.io import Selection, plain_name, root_of
from biounet.models.model_file import ModelCard

__all__ = ["FOLDER", "MOST", "pictures_of", "write_pictures"]


FOLDER = "pictures"
"""Folder beside the results."""

PATIENCE = 60.0
"""Seconds to wait for another command that draws into the same folder."""

MOST = 100
"""Pictures of so many images are written without being asked for."""


def pictures_of(
    card: ModelCard, pairs: list[tuple[Path, Path]], *, pictures: bool | None, save: str, overwrite: bool, resume: bool
) -> dict[Path, Path]:
    """Result -> its picture, where pictures are asked for, or nobody said and there are few images.

    Parameters
    ----------
    card : of the model
    pairs : images and results
    pictures : what was asked for, if anything
    save, overwrite, resume : of the prediction

    Raises
    ------
    ConfigError
        If pictures of other results than labels are asked for.
    OutputError
        If pictures are asked for and one is there already, or another file in its place.
    """
    if pictures is False or (pictures is None and len(pairs) > MOST):
        return {}
    labels = save in LABELS and card.task.has_labels
    if not labels and pictures:
        raise ConfigError("--pictures draws labels on images, which this prediction has none of; leave it out")
    if not labels:
        return {}
    names = Counter((root_of(result).parent, plain_name(result)) for _, result in pairs)
    found = {}
    for _, result in pairs:
        folder, name = root_of(result).parent, plain_name(result)
        name = name if names[folder, name] == 1 else result.name
        found[result] = folder / FOLDER / f"{name}.png"
    for path in found.values() if pictures else ():
        if path.exists() and not (overwrite or resume):
            raise OutputError(f"{path} exists; give --overwrite, or --no-pictures")
        if not _is_free(path, replace=True):
            raise OutputError(f"{path} is no picture that biounet has drawn; move it away, or give --no-pictures")
    return found


def write_pictures(
    pairs: list[tuple[Path, Path]],
    pictures: Mapping[Path, Path],
    *,
    numbered: bool,
    selection: Selection = Selection(),
    replace: bool = False,
) -> None:
    """Write the pictures of results; what cannot be drawn is said, and what is there already stays.

    Parameters
    ----------
    pairs : images and results that were written
    pictures : as `pictures_of` gives them
    numbered : whether numbers are objects, or classes
    selection : what was read of the images
    replace : whether pictures that biounet has drawn before are replaced
    """
    of_folders: dict[Path, list[tuple[Path, Path]]] = defaultdict(list)
    for image, result in pairs:
        of_folders[pictures[result].parent].append((image, result))
    notes: list[str] = []
    with progress("drawing") as show:
        for folder, chosen in of_folders.items():
            if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
                notes.append(f"{folder} is no folder of pictures, so none are drawn; move it away")
                continue
            with _holding(folder), replacing(folder, overwrite=True, check_folder=lambda kept: None) as new:
                _keep(folder, new)
                for number, (image, result) in enumerate(chosen):
                    path = new / pictures[result].name
                    notes += _draw(path, image, result, numbered=numbered, selection=selection, replace=replace)
                    show((number + 1) / len(chosen), image.name)
    for note in notes[:1]:
        say(f"note: {note}{f' ({len(notes) - 1} more)' if len(notes) > 1 else ''}")


@contextmanager
def _holding(folder: Path) -> Iterator[None]:
    """Hold a folder of pictures, waiting for other commands that draw into it, as those of a cluster may.

    Raises
    ------
    OutputError
        If they take too long.
    """
    until = time.monotonic() + PATIENCE
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(holding([folder]))
                break
            except OutputError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)
        remove_parts([folder])
        yield


def _keep(folder: Path, new: Path) -> None:
    """Make the folder of all pictures, with those that are there; it takes their place as a whole."""
    if folder.is_dir():
        shutil.copytree(folder, new, copy_function=_link)
    else:
        new.mkdir()


def _link(source: str, target: str) -> None:
    """Let a file have two names, or copy it where that cannot be."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _draw(path: Path, image: Path, result: Path, *, numbered: bool, selection: Selection, replace: bool) -> list[str]:
    """Draw a picture, and return what there is to say of it."""
    from biounet.report.overlays import write_overlay

    if not _is_free(path, replace=replace):
        return [f"{FOLDER}/{path.name} was there already and stays; --overwrite replaces pictures of biounet"]
    try:
        write_overlay(path, image, result, numbered=numbered, selection=selection, overwrite=replace)
    except BiounetError as error:
        return [f"no picture: {error}"]
    return []


def _is_free(path: Path, *, replace: bool) -> bool:
    """Whether a picture may be written: nothing is there, or a picture of ours that may be replaced."""
    from biounet.report.overlays import is_overlay

    return not path.exists() or (replace and is_overlay(path))
