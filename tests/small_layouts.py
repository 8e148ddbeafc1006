"""A small dataset of each layout, and its truth written where prediction would write results."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from biounet.data import Dataset, load
from biounet.data.results import name_outputs
from small_sets import CELLS, save


def image_number(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 200, CELLS.shape).astype(np.uint8)


def make_two_files(folder: Path) -> str:
    save(folder / "cells.tif", image_number(0))
    save(folder / "cells_labels.tif", CELLS)
    return f"{folder / 'cells.tif'},{folder / 'cells_labels.tif'}"


def make_isbi2012(folder: Path) -> Path:
    save(folder / "train-volume.tif", np.stack([image_number(z) for z in range(4)]))
    save(folder / "train-labels.tif", np.stack([(CELLS > 0).astype(np.uint8) * 255] * 4))
    save(folder / "test-volume.tif", np.stack([image_number(z) for z in range(4, 8)]))
    return folder


def make_dsb2018(folder: Path) -> Path:
    for number, case in enumerate(("a1", "b2")):
        save(folder / case / "images" / f"{case}.png", image_number(number))
        for label in (1, 2, 7):
            save(folder / case / "masks" / f"{label}.png", (label == CELLS).astype(np.uint8) * 255)
    return folder


def make_stardist(folder: Path) -> Path:
    for number in range(5):
        part = folder / ("train" if number < 3 else "test")
        save(part / "images" / f"{number}.tif", image_number(number))
        save(part / "masks" / f"{number}.tif", CELLS)
    return folder


def make_cellpose(folder: Path) -> Path:
    for number, (image, masks) in enumerate((("a.tif", "a_masks.tif"), ("b.png", "b_cp_masks.png"))):
        save(folder / image, image_number(number))
        save(folder / masks, CELLS)
    save(folder / "a_flows.tif", CELLS)
    return folder


def make_side_by_side(folder: Path) -> Path:
    for number, (image, masks) in enumerate((("a.tif", "a_mask.png"), ("b.png", "b_mask.png"))):
        save(folder / image, image_number(number))
        save(folder / masks, CELLS.astype(np.uint8))
    return folder


def make_nnunet(folder: Path) -> Path:
    stripes = (np.add.outer(np.arange(8), np.arange(10)) % 3).astype(np.uint8)
    for number in range(3):
        for channel in (0, 1):
            save(folder / "imagesTr" / f"case_{number}_000{channel}.png", image_number(2 * number + channel))
        save(folder / "labelsTr" / f"case_{number}.png", stripes)
    told = {"channel_names": {"0": "a", "1": "b"}, "labels": {"background": 0, "cell": 1, "edge": 2}}
    (folder / "dataset.json").write_text(json.dumps({**told, "numTraining": 3, "file_ending": ".png"}))
    return folder


def make_two_folders(folder: Path) -> str:
    for number, name in enumerate("abc"):
        save(folder / "raw" / f"{name}.tif", image_number(number))
        save(folder / "drawn" / f"{name}_mask.tif", CELLS)
    return f"{folder / 'raw'},{folder / 'drawn'}"


def make_cell_tracking(folder: Path) -> Path:
    for frame in range(3):
        save(folder / "01" / f"t{frame:03}.tif", image_number(frame))
        for name in ("SEG/man_seg", "TRA/man_track"):
            save(folder / "01_GT" / f"{name}{frame:03}.tif", CELLS)
    return folder


def make_folders(folder: Path, other: str, array: np.ndarray) -> Path:
    for number in range(3):
        save(folder / "images" / f"{number}.png", image_number(number))
        save(folder / other / f"{number}.tif", array)
    return folder


MAKERS: Mapping[str, Callable[[Path], Path | str]] = {
    "two files": make_two_files,
    "two folders": make_two_folders,
    "ISBI 2012": make_isbi2012,
    "nnU-Net": make_nnunet,
    "StarDist": make_stardist,
    "DSB 2018": make_dsb2018,
    "Cell Tracking Challenge": make_cell_tracking,
    "Cellpose": make_cellpose,
    "side by side": make_side_by_side,
    "images and targets": lambda folder: make_folders(folder, "targets", image_number(7).astype(np.float32)),
    "images and labels": lambda folder: make_folders(folder, "labels", CELLS),
}
"""Name of a layout -> function that makes a small dataset of it in a folder."""


def results_of(found: Dataset, out: Path) -> Path:
    """Write the truth where prediction would write results; a stack goes into one file."""
    truths = {}
    for pair in found.pairs:
        truths.setdefault(pair.image, []).append(load(pair)[1])
    for image, target in name_outputs(list(truths), out):
        array = np.stack(truths[image]) if len(truths[image]) > 1 else truths[image][0].squeeze()
        save(target, array.astype(np.uint8) if target.suffix == ".png" else array)
    return out
