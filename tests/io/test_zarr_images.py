"""Images inside of OME-Zarr: plates, wells, series, labels, levels; zip files; words for what is none."""

import json
import shutil

import numpy as np
import pytest

from biounet.core.errors import ImageError
from biounet.data.results import name_outputs
from biounet.io import Image, image_files, images_at, plain_name, read, write

zarr = pytest.importorskip("zarr", reason="the extra zarr is not installed")


def pixels_of(number, shape=(40, 30)):
    return np.random.default_rng(number).integers(0, 255, shape).astype(np.uint8)


def add_image(root, name, number):
    group = root.create_group(name)
    group.create_array("0", data=pixels_of(number))
    told = [{"version": "0.4", "axes": ["y", "x"], "datasets": [{"path": "0"}]}]
    group.attrs["multiscales"] = told


def plate(path, form=2):
    """Wells A/1 with two fields and B/2 with one."""
    root = zarr.open_group(path, mode="w", zarr_format=form)
    wells = {"A/1": ["0", "1"], "B/2": ["0"]}
    root.attrs["plate"] = {"wells": [{"path": well} for well in wells]}
    for number, (well, fields) in enumerate(wells.items()):
        group = root.create_group(well)
        group.attrs["well"] = {"images": [{"path": field} for field in fields]}
        for field in fields:
            add_image(group, field, 2 * number + int(field))
    return path


def series(path, count):
    root = zarr.open_group(path, mode="w", zarr_format=2)
    root.attrs["bioformats2raw.layout"] = 3
    root.create_group("OME")
    for number in range(count):
        add_image(root, str(number), number)
    return path


@pytest.mark.parametrize("form", [2, 3])
def test_a_plate_stands_for_the_fields_of_its_wells(tmp_path, form):
    path = plate(tmp_path / "p.zarr", form)
    inside = images_at(path)
    assert [image.relative_to(path).as_posix() for image in inside] == ["A/1/0", "A/1/1", "B/2/0"]
    assert images_at(path / "A" / "1") == inside[:2]
    assert images_at(inside[0]) == inside[:1]
    for number, image in enumerate(inside):
        assert np.array_equal(read(image).array, pixels_of(number))


def test_results_are_named_by_plate_well_and_field(tmp_path):
    plate(tmp_path / "in" / "p.zarr")
    pairs = name_outputs([tmp_path / "in" / "p.zarr"], tmp_path / "out")
    assert [result.name for _, result in pairs] == ["p_A_1_0.zarr", "p_A_1_1.zarr", "p_B_2_0.zarr"]
    assert image_files(tmp_path / "in") == tuple(image for image, _ in pairs)


def test_a_field_is_selected_by_number_or_place(tmp_path):
    path = plate(tmp_path / "p.zarr")
    assert np.array_equal(read(path, series=2).array, pixels_of(2))
    assert np.array_equal(read(path, series="A/1/1").array, pixels_of(1))
    with pytest.raises(ImageError, match=r"holds A/1/0, A/1/1, B/2/0; there is no series 3"):
        read(path, series=3)
    with pytest.raises(ImageError, match=r"no image but A/1/0, A/1/1, B/2/0; give the path of one, or --series"):
        read(path)
    assert len(name_outputs([path], tmp_path / "out", as_one=True)) == 1


def test_all_series_of_a_converted_file_are_images(tmp_path):
    path = series(tmp_path / "s.zarr", 3)
    assert [plain_name(image) for image in images_at(path)] == ["s_0", "s_1", "s_2"]


def test_the_only_series_of_a_converted_file_is_the_image(tmp_path):
    path = series(tmp_path / "s.zarr", 1)
    assert images_at(path) == (path,)
    assert np.array_equal(read(path).array, pixels_of(0))


@pytest.mark.parametrize("whole_folder", [True, False])
@pytest.mark.parametrize("suffix", [".zarr.zip", ".ozx"])
def test_a_zip_file_is_read(tmp_path, suffix, whole_folder):
    plate(tmp_path / "p.zarr")
    place = {"root_dir": tmp_path, "base_dir": "p.zarr"} if whole_folder else {"root_dir": tmp_path / "p.zarr"}
    shutil.make_archive(str(tmp_path / "made"), "zip", **place)
    path = (tmp_path / "made.zip").rename(tmp_path / f"p{suffix}")
    assert np.array_equal(read(path, series="B/2/0").array, pixels_of(2))
    assert plain_name(path) == "p"


def test_a_zip_file_by_the_name_of_a_folder_is_told(tmp_path):
    write(tmp_path / "a.zarr", Image(pixels_of(0), "YX"))
    shutil.make_archive(str(tmp_path / "b"), "zip", tmp_path / "a.zarr")
    (tmp_path / "b.zip").rename(tmp_path / "b.zarr")
    with pytest.raises(ImageError, match=r"b\.zarr is a zip file: name it \.zarr\.zip"):
        read(tmp_path / "b.zarr")


def test_a_level_has_its_pixel_size(tmp_path):
    pixels = pixels_of(0, (600, 300))
    write(tmp_path / "a.zarr", Image(pixels, "YX", (0.5, 0.25)))
    small = read(tmp_path / "a.zarr", level=1)
    assert small.array.shape == (300, 150)
    assert small.spacing == (1.0, 0.5)
    with pytest.raises(ImageError, match=r"a\.zarr: it holds levels 0 to 2, no level 3"):
        read(tmp_path / "a.zarr", level=3)
    with pytest.raises(ImageError, match="one image, there is no series 1"):
        read(tmp_path / "a.zarr", series=1)


def test_a_version_of_the_future_is_told(tmp_path):
    write(tmp_path / "a.zarr", Image(pixels_of(0), "YX"))
    file = tmp_path / "a.zarr" / "zarr.json"
    told = json.loads(file.read_text())
    told["attributes"]["ome"]["version"] = "0.7"
    file.write_text(json.dumps(told))
    with pytest.raises(ImageError, match=r"a\.zarr: it is OME-Zarr of version 0\.7; 0\.1 to 0\.5 are read"):
        read(tmp_path / "a.zarr")


def test_broken_attributes_of_a_plate_are_told(tmp_path):
    plate(tmp_path / "p.zarr")
    (tmp_path / "p.zarr" / ".zattrs").write_text("{")
    with pytest.raises(ImageError, match=r"p\.zarr: its OME-Zarr metadata, line 1: the text is torn"):
        images_at(tmp_path / "p.zarr")
