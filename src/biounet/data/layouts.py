"""How datasets lie in folders: each function recognises one layout and pairs images with labels."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from biounet.core.errors import DatasetError
from biounet.data.dataset import Pair, by_section
from biounet.io import image_files, images_by_name

__all__ = ["LAYOUTS", "Layout", "file_pair", "images_in"]


Layout = Callable[[Path, bool], list[Pair] | None]
"""Folder, and whether computer-made labels are wanted -> its pairs; ``None`` if the layout is another."""


def isbi2012(folder: Path, silver: bool) -> list[Pair] | None:
    """ISBI 2012: ``train-volume.tif`` and ``train-labels.tif``, each section an image; 255 is inside a cell."""
    image, labels = folder / "train-volume.tif", folder / "train-labels.tif"
    if not image.exists():
        return None
    if not labels.exists():
        raise DatasetError(f"{folder} has train-volume.tif but no train-labels.tif; put it there")
    return list(by_section(Pair(image.name, image, (labels,), image.name)))


def dsb2018(folder: Path, silver: bool) -> list[Pair] | None:
    """Data Science Bowl 2018: ``<id>/images/*.png`` and ``<id>/masks/*.png``, one mask per nucleus."""
    found = [case for case in sorted(folder.iterdir()) if (case / "images").is_dir()]
    if not any((case / "masks").is_dir() for case in found):
        return None
    pairs = []
    for case in found:
        images = image_files(case / "images")
        masks = image_files(case / "masks") if (case / "masks").is_dir() else ()
        if len(images) != 1:
            raise DatasetError(f"{case / 'images'} must hold one image, it holds {len(images)}; leave one")
        if not masks:
            raise DatasetError(f"{case} has an image but no masks; add {case.name}/masks or move the folder away")
        pairs.append(Pair(case.name, images[0], masks, case.name, kind="objects", masks=True))
    return pairs


def cell_tracking_challenge(folder: Path, silver: bool) -> list[Pair] | None:
    """Cell Tracking Challenge: ``01/tNNN.tif`` with ``01_GT/SEG/man_segNNN.tif`` or ``01_ST/SEG``; also 02, ...

    In ``01_GT/TRA/man_trackNNN.tif`` lie markers of all cells, also of those that lack in both.
    """
    sequences = [path for path in sorted(folder.iterdir()) if path.is_dir() and re.fullmatch(r"\d\d", path.name)]
    truths = {
        path: (path.with_name(f"{path.name}_GT") / "SEG", path.with_name(f"{path.name}_ST") / "SEG")
        for path in sequences
    }
    if not any(truth.is_dir() for pair in truths.values() for truth in pair):
        return None
    pairs = []
    for sequence, (gold, made) in truths.items():
        # Gold truth may lack cells, silver truth fewer, and markers tell which. Without gold, silver is all there is.
        experts = [replace(pair, fill=silver) for pair in _sequence(sequence, gold, made)]
        computed = _sequence(sequence, made, None) if silver or not gold.is_dir() else []
        if any(pair.section is not None for pair in experts):
            computed = []  # whole volumes do not go with single sections
        seen = {pair.name for pair in experts}
        found = sorted([*experts, *(pair for pair in computed if pair.name not in seen)], key=lambda pair: pair.name)
        pairs += [_with_markers(pair, gold.with_name("TRA")) for pair in found]
    return pairs


def images_and_targets(folder: Path, silver: bool) -> list[Pair] | None:
    """Folders ``images`` and ``targets``, the images to draw of them; files pair by name without suffix."""
    images, targets = folder / "images", folder / "targets"
    if not (images.is_dir() and targets.is_dir()):
        return None
    labels = next((folder / name for name in ("labels", "masks") if (folder / name).is_dir()), None)
    if labels is not None:
        raise DatasetError(f"{folder} has both targets and {labels.name}; leave there what is to be learnt")
    return [replace(pair, kind="images") for pair in _paired(images, targets, "target")]


def images_and_labels(folder: Path, silver: bool) -> list[Pair] | None:
    """Folders ``images`` and ``labels`` (or ``masks``), whose files pair by name without suffix."""
    images = folder / "images"
    labels = next((folder / name for name in ("labels", "masks") if (folder / name).is_dir()), None)
    if not images.is_dir():
        return None
    if labels is None:
        raise DatasetError(
            f"{folder} has images but neither labels nor masks; put one label file per image there, "
            "or one image to draw into targets"
        )
    return _paired(images, labels, "labels")


LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {
        "ISBI 2012": isbi2012,
        "DSB 2018": dsb2018,
        "Cell Tracking Challenge": cell_tracking_challenge,
        "images and targets": images_and_targets,
        "images and labels": images_and_labels,
    }
)
"""Name of a layout -> the function that recognises it; the first that does is taken."""


def file_pair(image: Path, labels: Path) -> list[Pair]:
    """Pair one image with its labels."""
    for path in (image, labels):
        if not path.exists():
            raise DatasetError(f"{path}: there is no such file; a pair of files is IMAGE,LABELS")
    return [Pair(image.name, image, (labels,), image.name)]


def images_in(folder: Path) -> tuple[Path, ...]:
    """List the images of a folder, labelled or not: those that lie in it, else those of a dataset in one of `LAYOUTS`.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("images/a.png", "images/b.png", "masks/a.png"):
    ...     (folder / name).parent.mkdir(exist_ok=True)
    ...     (folder / name).touch()
    >>> [path.relative_to(folder).as_posix() for path in images_in(folder)]
    ['images/a.png', 'images/b.png']
    """
    files = image_files(folder)
    if files:
        volume = any(path.name == "train-volume.tif" for path in files)
        return tuple(path for path in files if not (volume and path.name == "train-labels.tif"))
    inside = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    of_cases = [image for path in inside if (path / "images").is_dir() for image in image_files(path / "images")]
    of_sequences = [image for path in inside if re.fullmatch(r"\d\d", path.name) for image in image_files(path)]
    return tuple(of_cases or of_sequences)


def _paired(images: Path, others: Path, what: str) -> list[Pair]:
    """Pair the files of two folders by name."""
    by_stem, truth = images_by_name(images), images_by_name(others)
    missing, extra = sorted(by_stem.keys() - truth.keys()), sorted(truth.keys() - by_stem.keys())
    if missing:
        raise DatasetError(
            f"{by_stem[missing[0]]} has no {what}{_more(missing)}; add {others.name}/{missing[0]}.tif "
            "or move the image away"
        )
    if extra:
        raise DatasetError(f"{truth[extra[0]]} has no image{_more(extra)}; add it or move the {what} away")
    return [Pair(image.name, image, (truth[stem],), image.name) for stem, image in by_stem.items()]


def _sequence(images: Path, truth: Path, complete: Path | None) -> list[Pair]:
    """Pair the annotated frames of a sequence; in volumes, sections may be annotated one by one."""
    pairs = []
    for labels in image_files(truth) if truth.is_dir() else ():
        match = re.fullmatch(r"man_seg_?(\d+)(?:_(\d+))?", labels.stem)
        if match is None:
            raise DatasetError(
                f"{labels}: its name must be man_seg and the number of a frame; rename it or move it away"
            )
        frame, section = match.groups()
        image = images / f"t{frame}.tif"
        if not image.exists():
            raise DatasetError(f"{labels} has no image; add {image} or move the labels away")
        silver = None if complete is None else complete / f"man_seg{frame}.tif"
        name = f"{images.name}/{image.name}" + (f"[{int(section)}]" if section else "")
        pairs.append(
            Pair(
                name,
                image,
                (labels,),
                images.name,
                kind="objects",
                section=int(section) if section else None,
                complete=silver if silver is not None and silver.exists() else None,
            )
        )
    return pairs


def _with_markers(pair: Pair, folder: Path) -> Pair:
    """Add the markers of all cells of a frame, where there are any."""
    markers = folder / f"man_track{pair.image.stem.removeprefix('t')}.tif"
    return replace(pair, markers=markers) if markers.exists() else pair


def _more(names: Iterable[str]) -> str:
    """Say how many others there are."""
    others = len(list(names)) - 1
    return f", nor have {others} others" if others else ""
