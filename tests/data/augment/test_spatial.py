"""Movements: drawn as said, and composed into one field."""

import numpy as np
import pytest
import torch
from scipy.ndimage import affine_transform
from torch.nn.functional import interpolate

from biounet.config import AugmentConfig
from biounet.core.errors import ShapeError
from biounet.core.random import generator
from biounet.data.augment.resample import warp
from biounet.data.augment.spatial import Motion, draw_elastic, draw_field, draw_motion

STILL = AugmentConfig(elastic=0, rotate=0, mirror=False)


@pytest.mark.parametrize("size", [(50, 71), (3, 3), (1, 9), (2, 200)])
@pytest.mark.parametrize("grid", [2, 3, 7])
def test_elastic_is_bicubic_interpolation_of_normal_vectors(size, grid):
    nodes = np.random.default_rng(5).standard_normal((2, grid, grid)) * 10
    expected = interpolate(torch.from_numpy(nodes)[None], size, mode="bicubic", align_corners=True)[0].float()
    field = draw_elastic(np.random.default_rng(5), size=size, grid=grid, sigma=10.0)
    assert torch.allclose(field, expected, atol=1e-4)


def test_elastic_between_two_nodes_by_hand():
    # Keys' kernel, a = -0.75, half way: 0.59375 on the two near nodes, -0.09375 on the two far ones; the
    # node before the first is the first once more.
    field = Motion(nodes=np.array([[[0, 8, 0]] * 2, [[4, 0, 0]] * 2])).field((2, 5))
    assert field[0].tolist() == [[0, 4.75, 8, 4.75, 0]] * 2
    assert field[1].tolist() == [[4, 2, 0, -0.375, 0]] * 2


def test_elastic_of_a_volume_whose_slices_are_alike_is_that_of_a_slice():
    nodes = np.random.default_rng(0).standard_normal((3, 1, 3, 3)).repeat(3, axis=1)
    field = Motion(mirror=(False,) * 3, shift=(0.0,) * 3, nodes=nodes).field((6, 20, 30))
    flat = Motion(nodes=nodes[1:, 0]).field((20, 30))
    assert torch.allclose(field[1:], flat[:, None].expand(-1, 6, -1, -1), atol=1e-6)


@pytest.mark.parametrize("rng", [np.random.default_rng(0), torch.Generator().manual_seed(0)])
@pytest.mark.parametrize("size", [(3, 3), (3, 3, 3)])
def test_vectors_at_the_nodes_have_the_standard_deviation_asked_for(rng, size):
    drawn = torch.stack([draw_elastic(rng, size=size, sigma=10.0) for _ in range(1000)])
    assert drawn.shape[1:] == (len(size), *size)
    assert float(drawn.mean()) == pytest.approx(0, abs=0.5)
    assert drawn.std(dim=0).numpy() == pytest.approx(np.full(drawn.shape[1:], 10), rel=0.15)


def test_a_grid_of_one_node_is_refused():
    with pytest.raises(ValueError, match="2 nodes"):
        draw_elastic(np.random.default_rng(0), size=(9, 9), grid=1)


@pytest.mark.parametrize("size", [8, 9, 100])
@pytest.mark.parametrize("turns", [1, 2, 3, -1])
@pytest.mark.parametrize("order", [0, 1])
def test_quarter_turns_are_exact(size, turns, order):
    image = torch.rand(2, size, size)
    turned = warp(image, Motion(angle=90.0 * turns).field((size, size)), order=order)
    assert torch.equal(turned, torch.rot90(image, turns, (1, 2)))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_mirroring_is_a_flip_and_twice_is_nothing(axis):
    volume = torch.rand(4, 7, 10)
    field = Motion(mirror=tuple(a == axis for a in range(3)), shift=(0.0,) * 3).field((4, 7, 10))
    assert torch.equal(warp(volume, field), volume.flip(axis))
    assert torch.equal(warp(warp(volume, field), field), volume)


