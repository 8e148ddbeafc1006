"""Files of microscopes, scanners and other programs, read as the libraries of their makers read them."""

import hashlib
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from biounet.core.boxes import Box
from biounet.core.errors import ImageError
from biounet.io import open_lazily, read

FOLDER = Path(os.environ.get("BIOUNET_DATA", "")) / "formats"
FOLDERS = (
    *("nifti", "nrrd", "dicom", "nd2", "czi", "lif", "hdf5", "mrc", "numpy", "lsm", "micromanager", "svs", "imagej"),
    *("tiff", "png", "jpeg", "stardist", "ome-zarr"),
)
"""Kinds of samples that lie in files of their own."""
FILES = ("metaxpress/made_z12.stk", "ome-tiff/multi-channel-z-series.ome.tif", "ome-tiff/multi-channel.ome.tif")
PLATES = {"ome-zarr/plate-01.zarr": "A/1/0", "ome-zarr/made_plate_v05.ome.zarr": "A/1/0"}
"""A plate holds many images: the path of the one that is described."""
REFUSED = {
    "lif/xz-example.lif [0]": "axes TCZX are; give --axes",
    "lif/xz-example.lif [2]": "axes CZX are; give --axes",
    "dicom/sm_image.dcm": "tiles of a whole slide; export",
    "dicom/seg_image_ct_binary.dcm": "a segmentation object, .* export",
    "numpy/made_pickled_object.npy": "Python objects as a pickle",
}
"""Samples that are no image of T, C, Z, Y and X -> words of the refusal."""


def entries():
    file = FOLDER / "expected.json"
    if not os.environ.get("BIOUNET_DATA") or not file.exists():
        return {}
    found = json.loads(file.read_text())["entries"]
    mine = [e for e in found if e["file"].split("/")[0] in FOLDERS or e["file"] in FILES]
    return {e["file"] + (f" [{e['image']}]" if e.get("image") is not None else ""): e for e in mine}


ENTRIES = entries()
NAMES = sorted(ENTRIES) or [pytest.param("", marks=pytest.mark.skip(reason="BIOUNET_DATA is not set"))]
IMAGES = [name for name in ENTRIES if ENTRIES[name].get("in_order_tczyx")] or NAMES
LABELS = {"tiff"}
"""Kinds whose numbers are those of the file: a palette, or white as 0, would be shown as a viewer does."""


def arguments(entry):
    """Path and options that stand for the call of the library."""
    path = FOLDER / entry["file"]
    if entry["file"] in PLATES:
        path = path / PLATES[entry["file"]]
    inner = re.search(r"(?:File|load)\(p\)\['(.*?)'\]", entry.get("call", ""))
    if inner:
        path = Path(f"{path}:/{inner[1]}")
    if entry["file"].startswith("micromanager"):
        path = next(path.glob("*.tif"))
    return path, {"series": entry.get("image"), "labels": entry["file"].split("/")[0] in LABELS}


@pytest.mark.parametrize("name", IMAGES)
def test_pixels_axes_and_pixel_size_are_those_of_the_library(name):
    entry = ENTRIES[name]
    path, options = arguments(entry)
    image, wanted = read(path, **options), entry["in_order_tczyx"]
    assert (image.axes, list(image.array.shape)) == (wanted["axes"], wanted["shape"])
    if entry["lossy"]:
        assert (image.array.min(), image.array.max()) == pytest.approx((entry["min"], entry["max"]), abs=1)
    else:
        stored = np.ascontiguousarray(image.array, image.array.dtype.newbyteorder("<"))
        assert hashlib.sha256(stored.tobytes()).hexdigest() == wanted["sha256"]
    sizes = dict(zip(image.spatial_axes, image.spacing or [None] * 3, strict=False))
    for axis, size in (entry["spacing_um"] or dict.fromkeys("yx")).items():
        if size != "uneven":
            assert sizes[axis.upper()] == (None if size is None else pytest.approx(size, rel=1e-4))


