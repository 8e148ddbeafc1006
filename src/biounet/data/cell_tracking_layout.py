"""The layout of the Cell Tracking Challenge: frames, gold and silver truth, markers, and masks as results."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from biounet.core.errors import DatasetError
from biounet.core.problems import Problems
from biounet.data.dataset import Pair
from biounet.data.layout import Layout, ResultNames, Truth
from biounet.io import image_files

__all__ = ["CELL_TRACKING"]

NAMES = ResultNames(folder=r".*_RES", image=r"t(\d+)\.tif", result="mask{}.tif", dtype="uint16")
"""The challenge wants ``01_RES/mask007.tif`` of ``01/t007.tif``, with numbers of 16 bits."""


def _pairs(folder: Path, silver: bool, problems: Problems) -> list[Pair] | None:
    """Pair ``01/tNNN.tif`` with ``01_GT/SEG/man_segNNN.tif`` or ``01_ST/SEG``; also 02, ...

    In ``01_GT/TRA/man_trackNNN.tif`` lie markers of all cells, also of those that lack in both.
    """
    truths = {
        path: (path.with_name(f"{path.name}_GT") / "SEG", path.with_name(f"{path.name}_ST") / "SEG")
        for path in _sequences(folder)
    }
    if not any(truth.is_dir() for pair in truths.values() for truth in pair):
        return None
    pairs = []
    for sequence, (gold, made) in truths.items():
        # Gold truth may lack cells, silver truth fewer, and markers tell which. Without gold, silver is all there is.
        experts = [replace(pair, fill=silver) for pair in _pairs_of_sequence(sequence, gold, made, problems)]
        computed = _pairs_of_sequence(sequence, made, None, problems) if silver or not gold.is_dir() else []
        if any(pair.section is not None for pair in experts):
            computed = []  # whole volumes do not go with single sections
        known = {pair.name for pair in experts}
        both = sorted([*experts, *(pair for pair in computed if pair.name not in known)], key=lambda pair: pair.name)
        pairs += [_with_markers(pair, gold.with_name("TRA")) for pair in both]
    return pairs


def _images(folder: Path) -> list[Path]:
    """List the frames of all sequences."""
    return [image for sequence in _sequences(folder) for image in image_files(sequence)]


def _truths(folder: Path, result: Path) -> list[Truth]:
    """List the labels of ``01_GT``, or of the one in the folder whose results ``01_RES`` are."""
    gold = folder / result.name.replace("_RES", "_GT")
    inside = gold if result.name.endswith("_RES") and gold.is_dir() else folder
    return [
        Truth(
            key=str(int(frame)),
            result=NAMES.result.format(frame),
            files=(labels,),
            section=section,
            role="extent" if kind == "man_seg" else "markers",
        )
        for part, kind in (("SEG", "man_seg"), ("TRA", "man_track"))
        for labels, frame, section in _frames(inside / part, kind)
    ]


def _results(folder: Path) -> dict[str, Path]:
    """List frames of a result, ``mask000.tif`` or ``t000.tif``, by their numbers."""
    frames: dict[str, Path] = {}
    for path in image_files(folder):
        number = re.fullmatch(r"(?:mask|t)?_?(\d+)", path.stem)
        if number is None:
            raise DatasetError(f"{path}: a frame must be called mask and its number, such as mask000.tif; rename it")
        other = frames.setdefault(str(int(number[1])), path)
        if other != path:
            raise DatasetError(f"{path} and {other.name} are the same frame; keep one of them")
    return frames


def _notes(pairs: Sequence[Pair]) -> list[str]:
    """Say who labelled the images, and what nobody can know."""
    notes = []
    experts = [pair for pair in pairs if not pair.labels[0].parts[-3].endswith("_ST")]
    computed = len(pairs) - len(experts)
    alone = sum(pair.complete is None and pair.markers is None for pair in experts)
    if computed:
        notes.append(f"{computed} of {len(pairs)} images have computer-made labels only (silver truth)")
    if alone:
        notes.append(
            f"{alone} of {len(pairs)} images have neither markers (01_GT/TRA) nor silver truth (01_ST/SEG): whether "
            "experts left out cells cannot be known, and such cells are taken for background; add one of the two"
        )
    return notes


CELL_TRACKING = Layout(
    name="Cell Tracking Challenge",
    sign="01 with 01_GT/SEG or 01_ST/SEG",
    pairs=_pairs,
    images=_images,
    truths=_truths,
    results=_results,
    names=NAMES,
    all_labelled=False,
    all_compared=False,
    notes=_notes,
)
"""Sequences of frames, of which experts outlined some cells in some frames and marked all cells."""


def _sequences(folder: Path) -> list[Path]:
    """Folders 01, 02, ... of frames."""
    return [path for path in sorted(folder.glob("[0-9][0-9]")) if path.is_dir()]


def _frames(folder: Path, kind: str) -> Iterator[tuple[Path, str, int | None]]:
    """Label files of a folder, the number of the frame as it is written, and that of the section, if it shows one."""
    for labels in image_files(folder) if folder.is_dir() else ():
        match = re.fullmatch(rf"{kind}_?(\d+)(?:_(\d+))?", labels.stem)
        if match is None:
            raise DatasetError(
                f"{labels}: its name must be {kind} and the number of a frame; rename it or move it away"
            )
        yield labels, match[1], int(match[2]) if match[2] else None


def _pairs_of_sequence(images: Path, truth: Path, complete: Path | None, problems: Problems) -> list[Pair]:
    """Pair the annotated frames of a sequence; in volumes, sections may be annotated one by one."""
    pairs = []
    for labels, frame, section in _frames(truth, "man_seg"):
        image = images / f"t{frame}.tif"
        if not image.exists():
            problems.add(DatasetError(f"{labels} has no image; add {image} or move the labels away"))
            continue
        silver = None if complete is None else complete / f"man_seg{frame}.tif"
        pairs.append(
            Pair(
                f"{images.name}/{image.name}" + ("" if section is None else f"[{section}]"),
                image,
                (labels,),
                images.name,
                kind="objects",
                section=section,
                complete=silver if silver is not None and silver.exists() else None,
            )
        )
    return pairs


def _with_markers(pair: Pair, folder: Path) -> Pair:
    """Add the markers of all cells of a frame, where there are any."""
    markers = folder / f"man_track{pair.image.stem.removeprefix('t')}.tif"
    return replace(pair, markers=markers) if markers.exists() else pair
