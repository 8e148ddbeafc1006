"""What `biounet convert` does: each file is read as labels or as an image, and written in another format."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from biounet.cli.progress import progress, say
from biounet.cli.signals import stop_when_told
from biounet.core.atomic_files import remove_parts
from biounet.core.batch import Batch
from biounet.core.errors import ConfigError, DatasetError, ImageError
from biounet.core.labels import IGNORE
from biounet.core.output_lock import holding
from biounet.core.overwriting import Inputs
from biounet.core.places import check_output
from biounet.data.label_folders import LABEL_FOLDERS, Labelled
from biounet.data.names import match_names
from biounet.io import (
    FORMATS,
    Selection,
    image_files,
    images_at,
    is_folder_of_images,
    open_selected,
    plain_name,
    read_selected,
    write,
)
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
    selection: Selection = Selection()
    """What is read of the image, or where none is given of the label image."""
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
        If there is no such format, or the name of `out` is that of another, or of one file where several are written.
    OutputError
        If `out` may not be replaced, or another command is writing there.
    BatchError
        At the end, if some of several files cannot be converted.
    """
    files = _files(source)
    inputs = Inputs({"a label file": files, "the image": [how.image] if how.image else []})
    write_folder = LABEL_FOLDERS.get(to.lower())
    target = None if write_folder else _target(to, how)
    one = target is not None and _is_one_file(source, files, out, target)
    check_output(out, file=one)
    with stop_when_told(), holding([out]) if one else holding([], folder=out):
        remove_parts([out] if one else [])
        for folder in [] if one else [out, *(path for path in out.rglob("*") if path.is_dir())]:
            remove_parts([], folder=folder)
        if write_folder is not None:
            inputs.check(out)
            pairs = (_labelled(file, each, how) for file in files for each in _labels(file, how, paired=True))
            write_folder(out, pairs, classes=how.classes, overwrite=overwrite)
            say(f"{_count(len(files))} converted to a folder of {to.lower()}: {out}")
        elif target is not None and target.name == "COCO" and one:
            inputs.check(out, overwrite=overwrite, kind=target.kind)
            write_each(out, _all_labels(files, how), classes=how.classes, overwrite=overwrite)
            say(f"{_count(len(files))} converted to one of COCO: {out}")
        elif target is not None:
            _convert_each(files, out, target, how, inputs, overwrite=overwrite)


def _is_one_file(source: Path, files: Sequence[Path], out: Path, target: LabelFormat) -> bool:
    """Whether the output is a file; else it is a folder."""
    named = out.name.lower().endswith(target.suffixes)
    if target.name == "COCO" and named:
        return True
    if is_folder_of_images(source) and named:
        raise ConfigError(f"--out {out} is the name of one file, and {source} is a folder; give the name of a folder")
    if not (named or is_folder_of_images(source) or _outlines(files[0]) is LABEL_FORMATS["COCO"]):
        raise ConfigError(
            f"--out {out}: names of {target.name} end in {' or '.join(target.suffixes)}; name the file so"
        )
    return named


def _convert_each(
    files: Sequence[Path], out: Path, target: LabelFormat, how: Reading, inputs: Inputs, *, overwrite: bool
) -> None:
    """Convert files one after the other, past those that are bad."""
    done: list[Path] = []
    batch = Batch(len(files), verb="converted", again="--overwrite", kind="files")
    with progress("converting") as show:
        for number, file in enumerate(files):
            show(number / len(files), file.name)
            with batch.noting(file):
                done += _convert(file, out, target, how, inputs, overwrite=overwrite)
    say(f"{_count(len(done))} of {target.name} written: {out}")
    batch.finish(done, report=say)


def _convert(
    file: Path, out: Path, target: LabelFormat, how: Reading, inputs: Inputs, *, overwrite: bool
) -> list[Path]:
    """Convert one file; the files that were written."""
    alone = out.name.lower().endswith(target.suffixes)
    if _outlines(file) is None and target.name in FORMATS and how.ignore_value is None:
        result = out if alone else out / f"{plain_name(file)}{target.suffixes[0]}"
        inputs.check(result, overwrite=overwrite, kind=target.kind)
        write(result, read_selected(file, how.selection), overwrite=overwrite)
        return [result]
    done = []
    for each in _labels(file, how, alone=alone):
        result = out if alone else out / f"{_stem(Path(each.name))}{target.suffixes[0]}"
        inputs.check(result, overwrite=overwrite, kind=target.kind)
        target.write(result, each.labels, classes=how.classes, source=each.name, overwrite=overwrite)
        done.append(result)
    return done


def _all_labels(files: Sequence[Path], how: Reading) -> Iterator[Source]:
    """Labels of all files, under the names of their images if these are known."""
    for file in files:
        chosen = _image_of(file, how.image)
        for each in _labels(file, how):
            yield replace(each, name=chosen.name) if chosen is not None else each


def _labels(file: Path, how: Reading, *, alone: bool = False, paired: bool = False) -> Iterator[Source]:
    """Labels in a file, of which COCO may have several; what is lost is said. Paired labels have an image beside."""
    origin, notes = _outlines(file), list[str]()
    if origin is LABEL_FORMATS["COCO"] and not alone:
        found = read_each(file, notes=notes, classes=how.classes)
    elif origin is None:
        selection = how.selection.of_labels if paired or how.image else how.selection
        found = iter([Source(file.name, read_selected(file, selection, labels=True))])
    else:
        if how.classes and not origin.has_classes:
            raise ConfigError(f"{file.name}: {origin.name} has no classes; leave out --classes")
        chosen = _image_of(file, how.image)
        grid = None if chosen is None else _grid(chosen, how.selection)
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
    return Labelled(plain_name(chosen), read_selected(chosen, how.selection), labels.labels)


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


def _grid(image: Path, selection: Selection) -> Grid:
    """Axes and size of an image."""
    with open_selected(image, selection) as opened:
        return Grid.of(opened)


def _count(files: int) -> str:
    """A number of files in words."""
    return f"{files:,} file{'s' * (files != 1)}"
