"""Cells of the Cell Tracking Challenge that have a marker and no outline: never background."""

from dataclasses import replace

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from biounet.config import IGNORE
from biounet.errors import ShapeError
from biounet.folders import find_dataset, load, split
from biounet.folders.markers import count_missing, mark_around, measure_reach

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


def make_set(folder, *, outlined=(1, 3), frames=3, markers=MARKERS, silver=False):
    """Frames, all with markers, of which all but the last have outlines."""
    for frame in range(frames):
        save(folder / "01" / f"t{frame:03}.tif", CELLS)
        if markers is not None:
            save(folder / "01_GT" / "TRA" / f"man_track{frame:03}.tif", markers)
        if silver:
            save(folder / "01_ST" / "SEG" / f"man_seg{frame:03}.tif", CELLS)
        if frame < frames - 1:
            seen = np.where(np.isin(CELLS, outlined), CELLS, 0)
            save(folder / "01_GT" / "SEG" / f"man_seg{frame:03}.tif", seen.astype(np.uint16))
    return folder


def test_cells_with_a_marker_and_no_outline_are_unknown_and_so_is_what_is_around(tmp_path):
    dataset = find_dataset(make_set(tmp_path))
    assert [pair.name for pair in dataset.pairs] == ["01/t000.tif", "01/t001.tif"]
    # Cells reach 3.5 px from the middle of their markers to each side: at most 4 and a quarter, 5.
    expected = np.where(np.isin(CELLS, (1, 3)), CELLS, 0).astype(int)
    for y, x in ((2, 40), (30, 28)):
        part = expected[max(y - 2, 0) : y + 10, x - 2 : x + 10]
        part[part == 0] = IGNORE
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


def test_silver_truth_says_more_than_markers(tmp_path):
    dataset = find_dataset(make_set(tmp_path, silver=True))
    for pair in dataset.pairs:
        np.testing.assert_array_equal(load(pair)[1], np.where(np.isin(CELLS, (2, 4)), IGNORE, CELLS.astype(int)))
    assert not any("marker" in note for note in dataset.notes)


def test_without_markers_and_silver_truth_a_note_says_that_cells_may_be_missing(tmp_path):
    dataset = find_dataset(make_set(tmp_path, markers=None))
    assert load(dataset.pairs[0])[1].min() == 0
    (note,) = dataset.notes
    assert "2 of 2 images have neither markers (01_GT/TRA) nor silver truth (01_ST/SEG)" in note


def test_markers_of_another_size_are_refused_by_name(tmp_path):
    make_set(tmp_path, markers=MARKERS[:-1])
    with pytest.raises(ShapeError, match=r"man_track000\.tif has 59 x 60 pixels, its image t000\.tif has 60 x 60"):
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
