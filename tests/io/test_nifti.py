"""NIfTI: axes, units, slopes and torn files; results lie in space where their source lies."""

import nibabel
import numpy as np
import pytest

from biounet.core.boxes import Box
from biounet.core.errors import ImageError
from biounet.io import Image, create, open_lazily, read, write

AFFINE = np.array([[-0.4, 0.3, 0, 7], [0.3, 0.4, 0, -5], [0, 0, 2, 3], [0, 0, 0, 1.0]])
"""Turned in the plane, and left for right: voxels of 0.5 x 0.5 x 2."""
PIXELS = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)


def save(path, pixels, *, unit="mm", affine=AFFINE, kind=nibabel.Nifti1Image):
    image = kind(pixels, affine)
    image.header.set_xyzt_units(unit)
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize(
    ("unit", "spacing"),
    [("mm", (2000, 500, 500)), ("micron", (2, 0.5, 0.5)), ("meter", (2e6, 5e5, 5e5)), ("unknown", (2000, 500, 500))],
)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_axes_are_turned_round_and_units_are_known(tmp_path, unit, spacing, suffix):
    image = read(save(tmp_path / f"a{suffix}", PIXELS, unit=unit))
    assert (image.axes, image.array.dtype) == ("ZYX", np.int16)
    np.testing.assert_array_equal(image.array, PIXELS.T)
    assert image.spacing == pytest.approx(spacing)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((4, 5), "YX"), ((4, 5, 1), "YX"), ((4, 5, 6, 1, 1), "ZYX"), ((4, 5, 6, 2), "TZYX"), ((4, 5, 6, 2, 3), "TCZYX")],
)
def test_axes_follow_from_their_number_without_those_of_length_one_at_the_end(tmp_path, shape, axes):
    pixels = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    for suffix in (".nii", ".nii.gz"):
        image = read(save(tmp_path / f"a{suffix}", pixels))
        assert image.axes == axes
        assert sorted(image.array.shape) == sorted(size for size in shape if size > 1)
        inside = dict(zip(image.axes, image.array.shape, strict=True))
        assert [inside.get(axis, 1) for axis in "XYZTC"[: len(shape)]] == list(shape)


def test_a_slope_is_applied_to_regions_too(tmp_path):
    image = nibabel.Nifti1Image(PIXELS.astype(np.float32) / 2 + 3, AFFINE)
    image.set_data_dtype(np.int16)
    nibabel.save(image, tmp_path / "a.nii")
    with open_lazily(tmp_path / "a.nii") as lazy:
        assert lazy.dtype == np.float64
        np.testing.assert_allclose(lazy.read(Box((1, 2, 0), (3, 5, 4))), (PIXELS.T / 2 + 3)[1:3, 2:5], atol=0.01)


def test_a_torn_file_is_refused_when_it_is_opened(tmp_path):
    path = save(tmp_path / "a.nii", PIXELS)
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(ImageError, match=r"a\.nii is torn: 592 bytes are announced"):
        open_lazily(path)


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("shape", [(4, 5, 6), (4, 5, 1), (4, 5), (4, 5, 6, 2), (4, 5, 1, 2)])
def test_labels_lie_where_their_image_lies(tmp_path, kind, shape):
    source = save(tmp_path / "ct.nii.gz", np.zeros(shape, np.int16), kind=kind)
    image = read(source)
    labels = np.arange(image.array.size).reshape(image.array.shape)
    write(tmp_path / "labels.nii.gz", Image(labels, image.axes, image.spacing), like=source)
    made, there = nibabel.load(tmp_path / "labels.nii.gz"), nibabel.load(source)
    assert (type(made), made.shape, made.get_data_dtype()) == (kind, shape, np.uint16)
    np.testing.assert_array_equal(made.affine, there.affine)
    for field in ("sform_code", "qform_code", "xyzt_units", "pixdim"):
        np.testing.assert_allclose(made.header[field], there.header[field], err_msg=field)
    np.testing.assert_array_equal(read(tmp_path / "labels.nii.gz").array, labels)


def test_a_time_point_or_a_channel_more_keeps_the_place(tmp_path):
    source = save(tmp_path / "ct.nii", np.zeros((4, 5, 6), np.int16))
    channels = Image(np.arange(240, dtype=np.float32).reshape(2, 6, 5, 4), "CZYX", (2.0, 0.5, 0.5))
    with create(tmp_path / "p.nii", shape=(2, 6, 5, 4), dtype=np.float32, axes="CZYX", like=source) as output:
        output.write(Box((0, 0, 0, 0), (2, 6, 5, 4)), channels.array)
    made = nibabel.load(tmp_path / "p.nii")
    assert made.shape == (4, 5, 6, 1, 2)
    np.testing.assert_array_equal(made.affine, nibabel.load(source).affine)
    image = read(tmp_path / "p.nii")
    assert image.axes == "TCZYX"
    np.testing.assert_array_equal(image.array[0], channels.array)


def test_a_source_of_another_shape_or_format_gives_no_place(tmp_path):
    tiff, other = tmp_path / "a.tif", save(tmp_path / "other.nii", np.zeros((4, 5, 7), np.int16))
    labels = Image(np.ones((6, 5, 4), np.uint8), "ZYX", (2.0, 0.5, 0.25))
    write(tiff, labels)
    for source in (tiff, other):
        write(tmp_path / "labels.nii", labels, like=source, overwrite=True)
        made = nibabel.load(tmp_path / "labels.nii")
        np.testing.assert_array_equal(made.affine, np.diag([0.25, 0.5, 2, 1]))
        assert made.header.get_xyzt_units()[0] == "micron"


def test_equal_labels_are_equal_files(tmp_path):
    for name in ("a.nii.gz", "b.nii.gz"):
        write(tmp_path / name, Image(np.ones((2, 3), np.uint8), "YX"))
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
