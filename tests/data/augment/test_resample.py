"""Warping is exact: against scipy and numpy, and by its laws."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import map_coordinates

from biounet.core.errors import ShapeError
from biounet.core.labels import IGNORE
from biounet.data.augment.resample import mirrored, warp

LAWS = settings(max_examples=50, deadline=None)
SIZES = [(1, 1), (1, 7), (16, 16), (33, 20), (5, 9, 12), (1, 6, 4)]
shapes = st.one_of(st.tuples(*[st.integers(1, 9)] * 2), st.tuples(*[st.integers(1, 6)] * 3))


def random_field(size, *, strength, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(0, strength, (len(size), *size))).float()


def positions(field):
    return np.indices(field.shape[1:]) + field.numpy()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_a_field_of_zeros_returns_the_image_bit_for_bit(size, dtype):
    image = torch.rand(3, *size).to(dtype)
    assert torch.equal(warp(image, torch.zeros(len(size), *size)), image)


@LAWS
@given(data=st.data(), shape=shapes)
def test_whole_displacements_move_pixels_exactly(data, shape):
    image = torch.rand(2, *shape)
    shift = data.draw(st.tuples(*[st.integers(-9, 9)] * len(shape)))
    field = torch.tensor(shift, dtype=torch.float32).view(-1, *[1] * len(shape)).expand(-1, *shape)
    wide = np.pad(image.numpy(), [(0, 0), *[(9, 9)] * len(shape)], mode="reflect")
    window = tuple(slice(9 + s, 9 + s + n) for s, n in zip(shift, shape, strict=True))
    for order in (0, 1):
        assert np.array_equal(warp(image, field, order=order).numpy(), wide[(slice(None), *window)])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("strength", [0.7, 8.0])
@pytest.mark.parametrize(("outside", "mode"), [("mirror", "mirror"), (-3.0, "grid-constant")])
@pytest.mark.parametrize("order", [0, 1])
def test_agrees_with_scipy(size, strength, outside, mode, order):
    image, field = torch.rand(size, dtype=torch.float64), random_field(size, strength=strength)
    expected = map_coordinates(image.numpy(), positions(field), order=order, mode=mode, cval=-3.0)
    assert np.allclose(warp(image, field, order=order, outside=outside).numpy(), expected, atol=1e-4)


@LAWS
@given(
    labels=hnp.arrays(np.int64, shapes, elements=st.integers(-(2**63), 2**63 - 1)),
    seed=st.integers(0, 99),
    outside=st.sampled_from(["mirror", IGNORE]),
)
def test_labels_are_never_blended_however_large(labels, seed, outside):
    bent = warp(torch.from_numpy(labels), random_field(labels.shape, strength=3, seed=seed), order=0, outside=outside)
    assert bent.dtype == torch.int64
    assert set(bent.flatten().tolist()) <= set(labels.ravel().tolist()) | ({IGNORE} if outside == IGNORE else set())


def test_all_axes_before_the_spatial_ones_are_bent_alike():
    images, field = torch.rand(2, 3, 8, 9), random_field((8, 9), strength=2)
    one_by_one = [[warp(channel, field) for channel in image] for image in images]
    assert torch.equal(warp(images, field), torch.stack([torch.stack(row) for row in one_by_one]))


@pytest.mark.parametrize("order", [0, 1])
def test_a_patch_is_bent_with_its_true_surroundings(order):
    # Displacements in eighths are exact in floating point wherever the patch lies.
    image, field = torch.rand(1, 40, 50), (random_field((40, 50), strength=60) / 8).round() / 8
    patch = warp(image, field[:, 10:25, 30:42], order=order, origin=(10, 30))
    assert torch.equal(patch, warp(image, field, order=order)[:, 10:25, 30:42])


def test_a_patch_may_lie_outside():
    row = torch.arange(4.0).view(1, 4)
    assert warp(row, torch.zeros(2, 1, 6), origin=(0, -8)).tolist() == [[2, 1, 0, 1, 2, 3]]
    assert warp(row, torch.zeros(2, 1, 3), origin=(0, 9), outside=-1).tolist() == [[-1, -1, -1]]


def test_far_from_the_origin_pixels_are_still_told_apart():
    row = torch.randint(251, (1, 2**24 + 8), dtype=torch.uint8)
    start = 2**24 + 1  # float32 cannot say this number
    assert torch.equal(warp(row, torch.zeros(2, 1, 4), order=0, origin=(0, start)), row[:, start : start + 4])


def test_integers_are_interpolated_as_float32():
    assert warp(torch.tensor([[0, 1]], dtype=torch.uint8), torch.full((2, 1, 2), 0.25)).dtype == torch.float32


@LAWS
@given(size=st.integers(1, 6), pixels=st.integers(0, 30))
def test_mirrored_indices_are_those_of_numpy(size, pixels):
    expected = np.pad(np.arange(size), pixels, mode="reflect")
    assert mirrored(torch.arange(-pixels, size + pixels), size).tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("error", "match", "arguments"),
    [
        (ValueError, "order", {"order": 3}),
        (ValueError, "finite", {"field": torch.full((2, 4, 4), torch.nan)}),
        (ValueError, "uint8", {"image": torch.zeros(4, 4, dtype=torch.uint8), "outside": IGNORE, "order": 0}),
        (ShapeError, "axes", {"field": torch.zeros(3, 4, 4)}),
        (ShapeError, "axes", {"image": torch.zeros(4)}),
        (ShapeError, "axes", {"image": torch.zeros(0, 4)}),
    ],
)
def test_what_cannot_be_done_is_refused(error, match, arguments):
    arguments = {"image": torch.zeros(4, 4), "field": torch.zeros(2, 4, 4), **arguments}
    with pytest.raises(error, match=match):
        warp(arguments.pop("image"), arguments.pop("field"), **arguments)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("order", [0, 1])
def test_gpu_agrees_with_cpu(order):
    image, field = torch.rand(2, 60, 70), random_field((60, 70), strength=5)
    assert torch.allclose(warp(image.cuda(), field, order=order).cpu(), warp(image, field, order=order), atol=1e-4)
