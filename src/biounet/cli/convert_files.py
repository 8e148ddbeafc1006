"""What `biounet convert` does: each file is read as labels or as an image, and written in another format."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from biounet.cli.progress import progress, say
from biounet.core.atomic_files import remove_parts
from biounet.core.batch import Batch
from biounet.core.errors import ConfigError, DatasetError, ImageError
from biounet.core.labels import IGNORE
from biounet.core.output_lock import holding
from biounet.core.overwriting import Inputs
from biounet.data.label_folders import LABEL_FOLDERS, Labelled
from biounet.data.names import match_names
from biounet.io import FORMATS, image_files, images_at, is_folder_of_images, open_lazily, plain_name, read, write
from biounet.io.coco import Source, read_each, write_each
from biounet.io.label_formats import LABEL_FORMATS, LabelFormat
from biounet.io.shapes import Grid

__all__ = ["Reading", "run_conversion"]


@dataclass(frozen=True)
class Reading:
    """How files are read."""

    image: Path | None = None
    """That outlines were drawn on, or a folder of such images, which have the names of the files."""
    classes: Sequence[str] = ()
    """Names of classes 0, 1, ..., if numbers are classes."""
    axes: str | None = None
    """Axes of images and label images, where files do not tell."""
    ignore_value: int | None = None
    """Number in the labels that means unknown."""


def run_conversion(source: Path, to: str, out: Path, how: Reading, *, overwrite: bool = False) -> None:
    """Convert a file, or the files of a folder, and say what was lost.

    Parameters
    ----------
    source : a file, or a folder; where it has files of outlines, these are converted, else its images
    to : a word of `LABEL_FORMATS` or of `LABEL_FOLDERS`
    out : file for one file, else a folder; COCO is one file, too
    how : Reading
    overwrite : bool

    Raises
    ------
    ConfigError
        If there is no such format, or the name of `out` is that of another.
    BatchError
        At the end, if some of several files cannot be converted.
    """
    files = _files(source)
    inputs = Inputs({"a label file": files, "the image": [how.image] if how.image else []})
    if to.lower() in LABEL_FOLDERS:
        inputs.check(out)
        pairs = (_labelled(file, each, how) for file in files for each in _labels(file, how))
        with _holding(out, is_file=False):
            LABEL_FOLDERS[to.lower()](out, pairs, classes=how.classes, overwrite=overwrite)
        say(f"{len(files)} label file{'s' * (len(files) > 1)} in the layout of {to.lower()}: {out}")
        return
    target = _target(to, how)
    if target.name == "COCO" and out.name.lower().endswith(target.suffixes):
        inputs.check(out, overwrite=overwrite, kind="JSON")
        with _holding(out, is_file=True):
            write_each(out, _all_labels(files, how), classes=how.classes, overwrite=overwrite)
        say(f"labels of {len(files)} file{'s' * (len(files) > 1)}: {out}")
        return
    alone = len(files) == 1 and not is_folder_of_images(source)
    if alone and not out.name.lower().endswith(target.suffixes) and _outlines(files[0]) is not LABEL_FORMATS["COCO"]:
        ends = " or ".join(target.suffixes)
        raise ConfigError(f"--out {out}: names of {target.name} end in {ends}; name the file so")
    done: list[Path] = []
    batch = Batch(len(files), verb="converted", again="--overwrite", kind="files")
    with _holding(out, is_file=out.name.lower().endswith(target.suffixes)), progress("converting") as show:
        for number, file in enumerate(files):
            show(number / len(files), file.name)
            with batch.noting(file):
                done += _convert(file, out, target, how, inputs, overwrite=overwrite)
    say(f"{len(done)} file{'s' * (len(done) != 1)} of {target.name}: {out}")
    batch.finish(done, report=say)


@contextmanager
def _holding(out: Path, *, is_file: bool) -> Iterator[None]:
    """Keep others away from the file or folder that is written, and remove what a killed conversion has left there."""
    with holding([out] if is_file else (), folder=None if is_file else out):
        if is_file:
            remove_parts([out])
        else:
            for folder in (out, *(path for path in out.rglob("*") if path.is_dir())):
                remove_parts((), folder=folder)
        yield


def _convert(
    file: Path, out: Path, target: LabelFormat, how: Reading, inputs: Inputs, *, overwrite: bool
) -> list[Path]:
    """Convert one file; the files that were written."""
    alone = out.name.lower().endswith(target.suffixes)
    if _outlines(file) is None and target.name in FORMATS and how.ignore_value is None:
        result = out if alone else out / f"{plain_name(file)}{target.suffixes[0]}"
        inputs.check(result, overwrite=overwrite)
        write(result, read(file, axes=how.axes), overwrite=overwrite)
        return [result]
    done = []
    for each in _labels(file, how, alone=alone):
        result = out if alone else out / f"{_stem(Path(each.name))}{target.suffixes[0]}"
        inputs.check(result, overwrite=overwrite)
        target.write(result, each.labels, classes=how.classes, source=each.name, overwrite=overwrite)
        done.append(result)
    return done


def _all_labels(files: Sequence[Path], how: Reading) -> Iterator[Source]:
    """Labels of all files, under the names of their images if these are known."""
    for file in files:
        chosen = _image_of(file, how.image)
        for each in _labels(file, how):
            yield replace(each, name=chosen.name) if chosen is not None else each


def _labels(file: Path, how: Reading, *, alone: bool = False) -> Iterator[Source]:
    """Labels in a file, of which COCO may have several; what is lost is said."""
    origin, notes = _outlines(file), list[str]()
    if origin is LABEL_FORMATS["COCO"] and not alone:
        found = read_each(file, notes=notes, classes=how.classes)
    elif origin is None:
        found = iter([Source(file.name, read(file, axes=how.axes, labels=True))])
    else:
        if how.classes and not origin.has_classes:
            raise ConfigError(f"{file.name}: {origin.name} has no classes; leave out --classes")
        chosen = _image_of(file, how.image)
        grid = None if chosen is None else _grid(chosen, how.axes)
        labels = origin.read(file, grid=grid, notes=notes, classes=how.classes)
        found = iter([Source(file.name, labels)])
    for each in found:
        array = each.labels.array
        if how.ignore_value is not None:
            array = np.where(array == how.ignore_value, IGNORE, array.astype(np.int64))
        yield replace(each, labels=replace(each.labels, array=array))
    for note in notes:
        say(f"note: {note}")


def _labelled(file: Path, labels: Source, how: Reading) -> Labelled:
    """Labels with their image, which must be there."""
    chosen = _image_of(Path(labels.name) if _outlines(file) is LABEL_FORMATS["COCO"] else file, how.image)
    if chosen is None:
        raise DatasetError(f"{labels.name} has no image; give the image, or the folder of images, by --image")
    return Labelled(plain_name(chosen), read(chosen, axes=how.axes), labels.labels)


def _target(to: str, how: Reading) -> LabelFormat:
    """The format that a word means."""
    found = next((form for form in LABEL_FORMATS.values() if to.lower().lstrip(".") in form.words), None)
    if found is None:
        words = ", ".join([*(form.words[0] for form in LABEL_FORMATS.values()), *LABEL_FOLDERS])
        raise ConfigError(f"--to wants one of {words}, got {to!r}")
    if how.classes and found.name not in FORMATS and not found.has_classes:
        raise ConfigError(f"{found.name} has no classes; leave out --classes, or take --to qupath or coco")
    return found


def _outlines(path: Path) -> LabelFormat | None:
    """The format of a label file that is no image, by the longest end that fits its name."""
    name = path.name.lower()
    others = [form for form in LABEL_FORMATS.values() if form.name not in FORMATS]
    ends = {suffix: form for form in others for suffix in form.suffixes}
    images = {suffix for form in FORMATS.values() for suffix in form.suffixes}
    longest = max((suffix for suffix in {*ends, *images} if name.endswith(suffix)), key=len, default="")
    return ends.get(longest)


def _files(source: Path) -> Sequence[Path]:
    """The files to convert."""
    if _outlines(source) and not source.is_file():
        raise ImageError(f"{source}: there is no such file; check the name")
    if not is_folder_of_images(source):
        return (source,) if _outlines(source) else images_at(source)
    outlines = [path for path in sorted(source.iterdir()) if not path.name.startswith(".") and _outlines(path)]
    files = outlines or image_files(source)
    stems = [_stem(file) for file in files]
    twice = next((file for file, stem in zip(files, stems, strict=True) if stems.count(stem) > 1), None)
    if not files:
        raise DatasetError(f"{source} has neither images nor label files; give a folder of them")
    if twice is not None:
        raise DatasetError(f"{source} has two files of the name {_stem(twice)}; convert each alone")
    return files


def _stem(file: Path) -> str:
    """Name of a file without its suffix."""
    form, name = _outlines(file), file.name.lower()
    return file.name[: -max(len(end) for end in form.suffixes if name.endswith(end))] if form else plain_name(file)


def _image_of(file: Path, image: Path | None) -> Path | None:
    """The image that labels are of: the one that is given, or that has their name in the folder or beside them."""
    if image is not None and not is_folder_of_images(image):
        return image
    folder = image or file.parent
    there = {plain_name(path): path for path in image_files(folder) if path != file and _outlines(path) is None}
    stem = _stem(file).removesuffix("_rois")
    found = next(iter(match_names(there, [stem])), None)
    if found is None and image is not None:
        raise DatasetError(f"{image} has no image with the name of {file.name}; rename the image, or give it alone")
    return None if found is None else there[found]


def _grid(image: Path, axes: str | None) -> Grid:
    """Axes and size of an image."""
    with open_lazily(image, axes=axes) as opened:
        return Grid.of(opened)
