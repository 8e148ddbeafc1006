"""Cells of the Cell Tracking Challenge that have a marker and no outline, or lie at the edges: never background."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import tifffile
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from biounet.core.errors import ProblemsError, ShapeError
from biounet.core.labels import IGNORE
from biounet.data import find_dataset, load, split
from biounet.data.cell_tracking import (
    FieldStatistics,
    choose_margin,
    count_missing,
    mark_around,
    mark_margin,
    measure_reach,
)
from small_sets import make_set as make_images_and_labels

SIDE = 60


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, array, photometric="minisblack")


def make_frame():
    """Four cells of 8 px, of which 3 and 4 touch, with markers of 2 px in the middle that are numbered otherwise."""
    cells, markers = np.zeros((2, SIDE, SIDE), np.uint16)
    for number, (y, x) in enumerate([(2, 2), (2, 40), (30, 20), (30, 28)], 1):
        cells[y : y + 8, x : x + 8] = number
        markers[y + 3 : y + 5, x + 3 : x + 5] = 10 * number
    return cells, markers


CELLS, MARKERS = make_frame()


def make_set(folder, *, outlined=(1, 3), frames=3, markers=MARKERS, silver=()):
    """Frames, all with markers, of which all but the last have outlines by experts; perhaps all by silver truth."""
    for frame in range(frames):
        save(folder / "01" / f"t{frame:03}.tif", CELLS)
        if markers is not None:
            save(folder / "01_GT" / "TRA" / f"man_track{frame:03}.tif", markers)
        if silver:
            save(folder / "01_ST" / "SEG" / f"man_seg{frame:03}.tif", only(silver))
        if frame < frames - 1:
            save(folder / "01_GT" / "SEG" / f"man_seg{frame:03}.tif", only(outlined))
    return folder


def only(numbers):
    """Some of the cells; the others are background."""
    return np.where(np.isin(CELLS, list(numbers)), CELLS, 0).astype(np.uint16)


def unknown_around(labels, *corners):
    """The labels, their background unknown up to 2 px around cells whose first pixels these are.

    Cells reach 3.5 px from the middle of their markers to each side: at most 4 and a quarter, 5.
    """
    expected = labels.astype(int)
    for y, x in corners:
        part = expected[max(y - 2, 0) : y + 10, x - 2 : x + 10]
        part[part == 0] = IGNORE
    return expected


def test_cells_with_a_marker_and_no_outline_are_unknown_and_so_is_what_is_around(tmp_path):
    dataset = find_dataset(make_set(tmp_path))
    assert [pair.name for pair in dataset.pairs] == ["01/t000.tif", "01/t001.tif"]
    expected = unknown_around(only((1, 3)), (2, 40), (30, 28))
    for pair in dataset.pairs:
        np.testing.assert_array_equal(load(pair)[1], expected)
    share = (expected == IGNORE).mean()
    said = " ".join(dataset.notes)
    assert "4 cells in 2 of 2 images have a marker (TRA) but no outline (SEG)" in said
    assert said.count(f"{share:.1%} of all label pixels") == 2


def test_where_all_cells_have_outlines_markers_change_nothing(tmp_path):
    dataset = find_dataset(make_set(tmp_path, outlined=(1, 2, 3, 4)))
    np.testing.assert_array_equal(load(dataset.pairs[0])[1], CELLS)
    assert dataset.notes == ()


@pytest.mark.parametrize("silver", [False, True])
def test_markers_of_cells_that_silver_truth_outlines_change_nothing(tmp_path, silver):
    dataset = find_dataset(make_set(tmp_path, silver=(1, 2, 3, 4)), silver=silver)
    filled = np.where(np.isin(CELLS, (2, 4)), CELLS + 3, CELLS).astype(int)  # numbers above the last of the experts'
    for pair, expected in zip(dataset.pairs, (filled, filled, CELLS) if silver else [only((1, 3))] * 2, strict=True):
        hidden = np.isin(CELLS, (2, 4)) & (not silver)
        np.testing.assert_array_equal(load(pair)[1], np.where(hidden, IGNORE, expected.astype(int)))
    assert not any("marker" in note for note in dataset.notes)


@pytest.mark.parametrize("silver", [False, True])
def test_cells_that_silver_truth_lacks_too_are_unknown_and_so_is_what_is_around(tmp_path, silver):
    dataset = find_dataset(make_set(tmp_path, outlined=(1,), silver=(1, 2, 3)), silver=silver)
    lost = unknown_around(only((1, 2, 3)), (30, 28))  # cell 4, whose neighbour 3 keeps its pixels
    by_experts = np.where(np.isin(lost, (2, 3)), lost + 1 if silver else IGNORE, lost)
    expected = [by_experts, by_experts, *[lost] * silver]
    for pair, wanted in zip(dataset.pairs, expected, strict=True):
        np.testing.assert_array_equal(load(pair)[1], wanted)
    around = (lost == IGNORE).mean()
    count = len(expected)
    assert any(
        f"{count} cells in {count} of {count} images have a marker (TRA) but no outline (SEG): background around these "
        f"markers is unknown ({around:.1%} of" in note
        for note in dataset.notes
    )
    assert any(f"1 of {count} images have computer-made" in note for note in dataset.notes) == silver


def test_silver_truth_alone_may_lack_cells(tmp_path):
    make_set(tmp_path, frames=1, silver=(1, 2, 3))  # the one frame has no outlines by experts
    (pair,) = find_dataset(tmp_path).pairs
    np.testing.assert_array_equal(load(pair)[1], unknown_around(only((1, 2, 3)), (30, 28)))


@given(st.lists(st.sampled_from(["experts", "silver", "marker"]), min_size=4, max_size=4), st.booleans())
@settings(max_examples=30, deadline=None)
def test_no_labelled_pixel_is_changed_and_no_cell_is_background(known_to, silver):
    """Each of the cells is known to experts and silver truth, to silver truth, or to its marker alone."""
    experts = [cell for cell, who in enumerate(known_to, 1) if who == "experts"]
    outlined = [cell for cell, who in enumerate(known_to, 1) if who != "marker"]
    assume(experts)
    with TemporaryDirectory() as folder:
        dataset = find_dataset(make_set(Path(folder), outlined=experts, silver=outlined, frames=2), silver=silver)
        by_experts, *by_silver = (load(pair)[1] for pair in dataset.pairs)
    learnt = outlined if silver else experts
    np.testing.assert_array_equal(np.where(np.isin(CELLS, experts), by_experts, 0), only(experts))
    np.testing.assert_array_equal(by_experts > 0, np.isin(CELLS, learnt))
    assert (by_experts[np.isin(CELLS, learnt, invert=True) & (CELLS > 0)] == IGNORE).all()
    for labels in by_silver:
        np.testing.assert_array_equal(np.maximum(labels, 0), only(outlined))
        assert (labels[CELLS > 0] != 0).all()


def test_without_markers_and_silver_truth_a_note_says_that_cells_may_be_missing(tmp_path):
    dataset = find_dataset(make_set(tmp_path, markers=None))
    assert load(dataset.pairs[0])[1].min() == 0
    (note,) = dataset.notes
    assert "2 of 2 images have neither markers (01_GT/TRA) nor silver truth (01_ST/SEG)" in note


def test_markers_of_another_size_are_refused_by_name(tmp_path):
    make_set(tmp_path, markers=MARKERS[:-1])
    with pytest.raises(ProblemsError, match=r"2 problems.*man_track000\.tif has 59 x 60 pixels, its image"):
        find_dataset(tmp_path)


def test_silver_truth_of_another_size_is_refused_by_name(tmp_path):
    make_set(tmp_path, silver=(1, 2))
    save(tmp_path / "01_ST" / "SEG" / "man_seg001.tif", CELLS[:, 1:])
    with pytest.raises(ShapeError, match=r"01_ST.*man_seg001\.tif has 60 x 59 pixels, its image t001\.tif has 60 x 60"):
        find_dataset(tmp_path)


def test_rows_held_out_know_the_markers_of_the_whole_image(tmp_path):
    (pair,) = find_dataset(make_set(tmp_path, frames=2)).pairs
    whole = load(pair)[1]
    part = replace(pair, rows=(0, 29))  # the markers of the cells 3 and 4 lie in rows 33 and 34
    np.testing.assert_array_equal(load(part)[1], whole[:29])
    assert whole[28, 30] == IGNORE
    held = split(find_dataset(tmp_path), 0.2)
    (train,), (validation,) = held.train, held.validation
    np.testing.assert_array_equal(np.concatenate([load(train)[1], load(validation)[1]]), whole)


@pytest.mark.parametrize(("section", "unknown"), [(3, True), (7, True), (8, False)])
def test_a_section_knows_the_markers_of_sections_that_cells_reach_it_from(tmp_path, section, unknown):
    volume, markers = np.stack([CELLS] * 12), np.zeros((12, SIDE, SIDE), np.uint16)
    markers[section] = np.where(MARKERS == 20, 0, MARKERS)
    markers[3][MARKERS == 20] = 20
    save(tmp_path / "01" / "t000.tif", volume)
    save(tmp_path / "01_GT" / "TRA" / "man_track000.tif", markers)
    save(tmp_path / "01_GT" / "SEG" / f"man_seg_000_{section:03}.tif", np.where(CELLS == 2, 0, CELLS))
    (pair,) = find_dataset(tmp_path).pairs
    assert pair.reach == (0, 4)
    assert (load(pair)[1][CELLS == 2] == (IGNORE if unknown else 0)).all()


def test_the_reach_of_a_volume_is_another_along_z():
    cells, markers = np.zeros((2, 9, 20, 30), np.int32)
    cells[2:7, 5:15, 3:25], markers[3, 9, 4] = 70_000_000, 1
    assert measure_reach(cells, markers) == (3, 20)
    assert measure_reach(cells, 0 * markers) == (4, 21)  # the marker may be anywhere
    assert measure_reach(0 * cells, markers) == (0, 0)


def test_a_marker_that_an_outline_covers_by_half_is_that_of_its_cell():
    labels, markers = np.array([[1, 1, 0, 0, 0, 0]]), np.array([[0, 5, 5, 0, 6, 6]])
    assert count_missing(labels, markers) == 1
    assert mark_around(labels, markers, (0, 0)).tolist() == [[1, 1, 0, 0, IGNORE, IGNORE]]


@given(st.data(), st.integers(2, 9), st.integers(0, 3))
def test_no_pixel_of_a_cell_is_background_and_what_is_far_from_it_is(data, side, gap):
    """Cells of one size with markers at one place in them, some outlined, on a grid that touches or does not."""
    marker = data.draw(st.tuples(st.integers(0, side - 1), st.integers(0, side - 1)))
    outlined = data.draw(st.sets(st.integers(1, 9), min_size=1))
    cells, markers = np.zeros((2, 60, 60), np.int32)
    for number, (row, column) in enumerate(np.ndindex(3, 3), 1):
        y, x = 2 + row * (side + gap), 2 + column * (side + gap)
        cells[y : y + side, x : x + side], markers[y + marker[0], x + marker[1]] = number, number
    labels = np.where(np.isin(cells, list(outlined)), cells, 0)
    marked = mark_around(labels, markers, measure_reach(labels, markers))
    assert (marked[(cells > 0) & (labels == 0)] == IGNORE).all()
    np.testing.assert_array_equal(np.maximum(marked, 0), labels)
    y, x = np.indices(cells.shape)
    far = np.ones(cells.shape, bool)
    for other in set(range(1, 10)) - outlined:
        (at_y,), (at_x,) = np.nonzero(markers == other)
        far &= np.maximum(abs(y - at_y), abs(x - at_x)) > 1.25 * side
    assert (marked[far & (cells == 0)] == 0).all()


# The field of interest


def make_cells(rng, *, size=300, count=60, diameter=16):
    """Numbered squares anywhere in an image, also cut by its edges."""
    labels = np.zeros((size, size), np.uint16)
    for number, (y, x) in enumerate(rng.integers(-diameter, size, (count, 2)), 1):
        labels[max(y, 0) : max(y + diameter, 0), max(x, 0) : max(x + diameter, 0)] = number
    return labels


def as_labelled(cells, margin):
    """Only the cells of which any pixel is in the field of interest, these in whole."""
    seen = np.unique(cells[margin : cells.shape[0] - margin, margin : cells.shape[1] - margin])
    return np.where(np.isin(cells, seen), cells, 0).astype(cells.dtype)


def make_framed_set(folder, margin, *, truth="ST", frames=4):
    rng = np.random.default_rng(7)
    cells = [as_labelled(make_cells(rng), margin) for _ in range(frames)]
    for frame, labels in enumerate(cells):
        save(folder / "01" / f"t{frame:03}.tif", (labels > 0).astype(np.uint8))
        save(folder / f"01_{truth}" / "SEG" / f"man_seg{frame:03}.tif", labels)
    return cells


@pytest.mark.parametrize("truth", ["GT", "ST"])
@pytest.mark.parametrize("margin", [25, 50])
def test_background_outside_of_the_field_of_interest_is_unknown(tmp_path, margin, truth):
    cells = make_framed_set(tmp_path, margin, truth=truth)
    dataset = find_dataset(tmp_path)
    unknown = 0
    for pair, expected in zip(dataset.pairs, cells, strict=True):
        labels = dataset.load(pair)[1]
        np.testing.assert_array_equal(np.maximum(labels, 0), expected)  # what is labelled stays, at the edge too
        inside = labels[margin:-margin, margin:-margin]
        assert inside.min() == 0
        assert (labels == 0).sum() == (inside == 0).sum()
        unknown += (labels == IGNORE).mean() / len(cells)
    said = " ".join(dataset.notes)
    assert f"within {margin} px of the edges of images are not labelled" in said
    assert said.count(f"{unknown:.1%} of all label pixels") == 2


def test_where_cells_at_the_edge_are_labelled_all_background_is_known(tmp_path):
    cells = make_framed_set(tmp_path, 0)
    dataset = find_dataset(tmp_path)
    np.testing.assert_array_equal(dataset.load(dataset.pairs[0])[1], cells[0])
    assert not any("edges" in note for note in dataset.notes)


@pytest.mark.parametrize(
    ("at_the_edge", "beside", "margin"),
    [(0, 11, 50), (0, 10, 0), (1, 21, 50), (1, 20, 0), (30, 30, 0)],
)
def test_one_object_in_ten_at_the_edge_may_be_a_mistake(at_the_edge, beside, margin):
    every = at_the_edge + beside + 5
    reaching = {0: every, 25: every - (at_the_edge + 1) // 2, 50: beside + 5, 100: 5}
    assert choose_margin([FieldStatistics(reaching, {25: 10, 50: 10}, {})]) == margin
    assert choose_margin([FieldStatistics(reaching, {25: 9, 50: 9}, {})]) == 0


def test_a_margin_is_chosen_of_all_images_together():
    few = FieldStatistics({0: 9, 25: 9, 50: 9, 100: 2}, {25: 0, 50: 5}, {})
    assert choose_margin([]) == choose_margin([few]) == 0
    assert choose_margin([few, few]) == 50


@pytest.mark.parametrize("first", [62, 40, 10])
def test_a_cell_that_rests_in_all_frames_makes_no_margin(first):
    """Within the strip next to a margin, on the line between them, and in a margin."""
    labels = np.zeros((300, 300), np.int32)
    labels[first : first + 20, first : first + 20], labels[140:160, 140:160] = 1, 2
    assert choose_margin([FieldStatistics.of(labels)] * 12) == 0


def test_an_embryo_that_does_not_reach_the_edges_has_no_margin():
    """Its cells, 10 px wide and 2 apart, fill a square that begins 54 px from the edges."""
    labels = np.zeros((300, 300), np.int32)
    for number, (y, x) in enumerate(np.ndindex(16, 16), 1):
        labels[54 + 12 * y : 64 + 12 * y, 54 + 12 * x : 64 + 12 * x] = number
    statistics = FieldStatistics.of(labels)
    assert (statistics.reaching[50], statistics.crossing[50]) == (256, 0)
    assert choose_margin([statistics] * 12) == 0


@pytest.mark.parametrize("shape", [(30, 230), (120, 60), (90, 90), (230, 150), (1, 1)])
def test_each_pixel_is_counted_once(shape):
    labels = np.random.default_rng(0).choice(np.arange(-1, 400), shape)
    statistics = FieldStatistics.of(labels)
    y, x = np.indices(labels.shape)
    depth = np.minimum.reduce([y, x, labels.shape[0] - 1 - y, labels.shape[1] - 1 - x])
    for margin in (25, 50):
        within, outside = ({*labels[part].tolist()} - {-1, 0} for part in (depth >= margin, depth < margin))
        assert (statistics.reaching[margin], statistics.crossing[margin]) == (len(within), len(within & outside))
        assert statistics.background[margin] == (labels[depth < margin] == 0).sum()


def test_the_margin_of_a_volume_has_all_its_sections():
    labels = np.zeros((2, 120, 120), np.int32)
    labels[1, 60] = 3
    assert FieldStatistics.of(labels).reaching == {0: 1, 25: 1, 50: 1, 100: 0}
    assert FieldStatistics.of(labels).background[50] == 2 * (120**2 - 20**2) - 100
    assert (mark_margin(labels, 50) == 0).sum() == 2 * 20**2 - 20


@given(arrays(np.int32, (5, 7), elements=st.integers(-1, 3)), st.integers(0, 5))
def test_only_background_becomes_unknown_and_only_in_the_margin(labels, margin):
    marked = mark_margin(labels, margin)
    y, x = np.indices(labels.shape)
    edge = np.minimum.reduce([y, x, 4 - y, 6 - x]) < margin
    np.testing.assert_array_equal(marked, np.where(edge & (labels == 0), IGNORE, labels))


def test_rows_held_out_have_the_margin_of_the_whole_image(tmp_path):
    cells = as_labelled(make_cells(np.random.default_rng(7), count=200), 25)
    save(tmp_path / "01" / "t000.tif", cells)
    save(tmp_path / "01_ST" / "SEG" / "man_seg000.tif", cells)
    dataset = find_dataset(tmp_path)
    held = split(dataset, 0.2)
    (train,), (validation,) = held.train, held.validation
    whole = mark_margin(cells.astype(np.int32), 25)
    np.testing.assert_array_equal(load(train)[1], whole[:225])
    np.testing.assert_array_equal(load(validation)[1], whole[225:])


def test_other_layouts_have_no_field_of_interest(tmp_path):
    cells = as_labelled(make_cells(np.random.default_rng(7), count=200), 25)
    assert choose_margin([FieldStatistics.of(cells)]) == 25
    dataset = find_dataset(make_images_and_labels(tmp_path, [cells], images=[cells]))
    np.testing.assert_array_equal(dataset.load(dataset.pairs[0])[1], cells)
