"""What `biounet convert` does: each file is read as labels or as an image, and written in another format."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from biounet.cli.progress import progress, say
from biounet.core.atomic_files import check_absent
from biounet.core.batch import Batch
from biounet.core.errors import ConfigError, DatasetError, ImageError
from biounet.core.labels import IGNORE
from biounet.data.names import match_names
from biounet.io import FORMATS, image_files, images_at, is_folder_of_images, open_lazily, plain_name, read, write
from biounet.io.label_formats import LABEL_FORMATS, LabelFormat
from biounet.io.shapes import Grid

__all__ = ["run_conversion"]


@dataclass(frozen=True)
class Reading:
    """How files are read: the axes that the user names, and the number that means unknown."""

    axes: str | None = None
    ignore_value: int | None = None


def run_conversion(
    source: Path,
    to: str,
    out: Path,
    *,
    image: Path | None = None,
    axes: str | None = None,
    ignore_value: int | None = None,
    overwrite: bool = False,
) -> None:
    """Convert a file, or the files of a folder, and say what was lost.

    Parameters
    ----------
    source : a file, or a folder; where it has files of outlines, these are converted, else its images
    to : a word of `LABEL_FORMATS`
    out : file for one file, else a folder
    image : that outlines were drawn on, or a folder of such images, which have the names of the files
    axes, ignore_value : of images and label images
    overwrite : bool

    Raises
    ------
    ConfigError
        If there is no such format, or the name of `out` is that of another.
    BatchError
        At the end, if some of several files cannot be converted.
    """
    target = _target(to)
    files = _files(source)
    folder = is_folder_of_images(source)
    results = _results(files, target, out, folder=folder)
    for path in results:
        check_absent(path, overwrite=overwrite)
    how, done = Reading(axes, ignore_value), []
    batch = Batch(len(files), verb="converted", again="--overwrite", kind="files")
    with progress("converting") as show:
        for number, (file, result) in enumerate(zip(files, results, strict=True)):
            show(number / len(files), file.name)
            with batch.noting(file):
                _convert(file, result, target, image, how, overwrite=overwrite)
                done.append(result)
    if done:
        say(f"{len(done)} file{'s' * (len(done) > 1)} of {target.name}: {out}")
    batch.finish(done, report=say)


def _convert(
    file: Path, result: Path, target: LabelFormat, image: Path | None, how: Reading, *, overwrite: bool
) -> None:
    """Convert one file."""
    origin = _outlines(file)
    if origin is None and target.name in FORMATS and how.ignore_value is None:
        write(result, read(file, axes=how.axes), overwrite=overwrite)
        return
    notes: list[str] = []
    if origin is None:
        labels = read(file, axes=how.axes, labels=True)
    else:
        labels = origin.read(file, grid=_grid(file, image, how.axes), notes=notes)
    if how.ignore_value is not None:
        labels = replace(labels, array=_unknown(labels.array, how.ignore_value))
    target.write(result, labels, overwrite=overwrite)
    for note in notes:
        say(f"note: {note}")


def _target(to: str) -> LabelFormat:
    """The format that a word means."""
    found = next((form for form in LABEL_FORMATS.values() if to.lower().lstrip(".") in form.words), None)
    if found is None:
        words = ", ".join(form.words[0] for form in LABEL_FORMATS.values())
        raise ConfigError(f"--to wants one of {words}, got {to!r}")
    return found


def _outlines(path: Path) -> LabelFormat | None:
    """The format of a label file that is no image."""
    others = (form for form in LABEL_FORMATS.values() if form.name not in FORMATS)
    images = tuple(suffix for form in FORMATS.values() for suffix in form.suffixes)
    name = path.name.lower()
    return next((form for form in others if name.endswith(form.suffixes) and not name.endswith(images)), None)


def _files(source: Path) -> Sequence[Path]:
    """The files to convert."""
    if not source.exists() and not source.parent.exists():
        raise ImageError(f"{source}: there is no such file; check the name")
    if not is_folder_of_images(source):
        return (source,) if _outlines(source) else images_at(source)
    outlines = [path for path in sorted(source.iterdir()) if not path.name.startswith(".") and _outlines(path)]
    files = outlines or image_files(source)
    if not files:
        raise DatasetError(f"{source} has neither images nor label files; give a folder of them")
    return files


def _results(files: Sequence[Path], target: LabelFormat, out: Path, *, folder: bool) -> list[Path]:
    """Name of the result of each file."""
    if not folder and len(files) == 1:
        if not out.name.lower().endswith(target.suffixes):
            ends = " or ".join(target.suffixes)
            raise ConfigError(f"--out {out}: names of {target.name} end in {ends}; name the file so")
        return [out]
    results = [out / f"{_stem(file)}{target.suffixes[0]}" for file in files]
    twice = next((path for path in results if results.count(path) > 1), None)
    if twice is not None:
        raise DatasetError(f"{twice.name} would be the result of two files of one name; convert them apart")
    return results


def _stem(file: Path) -> str:
    """Name of a file without its suffix."""
    form = _outlines(file)
    if form is None:
        return plain_name(file)
    return file.name[: -max(len(suffix) for suffix in form.suffixes if file.name.lower().endswith(suffix))]


def _grid(file: Path, image: Path | None, axes: str | None) -> Grid | None:
    """Axes and size of the image that a file of outlines is of: the one that is given, or that lies beside it."""
    if image is not None and not is_folder_of_images(image):
        chosen: Path | None = image
    else:
        there = {plain_name(path): path for path in image_files(image or file.parent)}
        pairs = {labels: name for name, labels in match_names(there, [_stem(file)]).items()}
        chosen = there.get(pairs.get(_stem(file), ""))
        if chosen is None and image is not None:
            raise DatasetError(f"{image} has no image with the name of {file.name}; rename the image, or give it alone")
    if chosen is None:
        return None
    with open_lazily(chosen, axes=axes) as opened:
        return Grid.of(opened)


def _unknown(labels: np.ndarray, value: int) -> np.ndarray:
    """Labels in which a number is unknown."""
    return np.where(labels == value, IGNORE, labels.astype(np.int64))
