"""What an output pixel sees, as every architecture states it, against NaN in the network itself."""

import pytest
import torch

from architectures import KINDS, make, receptive_field
from biounet.core.geometry import Geometry
from biounet.models.downsampled import Downsampled
from biounet.models.receptive_field import unet_geometry

THIN = {"width": 1, "norm": "none"}  # NaN passes through whatever is there
ON_VGG = ("ternausnet", "fcn-32s", "fcn-16s", "fcn-8s")  # always five poolings deep
IMAGES = [(name, padding, THIN if name in ON_VGG else {}) for name, padding, dims in KINDS if dims == 2]
UNEVEN = [(name, padding, {"pooling": ((1, 2), (2, 1))}) for name, padding, dims in KINDS if dims == 3]


@pytest.mark.parametrize(("name", "padding", "settings"), [*IMAGES, *UNEVEN], ids=str)
def test_the_receptive_field_is_what_nan_finds(name, padding, settings):
    net = make(name, padding, **settings)
    for axis in range(2 if "pooling" in settings else 1):
        assert receptive_field(net, axis) == net.geometry.receptive_field[axis]


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("kind", ["unet same", "unet valid", "residual-unet same"])
def test_the_receptive_field_at_a_fraction_of_the_size_is_what_nan_finds(kind, factor):
    net = make(*kind.split(), coarse=factor, depth=1, **THIN)
    assert receptive_field(net, 1) == net.geometry.receptive_field[1]


def test_squares_are_seen_from_the_pixels_between_their_centres():
    # Pixel 0 lies between the centres of squares -1 and 0, which are pixels -2 to 1; pixel 1 between 0 and 1.
    alone = Geometry((1, 1), (0, 0), (0, 0), padded=True)
    net = torch.nn.Identity()
    net.geometry = alone
    assert Downsampled(net, 2).geometry.views[0] == ((-2, 1), (-1, 2))
    net.geometry = Geometry((2, 2), (2, 2), (0, 0), padded=True)
    assert Downsampled(net, 2).geometry.receptive_field is None


def test_an_output_pixel_of_the_unet_of_the_paper_sees_204_pixels():
    # Figure 1, backwards from row 12 of the output. Two 3x3 convolutions see 12-16, in rows of half the size 6-8; these
    # see 6-12, in halves 3-6; these 3-10, in halves 1-5; these 1-9, in halves 0-4; these, at the bottom, 0-8.
    rows = 9
    for _ in range(4):
        rows = 2 * rows + 4  # a pooling, and two 3x3 convolutions before it
    assert rows == 204
    for padded in (False, True):
        assert unet_geometry(((2, 2),) * 4, padded=padded).receptive_field == (204, 204)


def test_without_poolings_the_margin_tells_the_receptive_field():
    assert Geometry((1, 1), (47, 2), (0, 0), padded=False).receptive_field == (95, 5)
    assert Geometry((2, 2), (47, 2), (0, 0), padded=False).receptive_field is None
