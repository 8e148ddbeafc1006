"""Images as arrays with axes; channels; pixels that are no numbers."""

import numpy as np
import pytest

from biounet.core.errors import ImageError, ShapeError
from biounet.io import Image, fit_channels, read, write
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
    with pytest.raises(ShapeError, match=r"a\.tif: 1 channels are wanted, it has 2; .*, or say --axes ZYX"):
        fit_channels(np.arange(4).reshape(2, 1, 2), 1, "a.tif")
    with pytest.raises(ShapeError, match=r"it has 3; choose one by --channel, or save it in grey$"):
        fit_channels(np.arange(6).reshape(3, 1, 2), 1, "colours.png")


def test_finite_pixels_whose_sum_overflows_are_fine():
    check_finite(np.full(4, 1e308), "a.tif")
    with pytest.raises(ImageError, match="1 of 4"):
        check_finite(np.array([1e308, 1e308, 1e308, -np.inf]), "a.tif")
    with pytest.raises(ImageError, match="complex"):
        check_finite(np.zeros(4, complex), "a.tif")


@pytest.mark.parametrize("suffix", [".tif", ".zarr"])
def test_one_section_is_no_stack(tmp_path, suffix):
    pixels = np.arange(600, dtype=np.uint16).reshape(2, 1, 15, 20)
    write(tmp_path / f"a{suffix}", Image(pixels, "CZYX", (9.0, 0.2, 0.1)))
    image = read(tmp_path / f"a{suffix}")
    assert (image.axes, image.spacing) == ("CYX", (0.2, 0.1))
    np.testing.assert_array_equal(image.array, pixels[:, 0])
