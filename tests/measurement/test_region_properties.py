"""Measurements of objects: by hand, against scikit-image, and the same wherever the image is cut."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import gaussian_filter
from skimage.measure import label, regionprops_table
from skimage.morphology import remove_small_objects

from biounet.core.boxes import Box
from biounet.core.components import in_pieces, split_objects
from biounet.core.errors import LabelError, ShapeError
from biounet.measurement import (
    count_region,
    entropy,
    join,
    measure_objects,
    table_of,
    uncertain_regions,
)

PLANE = {
    "label": "label",
    "area_px": "area",
    "centroid_y": "centroid-0",
    "centroid_x": "centroid-1",
    "box_start_y": "bbox-0",
    "box_start_x": "bbox-1",
    "box_stop_y": "bbox-2",
    "box_stop_x": "bbox-3",
    "perimeter_px": "perimeter_crofton",
    "equivalent_diameter_px": "equivalent_diameter_area",
    "major_axis_px": "axis_major_length",
    "minor_axis_px": "axis_minor_length",
    "eccentricity": "eccentricity",
    "solidity": "solidity",
    "intensity_mean": "intensity_mean",
    "intensity_min": "intensity_min",
    "intensity_max": "intensity_max",
    "intensity_std": "intensity_std",
}
VOLUME = {
    "label": "label",
    "volume_px": "num_pixels",
    "volume_um3": "area",
    "centroid_z_um": "centroid-0",
    "box_stop_z": "bbox-3",
    "equivalent_diameter_um": "equivalent_diameter_area",
    "major_axis_um": "axis_major_length",
}


def blobs(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """Objects of all shapes, some with holes, some of one pixel, many at the edge."""
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2.5)
    return label(noise > noise.std() / 2, connectivity=1)


def same(table: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert list(table) == list(other)
    for name, column in table.items():
        if column.dtype.kind == "f":
            np.testing.assert_allclose(column, other[name], rtol=1e-9, atol=1e-9, err_msg=name)
        else:
            np.testing.assert_array_equal(column, other[name], err_msg=name)


def test_one_object_by_hand():
    labels = np.array([[0, 7, 7, 7], [0, 7, 0, 0]])
    table = measure_objects(labels, image=np.array([[9, 1, 2, 3], [9, 6, 9, 9]]), spacing=(2.0, 1.0))
    one = {name: column[0] for name, column in table.items()}
    assert (one["label"], one["area_px"], one["area_um2"]) == (7, 4, 8)
    assert (one["centroid_y"], one["centroid_x"], one["centroid_y_um"]) == (0.25, 1.75, 0.5)
    assert [one[f"box_{name}"] for name in ("start_y", "start_x", "stop_y", "stop_x")] == [0, 1, 2, 4]
    assert [one[f"intensity_{name}"] for name in ("mean", "min", "max", "sum")] == [3, 1, 6, 12]
    assert one["intensity_std"] == pytest.approx(np.std([1, 2, 3, 6]))
    assert one["solidity"] == 4 / 5  # the centre of (1, 2) lies on the line from (0.5, 3) to (1.5, 1)
    assert (one["neighbours"], one["neighbour_labels"], one["touches_border"]) == (0, "", True)


def test_plane_objects_are_those_of_scikit_image():
    labels = blobs(0, (150, 170))
    image = np.random.default_rng(1).integers(0, 60_000, labels.shape)
    table = measure_objects(labels, image=image)
    theirs = regionprops_table(labels, image, properties=sorted({name.split("-")[0] for name in PLANE.values()}))
    assert len(table["label"]) > 30
    for ours, name in PLANE.items():
        np.testing.assert_allclose(table[ours], theirs[name], atol=1e-6, err_msg=ours)


def test_volume_objects_are_those_of_scikit_image():
    labels, spacing = blobs(0, (30, 40, 50)), (2.0, 0.5, 0.7)
    table = measure_objects(labels, spacing=spacing)
    names = sorted({name.split("-")[0] for name in VOLUME.values()})
    theirs = regionprops_table(labels, spacing=spacing, properties=names)
    for ours, name in VOLUME.items():
        np.testing.assert_allclose(table[ours], theirs[name], atol=1e-3, err_msg=ours)
    thick = remove_small_objects(labels, max_size=64)  # of flat ones scikit-image finds no hull
    theirs = regionprops_table(thick, properties=["label", "solidity"])
    rows = np.isin(table["label"], theirs["label"])
    assert rows.sum() > 1
    np.testing.assert_allclose(table["solidity"][rows], theirs["solidity"])


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.3, 0.5), (0.2, 0.8)])
def test_a_disc_has_the_perimeter_of_a_circle_in_any_spacing(spacing):
    y, x = (np.arange(-150, 151) * step for step in spacing)
    table = measure_objects((y[:, None] ** 2 + x**2 <= 20**2).astype(int), spacing=spacing)
    assert table["perimeter_um"][0] == pytest.approx(2 * np.pi * 20, rel=0.03)
    assert table["equivalent_diameter_um"][0] == pytest.approx(40, rel=0.01)
    assert table["major_axis_um"][0] == pytest.approx(40, rel=0.01)
    assert table["eccentricity"][0] < 0.15


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 0.7, 0.5)])
def test_a_ball_has_the_surface_of_a_sphere_in_any_spacing(spacing):
    z, y, x = (np.arange(-25, 26) * step for step in spacing)
    table = measure_objects((z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 <= 12**2).astype(int), spacing=spacing)
    assert table["surface_um2"][0] == pytest.approx(4 * np.pi * 12**2, rel=0.02)
    assert table["volume_um3"][0] == pytest.approx(4 / 3 * np.pi * 12**3, rel=0.02)
    assert table["solidity"][0] > 0.9


def test_neighbours_touch_by_sides_or_corners():
    table = measure_objects(np.array([[3, 0, 0], [5, 4, 0], [0, 0, 6], [8, 0, 0]]))
    assert dict(zip(table["label"].tolist(), table["neighbour_labels"], strict=True)) == {
        3: "4 5",
        4: "3 5 6",
        5: "3 4",
        6: "4",
        8: "",
    }
    assert table["neighbours"].tolist() == [2, 3, 2, 1, 0]


def test_confidence_is_the_mean_probability_of_the_foreground_or_of_the_class_of_an_object():
    labels = np.array([[1, 1, 2, 0]])
    row = np.array([[0.9, 0.7, 0.5, 0.1]])
    assert measure_objects(labels, probabilities=row)["confidence"] == pytest.approx([0.8, 0.5])
    both = measure_objects(labels, probabilities=np.stack([1 - row, row]))
    assert both["confidence"] == pytest.approx([0.8, 0.5])
    three = np.array([[[0.0, 0.3, 0.6, 1]], [[0.8, 0.6, 0.1, 0]], [[0.2, 0.1, 0.3, 0]]])
    classes = measure_objects(labels, probabilities=three, by_class=True)
    assert classes["class"].tolist() == [1, 2]
    assert classes["confidence"] == pytest.approx([0.7, 0.3])
    parts = measure_objects(labels, probabilities=three)
    assert "class" not in parts
    assert parts["confidence"] == pytest.approx([0.85, 0.4])


def test_levels_of_distance_are_one_foreground():
    """A sure object is of every level somewhere; doubt between levels is none about objects."""
    labels = np.array([[1, 1, 1, 1, 0, 0, 0, 0]])
    levels = np.zeros((5, 1, 8))
    levels[0, :, 4:] = 0.9, 0.5, 0.5, 1
    levels[1:, :, :4] = 0.25
    levels[1, :, 4:] = 1 - levels[0, :, 4:]
    table = measure_objects(labels, probabilities=levels)
    assert table["confidence"].tolist() == [1]
    assert "class" not in table
    ((box, mean),) = uncertain_regions(levels, size=(1, 2), count=1)
    assert (box, mean) == (Box((0, 5), (1, 7)), 1)
    ((box, _),) = uncertain_regions(levels, size=(1, 2), count=1, by_class=True)
    assert box.stop[1] <= 4


def test_channels_are_numbered_where_there_are_several():
    table = measure_objects(np.array([[1, 1]]), image=np.array([[[1, 3]], [[5, 5]]]))
    assert [table[f"intensity_mean_{channel}"][0] for channel in (0, 1)] == [2, 5]


@pytest.mark.parametrize("dims", [2, 3])
def test_an_image_without_objects_has_a_table_without_rows(dims):
    shape = (4, 5, 6)[:dims]
    empty = measure_objects(np.zeros(shape, np.uint8), image=np.zeros(shape), spacing=(1.0,) * dims)
    ignored = measure_objects(np.full(shape, -1), image=np.zeros(shape), spacing=(1.0,) * dims)
    full = measure_objects(np.ones(shape, np.uint8), image=np.zeros(shape), spacing=(1.0,) * dims)
    assert list(empty) == list(ignored) == list(full)
    assert {len(column) for column in (*empty.values(), *ignored.values())} == {0}


def test_an_object_that_is_the_whole_image():
    table = measure_objects(np.ones((30, 40), bool))
    assert (table["area_px"][0], table["solidity"][0], table["touches_border"][0]) == (1200, 1, True)


@pytest.mark.parametrize("shape", [(3, 3), (3, 3, 3)])
def test_an_object_of_one_pixel(shape):
    labels = np.zeros(shape, np.int16)
    labels[(1,) * len(shape)] = 1
    table = measure_objects(labels)
    assert (table["eccentricity"][0], table["solidity"][0], table["major_axis_px"][0]) == (0, 1, 0)
    assert not table["touches_border"][0]


def test_numbers_may_be_many_and_large():
    many = np.arange(1, 300 * 300 + 1, dtype=np.uint32).reshape(300, 300)
    table = measure_objects(many)
    assert len(table["label"]) == 90_000 > 2**16
    assert table["neighbours"].max() == 8
    huge = measure_objects(np.array([[2**40, 0, 2**40 + 1]]))
    assert huge["label"].tolist() == [2**40, 2**40 + 1]


def test_what_is_no_label_image_is_refused():
    with pytest.raises(LabelError, match="float64"):
        measure_objects(np.zeros((3, 3)))
    with pytest.raises(ShapeError, match="frame by frame"):
        measure_objects(np.zeros((2, 2, 3, 3), int))
    with pytest.raises(ShapeError, match="size"):
        measure_objects(np.zeros((3, 3), int), image=np.zeros((3, 4)))
    with pytest.raises(ShapeError, match="spacing"):
        measure_objects(np.zeros((3, 3), int), spacing=(1.0, 1.0, 1.0))


@st.composite
def cut_images(draw):
    """Labels of any shape with noise, and where to cut them along each axis."""
    dims = draw(st.sampled_from([2, 3]))
    shape = draw(st.tuples(*[st.integers(1, 7)] * dims))
    labels = draw(arrays(np.int32, shape, elements=st.integers(-1, 4)))
    cuts = [sorted({0, size, *draw(st.lists(st.integers(0, size), max_size=2))}) for size in shape]
    return labels, cuts


@settings(max_examples=60)
@given(cut_images())
def test_wherever_an_image_is_cut_the_table_is_the_same(case):
    labels, cuts = case
    rng = np.random.default_rng(0)
    image, probabilities = rng.integers(0, 1000, (2, *labels.shape)), rng.random((3, *labels.shape))
    whole = measure_objects(labels, image=image, probabilities=probabilities)
    region_counts = []
    for corner in np.ndindex(*(len(cut) - 1 for cut in cuts)):
        spans = [list(pairwise(cut))[index] for cut, index in zip(cuts, corner, strict=True)]
        outer = [
            (max(start - 1, 0), min(stop + 1, size)) for (start, stop), size in zip(spans, labels.shape, strict=True)
        ]
        slices = tuple(slice(*span) for span in outer)
        origin = [start for start, _ in outer]
        core = Box(tuple(start for start, _ in spans), tuple(stop for _, stop in spans)).relative_to(origin)
        pixels = (image[(slice(None), *slices)], probabilities[(slice(None), *slices)])
        region_counts.append(
            count_region(labels[slices], image=pixels[0], probabilities=pixels[1], core=core, origin=origin)
        )
    same(
        table_of(
            join([join(region_counts[1:] or region_counts[:1]), *region_counts[: len(region_counts) > 1]]),
            shape=labels.shape,
        ),
        whole,
    )


def test_a_row_far_from_the_origin_loses_no_digits():
    counts = count_region(np.array([[1, 1, 1]]), origin=(10**6, 10**7))
    table = table_of(counts, shape=(2 * 10**6, 2 * 10**7))
    assert table["eccentricity"][0] == 1
    assert table["major_axis_px"][0] == 4 * np.sqrt(2 / 3)


def test_pieces_are_found_and_split():
    labels = np.array([[3, 0, 3, 0, 9], [0, 3, 0, 0, 9], [5, 0, 5, -1, 5]])
    assert in_pieces(labels) == {5: 3}
    split = split_objects(labels)
    assert split.tolist() == [[3, 0, 3, 0, 9], [0, 3, 0, 0, 9], [5, 0, 10, -1, 11]]
    assert in_pieces(split) == {}
    with pytest.raises(LabelError, match="31 bits"):
        split_objects(np.array([[2**31 - 1, 0, 2**31 - 1]]))


def test_labels_of_63_bits_are_the_largest():
    assert measure_objects(np.array([[2**63 - 1, 0]], np.uint64))["label"].tolist() == [2**63 - 1]
    with pytest.raises(LabelError, match="9223372036854775808 does not fit 63 bits"):
        measure_objects(np.array([[2**63, 0]], np.uint64))


def test_uncertain_regions_do_not_overlap_and_come_in_order():
    probabilities = np.random.default_rng(0).random((40, 50))
    regions = uncertain_regions(probabilities, size=(16, 16), count=20)
    seen = np.zeros((40, 50), int)
    for box, _ in regions:
        seen[box.slices] += 1
    assert seen.max() == 1
    assert len(regions) >= 2
    means = [mean for _, mean in regions]
    assert means == sorted(means, reverse=True)
    for box, mean in regions:
        assert mean == pytest.approx(entropy(probabilities[np.newaxis])[box.slices].mean(), abs=1e-6)


@settings(max_examples=60)
@given(
    arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.floats(0, 1)),
    st.tuples(st.integers(1, 6), st.integers(1, 6)),
    st.integers(1, 20),
)
def test_as_many_uncertain_regions_are_found_as_fit(probabilities, size, count):
    regions = uncertain_regions(probabilities, size=size, count=count)
    fit = np.prod([max(1, have // wanted) for have, wanted in zip(probabilities.shape, size, strict=True)])
    assert len(regions) == min(count, fit)
    seen = np.zeros(probabilities.shape, int)
    for box, mean in regions:
        assert box.shape == tuple(np.minimum(size, probabilities.shape))
        assert mean == pytest.approx(entropy(probabilities[np.newaxis])[box.slices].mean(), abs=1e-6)
        seen[box.slices] += 1
    assert seen.max() == 1
    assert [mean for _, mean in regions] == sorted((mean for _, mean in regions), reverse=True)


def test_a_doubt_in_the_middle_leaves_room_for_the_other_corners():
    probabilities = np.zeros((8, 8))
    probabilities[3:5, 3:5] = 0.5
    assert [box.start for box, _ in uncertain_regions(probabilities, size=(4, 4), count=1)] == [(1, 1)]
    regions = uncertain_regions(probabilities, size=(4, 4), count=4)
    assert sorted(box.start for box, _ in regions) == [(0, 0), (0, 4), (4, 0), (4, 4)]
    assert [mean for _, mean in regions] == [1 / 16] * 4


def test_the_least_certain_place_is_found():
    probabilities = np.zeros((3, 8, 30, 30))
    probabilities[0] = 1
    probabilities[:, 2:4, 10:15, 20:25] = 1 / 3
    ((box, mean),) = uncertain_regions(probabilities, size=(2, 5, 5), count=1, by_class=True)
    assert (box, mean) == (Box((2, 10, 20), (4, 15, 25)), pytest.approx(1))
    assert uncertain_regions(probabilities, size=(100, 100, 100), count=3)[0][0].shape == (8, 30, 30)
    with pytest.raises(ShapeError, match="size"):
        uncertain_regions(probabilities, size=(5,), count=1)
