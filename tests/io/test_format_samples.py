"""Samples of many programs, as the libraries of their formats read them."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

from biounet.core.errors import ImageError
from biounet.io import read

FOLDERS = (
    "imagej",
    "jpeg",
    "lsm",
    "metaxpress",
    "micromanager",
    "ome-tiff",
    "ome-zarr",
    "png",
    "svs",
    "tiff",
    "tiff-sequence",
)
"""Folders of samples that are read here."""

PLACES = {
    "metaxpress/9987_Plate_3434": "TimePoint_1/ZStep_*/*_w1.TIF",
    "metaxpress/metamorph_nd": "sample_3ch_2pos_mixed-z_w2Conf561_s1.stk",
    "micromanager/12_bit_pycromanager_mda": "*_NDTiffStack.tif",
    "micromanager/ndtiffv3.0_test": "*_NDTiffStack.tif",
    "ome-tiff/multifile": "multifile.companion.ome",
    "ome-zarr/made_plate_v05.ome.zarr": "A/1/0",
    "ome-zarr/plate-01.zarr": "A/1/0",
    "tiff-sequence": "*.tif",
}
"""Sample that is a folder -> the files in it that are the image; several are its sections."""

OPTIONS = {"metaxpress/metamorph_nd": {"axes": "ZYX"}}
"""Samples of which the library that was used says other axes than the file."""

ROOT = Path(os.environ.get("BIOUNET_DATA", "no such folder")) / "formats"


def samples():
    file = ROOT / "expected.json"
    if not file.is_file():
        return [pytest.param({}, marks=pytest.mark.skip(reason="BIOUNET_DATA names no folder of samples"))]
    entries = json.loads(file.read_text())["entries"]
    return [pytest.param(each, id=each["file"]) for each in entries if each["file"].split("/")[0] in FOLDERS]


def images_of(sample):
    """The images of a sample."""
    path = ROOT / sample["file"]
    paths = sorted(path.glob(PLACES[sample["file"]])) if sample["file"] in PLACES else [path]
    labels = "PALETTE" in str(sample.get("facts"))  # whose pixels are numbers, not colours
    return [read(each, labels=labels, **OPTIONS.get(sample["file"], {})) for each in paths]


@pytest.mark.parametrize("sample", samples())
def test_a_sample_is_read_as_its_library_reads_it(sample):
    if sample["file"] == "ome-tiff/visiview":
        with pytest.raises(ImageError, match=r"9 of 12 planes are missing, since .*w1confCy5.* cannot be found"):
            read(next((ROOT / sample["file"]).glob("*.tif")))
        return
    images = images_of(sample)
    stacked = len(images) > 1
    array = np.stack([image.array for image in images]) if stacked else images[0].array
    wanted = expected_of(sample)
    assert "Z" * stacked + images[0].axes == wanted["axes"]
    assert list(array.shape) == wanted["shape"]
    check_spacing(images[0], sample["spacing_um"])
    if sample["lossy"]:
        assert array.dtype == np.uint8
    else:
        assert hash_of(array, sample) == wanted["sha256"]


def expected_of(sample):
    """Axes, shape and hash that are wanted; colours are channels."""
    if sample["file"].startswith("jpeg/"):  # turned upright
        return {"axes": "CYX", "shape": [3, 128, 128]}
    return sample["in_order_tczyx"]


def check_spacing(image, wanted):
    """Micrometres per pixel, of the axes that the sample tells."""
    if not wanted:
        assert image.spacing is None
        return
    for axis, size in zip(image.spatial_axes, image.spacing, strict=True):
        if axis.lower() in wanted:
            assert size == pytest.approx(wanted[axis.lower()], rel=1e-4)


def hash_of(array, sample):
    """Hash of the pixels as they are stored, little-endian: white may be 0 there, in images of more than one bit."""
    facts = sample.get("facts") or {}
    if facts.get("photometric") == "MINISWHITE":
        array = (2 ** facts["bits"] - 1 - array if facts["bits"] > 1 else array).astype(sample["dtype"])
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return hashlib.sha256(little.tobytes()).hexdigest()
