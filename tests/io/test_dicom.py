"""DICOM: slices in the order of their positions, frames, codecs, and objects that are no image."""

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from biounet.core.boxes import Box
from biounet.core.errors import ImageError
from biounet.io import format_of, image_files, is_folder_of_images, open_lazily, plain_name, read
from other_programs import write_dicom

PIXELS = np.arange(5 * 8 * 9, dtype=np.int16).reshape(5, 8, 9) - 100


def series(folder, places, *, pixels=PIXELS, **fields):
    """Slices under names that are not in the order of their positions."""
    folder.mkdir(exist_ok=True)
    for number, (place, plane) in enumerate(zip(places, pixels, strict=False)):
        name = f"{(7 * number) % 10}.dcm"
        write_dicom(folder / name, plane, place=(1.0, 2.0, place), InstanceNumber=number + 1, **fields)
    return folder


def test_slices_are_sorted_by_position_and_steps_are_those_of_positions(tmp_path):
    folder = series(tmp_path / "ct", [10.0, 12.5, 15.0, 17.5, 20.0])
    image = read(folder)
    assert (image.axes, image.spacing, image.array.dtype) == ("ZYX", (2500.0, 500.0, 250.0), np.int16)
    np.testing.assert_array_equal(image.array, PIXELS)
    with open_lazily(folder) as lazy:
        assert lazy.notes == ()
        np.testing.assert_array_equal(lazy.read(Box((1, 2, 3), (3, 8, 5))), PIXELS[1:3, 2:, 3:5])


def test_slices_that_were_taken_downwards_are_turned_round(tmp_path):
    assert read(series(tmp_path / "ct", [20.0, 15.0, 10.0])).array[:, 0, 0].tolist() == [44, -28, -100]


def test_positions_count_along_the_normal_of_slices(tmp_path):
    upright = {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}  # sagittal: the normal is -x
    for number in range(3):
        write_dicom(tmp_path / f"{number}.dcm", PIXELS[number], place=(3.0 * number, 0, 0), **upright)
    image = read(tmp_path)
    np.testing.assert_array_equal(image.array, PIXELS[2::-1])
    assert image.spacing == pytest.approx((3000, 500, 250))


def test_a_missing_slice_is_told(tmp_path):
    with open_lazily(series(tmp_path / "mr", [0.0, 3.0, 6.0, 12.0])) as lazy:
        assert lazy.spacing == pytest.approx((3000, 500, 250))
        assert lazy.notes == ("1 slice is missing (steps of 3 to 6 mm); volumes there are wrong",)


def test_several_slices_at_each_position_are_time_points(tmp_path):
    folder = series(tmp_path / "dce", [0.0, 5.0, 0.0, 5.0])
    image = read(folder)
    assert (image.axes, image.array.shape) == ("TZYX", (2, 2, 8, 9))
    np.testing.assert_array_equal(image.array.reshape(4, 8, 9), PIXELS[:4])
    series(folder, [0.0, 5.0, 0.0, 5.0, 9.0])
    with pytest.raises(ImageError, match="dce: there are 1 slices at some positions and 2 at others"):
        read(folder)


def test_a_folder_of_slices_is_one_image_and_one_of_pictures_is_not(tmp_path):
    folder = series(tmp_path / "ct.1", [0.0, 1.0])
    (folder / "notes.txt").write_text("taken on Monday")
    assert (format_of(folder).name, plain_name(folder)) == ("DICOM", "ct.1")
    assert not is_folder_of_images(folder)
    assert image_files(tmp_path) == (folder,)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(2):
        write_dicom(pictures / f"{number}.dcm", PIXELS[number], series=f"1.2.{number}")
    assert is_folder_of_images(pictures)
    assert is_folder_of_images(tmp_path)


def test_files_without_suffix_are_slices_too(tmp_path):
    for number in range(2):
        write_dicom(tmp_path / f"IM{number}", PIXELS[number], place=(0, 0, number))
    assert read(tmp_path).array.shape == (2, 8, 9)


def test_one_of_several_series_is_chosen(tmp_path):
    folder = series(tmp_path / "study", [0.0, 1.0], series="1.2.1")
    write_dicom(folder / "x.dcm", PIXELS[4], series="1.2.2")
    with open_lazily(folder) as lazy:
        assert lazy.shape == (2, 8, 9)
        assert "it holds 2 images, the first (1.2.1) is read; left out: 1 1.2.2" in lazy.notes[0]
    np.testing.assert_array_equal(read(folder, series=1).array, PIXELS[4])


def test_a_slope_that_changes_from_slice_to_slice_is_applied(tmp_path):
    for number in range(2):
        fields = {"RescaleSlope": number + 1, "RescaleIntercept": -3, "Modality": "PT"}
        write_dicom(tmp_path / f"{number}.dcm", PIXELS[number], place=(0, 0, number), **fields)
    image = read(tmp_path)
    assert image.array.dtype == np.float32
    np.testing.assert_array_equal(image.array, np.stack([PIXELS[0] - 3.0, PIXELS[1] * 2.0 - 3.0]))


CODECS = {
    RLELossless: None,
    JPEG2000Lossless: lambda plane: imagecodecs.jpeg2k_encode(plane, level=0, codecformat="j2k", reversible=True),
    JPEGLSLossless: lambda plane: imagecodecs.jpegls_encode(plane.view(np.uint16)),
}


@pytest.mark.parametrize("syntax", CODECS, ids=lambda syntax: syntax.name)
def test_compressed_pixels_keep_their_sign(tmp_path, syntax):
    path, encode = tmp_path / "a.dcm", CODECS[syntax]
    write_dicom(path, PIXELS[0])
    content = pydicom.dcmread(path)
    if encode is None:
        content.compress(syntax)
    else:
        content.PixelData = encapsulate([encode(PIXELS[0])])
        content.file_meta.TransferSyntaxUID = syntax
    content.save_as(path)
    np.testing.assert_array_equal(read(path).array, PIXELS[0])


def test_frames_of_one_file_without_positions_are_time_points(tmp_path):
    gone = {"ImagePositionPatient": None, "ImageOrientationPatient": None}
    write_dicom(tmp_path / "a.dcm", PIXELS, NumberOfFrames=5, **gone)
    image = read(tmp_path / "a.dcm")
    assert image.axes == "TYX"
    np.testing.assert_array_equal(image.array, PIXELS)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"Rows": None}, "no pixels; give the images"),
        ({"Modality": "SEG"}, "a segmentation object"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "colours of a palette"),
        ({"NumberOfFrames": 5, "TotalPixelMatrixColumns": 90}, "tiles of a whole slide"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path, fields, said):
    write_dicom(tmp_path / "a.dcm", PIXELS, **fields)
    with pytest.raises(ImageError, match=rf"a\.dcm holds {said}"):
        read(tmp_path / "a.dcm")


def test_slices_of_two_sizes_are_refused(tmp_path):
    write_dicom(tmp_path / "a.dcm", PIXELS[0])
    write_dicom(tmp_path / "b.dcm", PIXELS[1, :4], place=(0, 0, 1))
    with pytest.raises(ImageError, match="slices have different sizes"):
        read(tmp_path)
