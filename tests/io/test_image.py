"""Images as arrays with axes; channels; formats by suffix."""

import numpy as np
import pytest

from biounet.core.boxes import Box
from biounet.core.errors import DatasetError, ImageError, OutputError, ShapeError
from biounet.io import FORMATS, Image, fit_channels, format_of, image_files, images_by_name, open_lazily, read, write
from biounet.io.pixels import check_finite


@pytest.mark.parametrize(
    ("shape", "axes", "spacing"),
    [((4, 5), "XY", None), ((4, 5), "ZY", None), ((4, 5), "ZYX", None), ((3, 4, 5), "CYX", (1.0, 1.0, 1.0))],
)
def test_axes_must_fit(shape, axes, spacing):
    with pytest.raises(ShapeError):
        Image(np.zeros(shape), axes, spacing)


def test_channels_are_repeated_or_merged_but_never_invented():
    grey = np.arange(6).reshape(1, 2, 3)
    colours = fit_channels(grey, 3, "a.png")
    assert (colours == grey).all()
    np.testing.assert_array_equal(fit_channels(colours, 1, "a.png"), grey)
    with pytest.raises(ShapeError, match=r"a\.png: 1 channels are wanted, it has 2"):
        fit_channels(np.arange(4).reshape(2, 1, 2), 1, "a.png")


def test_finite_pixels_whose_sum_overflows_are_fine():
    check_finite(np.full(4, 1e308), "a.tif")
    with pytest.raises(ImageError, match="1 of 4"):
        check_finite(np.array([1e308, 1e308, 1e308, -np.inf]), "a.tif")
    with pytest.raises(ImageError, match="complex"):
        check_finite(np.zeros(4, complex), "a.tif")


def test_an_unknown_suffix_and_a_missing_file_are_errors(tmp_path):
    with pytest.raises(ImageError, match=r"cells\.czi: the suffix must be one of .*\.tif"):
        read(tmp_path / "cells.czi")
    with pytest.raises(ImageError, match=r"cells\.tif: there is no such file"):
        read(tmp_path / "cells.tif")
    with pytest.raises(OutputError, match=r"cells\.bmp: the suffix"):
        write(tmp_path / "cells.bmp", Image(np.zeros((2, 2)), "YX"))


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_has_its_functions(suffix):
    form = format_of(f"cells{suffix.upper()}")
    assert callable(form.open_lazily)
    assert callable(form.write)
    assert callable(form.create)


@pytest.mark.parametrize("suffix", sorted(set(FORMATS) - {".jpg", ".jpeg"}))
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_every_format_gives_back_what_it_got_by_region_too(tmp_path, suffix, dtype):
    array = np.arange(600).reshape(20, 30).astype(dtype)
    write(tmp_path / f"a{suffix}", Image(array, "YX", (0.25, 0.5)))
    with open_lazily(tmp_path / f"a{suffix}") as lazy:
        assert (lazy.axes, lazy.shape, lazy.dtype) == ("YX", (20, 30), dtype)
        assert lazy.spacing == pytest.approx((0.25, 0.5))
        np.testing.assert_array_equal(lazy.read(Box((3, 4), (9, 30))), array[3:9, 4:])


def test_names_inside_an_ome_zarr_folder_need_no_suffix():
    assert format_of("a.zarr/labels/cells") is FORMATS[".zarr"]


def test_images_are_listed_by_name_without_hidden_files(tmp_path):
    for name in ("b.tif", "a.PNG", ".c.tif", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in image_files(tmp_path)] == ["a.PNG", "b.tif"]


def test_images_have_one_name_each(tmp_path):
    for name in ("a.PNG", "b.2.ome.tif"):
        (tmp_path / name).touch()
    assert images_by_name(tmp_path) == {"a": tmp_path / "a.PNG", "b.2": tmp_path / "b.2.ome.tif"}
    (tmp_path / "a.ome.zarr").mkdir()
    with pytest.raises(DatasetError, match=r"a\.ome\.zarr and a\.PNG have one name"):
        images_by_name(tmp_path)