@pytest.mark.parametrize("name", IMAGES)
def test_a_region_is_that_of_the_whole(name):
    path, options = arguments(ENTRIES[name])
    with open_lazily(path, **options) as lazy:
        whole = lazy.read(Box((0,) * len(lazy.shape), lazy.shape))
        box = Box(tuple(size // 3 for size in lazy.shape), tuple(size // 3 + (size + 2) // 3 for size in lazy.shape))
        part = lazy.read(box)
    assert part.dtype == lazy.dtype
    np.testing.assert_array_equal(part, whole[box.slices])


@pytest.mark.parametrize("name", sorted(REFUSED) if ENTRIES else NAMES)
def test_what_is_no_image_is_refused_in_one_line(name):
    path, options = arguments(ENTRIES[name])
    with pytest.raises(ImageError, match=REFUSED[name]) as refusal:
        read(path, **options)
    assert path.name in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_all_samples_are_read_or_refused():
    if not ENTRIES:
        pytest.skip("BIOUNET_DATA is not set")
    spectral = {name for name in ENTRIES if "wavelength-sweep" in name}
    assert set(ENTRIES) == set(IMAGES) | set(REFUSED) | spectral
    for name in spectral:  # wavelengths are read as channels
        path, options = arguments(ENTRIES[name])
        image = read(path, **options)
        shape = dict(
            zip(ENTRIES[name]["axes"].replace("λ", "C").replace("Λ", "C"), ENTRIES[name]["shape"], strict=True)
        )
        assert dict(zip(image.axes, image.array.shape, strict=True)) == shape


SEVERAL = {
    "metaxpress/9987_Plate_3434": "TimePoint_1/ZStep_*/*_w1.TIF",
    "metaxpress/metamorph_nd": "sample_3ch_2pos_mixed-z_w2Conf561_s1.stk",
    "ome-tiff/multifile": "multifile.companion.ome",
    "tiff-sequence": "*.tif",
}
"""Folder of files that belong together -> those that are the image; several are its sections."""
needs_samples = pytest.mark.skipif(not ENTRIES, reason="BIOUNET_DATA is not set")


@needs_samples
@pytest.mark.parametrize("name", SEVERAL)
def test_files_that_belong_together_are_those_of_the_library(name):
    (entry,) = [e for e in json.loads((FOLDER / "expected.json").read_text())["entries"] if e["file"] == name]
    axes = "ZYX" if name.endswith("_nd") else None  # ImageJ calls these pages channels
    paths, labels = sorted((FOLDER / name).glob(SEVERAL[name])), name == "tiff-sequence"  # which has a palette
    images = [read(path, axes=axes, labels=labels) for path in paths]
    array = np.stack([image.array for image in images]) if len(images) > 1 else images[0].array
    assert list(array.shape) == entry["in_order_tczyx"]["shape"]
    assert hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest() == entry["in_order_tczyx"]["sha256"]
    sizes = entry["spacing_um"]
    assert images[0].spacing == (pytest.approx((sizes["y"], sizes["x"])) if sizes else None)


@needs_samples
def test_the_files_that_an_image_lacks_are_named():
    with pytest.raises(ImageError, match=r"9 of 12 planes are missing, since .*w1confCy5.* cannot be found"):
        read(next((FOLDER / "ome-tiff" / "visiview").glob("*.tif")))


@needs_samples
@pytest.mark.parametrize("name", ["seq-1c-12b-miniswhite-47c39b31.tiff", "seq-1c-4b-miniswhite-fb92dcae.tiff"])
def test_white_is_the_highest_value_of_the_bits_that_a_pixel_has(name):
    stored, shown = (read(FOLDER / "tiff" / name, labels=labels).array for labels in (True, False))
    assert np.array_equal(shown, (4095 if "12b" in name else 15) - stored)