def test_a_shift_moves_towards_the_origin():
    row = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    assert warp(row, Motion(shift=(0.0, 1.0)).field((1, 4)), outside=0.0).tolist() == [[2, 3, 4, 0]]


def test_scale_two_doubles_lengths_about_the_centre():
    row = torch.tensor([[0.0, 1.0, 2.0, 3.0, 4.0]])
    assert warp(row, Motion(scale=2.0).field((1, 5))).tolist() == [[1, 1.5, 2, 2.5, 3]]


@pytest.mark.parametrize("size", [(40, 50), (6, 40, 50)])
def test_rotation_scale_and_shift_agree_with_scipy(size):
    image, shift = torch.rand(size, dtype=torch.float64), (3.0, -2.0, 1.5)[: len(size)]
    mirror = (True, False, False)[: len(size)]
    motion = Motion(angle=25.0, mirror=mirror, scale=1.3, shift=shift)
    cosine, sine = np.cos(np.radians(25)), np.sin(np.radians(25))
    matrix = np.eye(len(size))
    matrix[-2:, -2:] = [[cosine, sine], [-sine, cosine]]
    matrix = matrix @ np.diag([-1 if m else 1 for m in mirror]) / 1.3
    centre = (np.array(size) - 1) / 2
    expected = affine_transform(image.numpy(), matrix, centre - matrix @ centre + shift, order=1, mode="mirror")
    assert np.allclose(warp(image, motion.field(size)).numpy(), expected, atol=1e-4)


def test_a_motion_is_for_its_number_of_axes():
    with pytest.raises(ShapeError, match="2 axes"):
        Motion().field((4, 5, 6))


def test_settings_without_movement_draw_a_field_of_zeros():
    assert not draw_field(generator(0, 0, 0), (20, 30), STILL).any()


@pytest.mark.parametrize("change", [{"elastic": 1}, {"rotate": 180}, {"mirror": True}, {"scale": 2}, {"shift": 9}])
def test_each_movement_is_drawn_within_its_bounds_and_leaves_the_others_be(change):
    config = STILL.model_copy(update=change)
    motions = [draw_motion(generator(0, step, 0), (300, 300), config) for step in range(200)]
    angles, scales = [m.angle for m in motions], [m.scale for m in motions]
    shifts, mirrors = np.array([m.shift for m in motions]), np.array([m.mirror for m in motions])
    assert max(map(abs, angles)) == pytest.approx(config.rotate, rel=0.05)
    assert (min(scales), max(scales)) == pytest.approx((1 / config.scale, config.scale), rel=0.05)
    assert np.abs(shifts).max(axis=0) == pytest.approx(config.shift, rel=0.05)
    assert mirrors.mean(axis=0) == pytest.approx(0.5 * config.mirror, abs=0.1)
    assert [m.nodes is not None for m in motions] == [bool(config.elastic)] * 200


def test_a_changed_setting_changes_no_other_draw():
    config = AugmentConfig(scale=1.5, shift=20)
    for other in (STILL, config.model_copy(update={"elastic": 0.5}), config.model_copy(update={"rotate": 10})):
        first, second = generator(0, 0, 0), generator(0, 0, 0)
        draw_motion(first, (64, 64), config)
        draw_motion(second, (64, 64), other)
        assert first.random() == second.random()


def test_small_patches_are_not_folded():
    # An eighth of the distance of the nodes: 63 / 2 / 8, instead of 10 pixels.
    drawn = [draw_motion(generator(0, step, 0), (64, 2000), AugmentConfig()).nodes for step in range(300)]
    assert np.std(drawn, axis=(0, 2, 3)) == pytest.approx([63 / 16, 10], rel=0.05)


def test_thick_slices_are_displaced_by_as_many_fewer():
    size, spacing = (1000, 1000, 1000), (50.0, 10.0, 10.0)
    drawn = [draw_motion(generator(0, step, 0), size, AugmentConfig(), spacing=spacing).nodes for step in range(300)]
    assert np.std(drawn, axis=(0, 2, 3, 4)) == pytest.approx([2, 10, 10], rel=0.05)
