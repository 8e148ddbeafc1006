"""Synthetic images: exact labels, the same ones from the same chance, and pictures that show what is labelled."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from biounet.data.synthetic import draw_cells, draw_membranes, draw_varied_cells, draw_volume
from biounet.data.synthetic.brushes import ellipsoid, smooth_noise
from biounet.data.synthetic.colony import grow

LAWS = settings(max_examples=10, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)
SMALL = {
    "membranes": lambda rng: draw_membranes(rng, size=(90, 70)),
    "fluorescence": lambda rng: draw_cells(rng, size=(90, 70), cells=8, diameter=24),
    "interference": lambda rng: draw_cells(rng, size=(90, 70), cells=5, diameter=40, look="interference"),
    "varied": lambda rng: draw_varied_cells(rng, size=(90, 70), diameters=(20, 40)),
    "volume": lambda rng: draw_volume(rng, size=(12, 50, 40), cells=6, diameter=18),
}


def touching_pairs(labels):
    """Pairs of different labels on neighbouring pixels."""
    pairs = set()
    for axis in range(labels.ndim):
        one, other = np.delete(labels, 0, axis), np.delete(labels, -1, axis)
        differ = (one > 0) & (other > 0) & (one != other)
        pairs |= {tuple(sorted(pair)) for pair in zip(one[differ].tolist(), other[differ].tolist(), strict=True)}
    return pairs


@pytest.mark.parametrize("kind", SMALL)
@LAWS
@given(seed=SEEDS)
def test_every_object_has_a_number_and_is_in_one_piece(kind, seed):
    image, labels = SMALL[kind](np.random.default_rng(seed))
    assert image.dtype == np.uint8
    assert labels.dtype == np.int32
    assert image.shape == labels.shape == ((12, 50, 40) if kind == "volume" else (90, 70))
    assert np.unique(labels).tolist() == list(range(labels.max() + 1))
    for number in range(1, labels.max() + 1):
        assert ndimage.label(labels == number)[1] == 1


@pytest.mark.parametrize("kind", SMALL)
def test_equal_chance_gives_equal_images(kind):
    first, again, other = (SMALL[kind](np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert (first[0] != other[0]).any()


@LAWS
@given(SEEDS)
def test_membranes_part_all_cells_and_are_dark(seed):
    image, labels = draw_membranes(np.random.default_rng(seed), size=(128, 128))
    assert touching_pairs(labels) == set()
    assert labels.max() > 4
    assert image[labels == 0].mean() < image[labels > 0].mean() - 20
    assert 0.05 < (labels == 0).mean() < 0.4


def test_membranes_have_the_width_asked_for():
    _, thin = draw_membranes(np.random.default_rng(0), size=(200, 200), membrane=(2, 2.001))
    _, thick = draw_membranes(np.random.default_rng(0), size=(200, 200), membrane=(6, 6.001))
    # The same borders, three times as wide; a little more where slivers vanish.
    assert 2.2 < (thick == 0).sum() / (thin == 0).sum() < 3.8


def test_colonies_hold_touching_cells():
    _, labels = draw_cells(np.random.default_rng(0))
    assert labels.max() == 24
    assert len(touching_pairs(labels)) >= 6
    _, labels = draw_volume(np.random.default_rng(0))
    assert labels.max() == 30
    assert len(touching_pairs(labels)) >= 6


def test_cells_have_about_the_diameter_asked_for():
    _, labels = draw_cells(np.random.default_rng(0), size=(512, 512), cells=30, diameter=40)
    areas = np.bincount(labels.ravel())[1:]
    assert 28 < 2 * np.sqrt(np.median(areas) / np.pi) < 48


def test_nuclei_are_bright_and_cells_in_interference_stand_out_by_structure():
    image, labels = draw_cells(np.random.default_rng(1))
    assert image[labels > 0].mean() > 3 * image[labels == 0].mean()
    image, labels = draw_cells(np.random.default_rng(1), cells=6, diameter=80, look="interference")
    assert image[labels > 0].std() > 1.5 * image[labels == 0].std()
    assert abs(image[labels > 0].mean() - image[labels == 0].mean()) < 10


def test_stacks_are_flat_where_sections_are_thick():
    _, labels = draw_volume(np.random.default_rng(0), size=(40, 80, 80), cells=6, diameter=30, anisotropy=3)
    heights, widths = [], []
    for z, y, _ in ndimage.find_objects(labels):
        heights.append(z.stop - z.start)
        widths.append(y.stop - y.start)
    assert np.mean(widths) > 1.8 * np.mean(heights)


def test_cells_vary_in_size_and_contrast_from_image_to_image():
    diameters, contrasts = [], []
    for seed in range(12):
        image, labels = draw_varied_cells(np.random.default_rng(seed), size=(200, 200), diameters=(20, 90))
        diameters.append(2 * np.sqrt(np.median(np.bincount(labels.ravel())[1:]) / np.pi))
        contrasts.append((image[labels > 0].mean() - image[labels == 0].mean()) / image.std())
    assert max(diameters) > 2.5 * min(diameters)
    assert min(contrasts) < -0.5 < 0.5 < max(contrasts)
    assert min(np.abs(contrasts)) < 0.2


def test_cells_that_spread_touch_more_and_keep_their_centres():
    few, many = (grow(np.random.default_rng(0), (256, 256), 20, (40, 40), spread=spread) for spread in (0.8, 1.2))
    assert len(touching_pairs(many.labels)) > len(touching_pairs(few.labels))
    assert (many.labels[few.depth > 0.5] == few.labels[few.depth > 0.5]).mean() > 0.99


def test_elongated_cells_are_longer_than_round_ones():
    def lengths(elongation):
        colony = grow(np.random.default_rng(0), (512, 512), 12, (60, 60), elongation=elongation, bends=())
        spreads = (np.linalg.svd(np.cov(np.argwhere(colony.labels == n).T))[1] for n in range(1, 13))
        return np.median([np.sqrt(longest / shortest) for longest, shortest in spreads])

    assert lengths(1.0) < 1.4 < 1.6 < lengths(4.0)


def test_fewer_cells_where_there_is_no_room():
    _, labels = draw_cells(np.random.default_rng(0), size=(40, 40), cells=50, diameter=30)
    assert 0 < labels.max() < 50


def test_smooth_noise_is_standard_normal_and_smooth():
    noise = smooth_noise(np.random.default_rng(0), (400, 300), 5.0)
    assert abs(noise.mean()) < 0.1
    assert abs(noise.std() - 1) < 0.05
    assert np.abs(np.diff(noise, axis=1)).mean() < 0.4  # white noise: 2 / sqrt(pi) = 1.13


def test_an_ellipsoid_is_measured_in_its_radii():
    box, measure = ellipsoid((20, 20), np.array([10.0, 10.0]), np.diag([1 / 4, 1 / 2]))
    full = np.full((20, 20), np.inf)
    full[box] = measure
    assert full[10, 10] == 0
    assert full[14, 10] == pytest.approx(1)
    assert full[10, 8] == pytest.approx(1)
