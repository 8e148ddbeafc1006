"""Axes, place and pixel size of layers."""

import numpy as np
import pytest

from biounet.core.errors import ShapeError
from biounet.napari.layers import axes_of, pixels_of, place_of, shape_of, spacing_of
from layers_of_tests import layer


@pytest.mark.parametrize(
    ("shape", "options", "dims", "channels", "axes"),
    [
        ((20, 24), {}, 2, 1, "YX"),
        ((20, 24, 3), {"rgb": True}, 2, 3, "YXC"),
        ((5, 20, 24, 3), {"rgb": True}, 2, 3, "ZYXC"),
        ((2, 5, 20, 24), {}, 3, 2, "CZYX"),
        ((2, 5, 20, 24), {}, 2, 1, "TZYX"),
        ((7, 20, 24), {"axis_labels": ("t", "y", "x")}, 2, 1, "TYX"),
    ],
)
def test_axes_follow_from_the_layer_and_the_network(shape, options, dims, channels, axes):
    assert axes_of(layer(np.zeros(shape), **options), dims=dims, channels=channels) == axes


def test_a_flat_layer_is_no_volume():
    with pytest.raises(ShapeError, match="a 3D network was given a layer of 2 axes"):
        axes_of(layer(np.zeros((20, 24))), dims=3)


def test_a_result_lies_where_the_layer_does_without_its_channels():
    placed = place_of(layer(np.zeros((2, 5, 20, 24)), scale=(1, 4, 2, 3), translate=(0, 7, 8, 9)), "CZYX")
    assert (placed.scale, placed.translate) == ((4, 2, 3), (7, 8, 9))
    with pytest.raises(ShapeError, match="axes must be 2 different letters of TCZYX"):
        place_of(layer(np.zeros((20, 24))), "ZYX")


def test_the_finest_level_of_a_pyramid_counts():
    pyramid = [np.zeros((8, 8)), np.zeros((4, 4))]
    finest = layer(np.zeros((8, 8)), multiscale=True)
    finest.data = pyramid
    assert shape_of(finest) == pixels_of(finest).shape == (8, 8)


def test_lengths_are_in_micrometres_where_the_layer_has_units():
    pint = pytest.importorskip("pint", reason="the extra napari is not installed")
    units = (pint.Unit("nanometer"), pint.Unit("micrometer"))
    assert spacing_of(layer(np.zeros((8, 8)), scale=(500, 0.25), units=units), dims=2) == pytest.approx((0.5, 0.25))
    assert spacing_of(layer(np.zeros((8, 8)), scale=(2, 2)), dims=2) is None
