"""Datasets: the layouts, what is converted and what is refused, holding out for validation."""

import os
from functools import partial
from pathlib import Path

import cc3d
import numpy as np
import PIL.Image
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from biounet.core.errors import DatasetError, ImageError, LabelError, ShapeError
from biounet.core.labels import IGNORE
from biounet.data import Dataset, Pair, find_dataset, folds, images_in, load, split
from biounet.data import dataset as reading
from biounet.data.cell_tracking import FieldStatistics, choose_margin, mark_margin
from biounet.data.label_files import fill_missing
from biounet.data.label_kind import LabelStatistics, choose_kind
from biounet.io import Image, write

DATA = os.environ.get("BIOUNET_DATA")
needs_data = pytest.mark.skipif(DATA is None, reason="BIOUNET_DATA does not name the folder of real images")

IMAGE = np.arange(8 * 10, dtype=np.uint8).reshape(8, 10)
CELLS = np.zeros((8, 10), np.uint16)
CELLS[1:3, 1:3], CELLS[1:3, 3:5], CELLS[5:7, 1:9] = 1, 2, 7


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        PIL.Image.fromarray(array).save(path)
    else:
        tifffile.imwrite(path, array, photometric="minisblack", **options)


def make_set(folder, labels, *, images=None, labels_folder="labels", suffix=".tif"):
    for number, array in enumerate(labels):
        save(folder / "images" / f"cell{number}{suffix}", IMAGE if images is None else images[number])
        save(folder / labels_folder / f"cell{number}.tif", array)
    return folder


# Layouts


@pytest.mark.parametrize("labels_folder", ["labels", "masks"])
@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_images_and_labels_pair_by_name(tmp_path, labels_folder, suffix):
    dataset = find_dataset(make_set(tmp_path, [CELLS, CELLS * 2], labels_folder=labels_folder, suffix=suffix))
    assert dataset.layout == "images and labels"
    assert [pair.name for pair in dataset.pairs] == [f"cell0{suffix}", f"cell1{suffix}"]
    assert dataset.pairs[0].kind == "objects"
    image, labels = dataset.load(dataset.pairs[1])
    np.testing.assert_array_equal(image, IMAGE[None])
    np.testing.assert_array_equal(labels, CELLS * 2)
    assert labels.dtype == np.int32


@pytest.mark.parametrize(
    ("images", "others"),
    [
        (["a.tif", "b.png"], ["labels/a.tif"]),
        (["images/a.tif", "images/b.png"], ["masks/a.tif"]),
        (["x/images/x.png", "y/images/y.png"], ["x/masks/1.png"]),
        (["01/t000.tif", "02/t000.tif"], ["01_GT/SEG/man_seg000.tif", "01_RES/mask000.tif"]),
        (["test-volume.tif", "train-volume.tif"], ["train-labels.tif"]),
        ([], ["notes/a.tif"]),
    ],
)
def test_images_are_found_with_labels_and_without(tmp_path, images, others):
    for name in (*images, *others):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [path.relative_to(tmp_path).as_posix() for path in images_in(tmp_path)] == images


def test_isbi_2012_is_classes_by_section(tmp_path):
    volume = np.stack([IMAGE + z for z in range(6)])
    truth = np.zeros((6, 8, 10), np.uint8)
    truth[:, 2:5, 3:] = 255
    truth[4] = 0
    save(tmp_path / "train-volume.tif", volume)
    save(tmp_path / "train-labels.tif", truth)
    dataset = find_dataset(tmp_path)
    assert dataset.layout == "ISBI 2012"
    assert len(dataset.pairs) == 6
    assert {pair.kind for pair in dataset.pairs} == {"classes"}
    image, labels = dataset.load(dataset.pairs[3])
    np.testing.assert_array_equal(image, IMAGE[None] + 3)
    np.testing.assert_array_equal(labels, truth[3] // 255)
    assert dataset.load(dataset.pairs[4])[1].max() == 0  # a section without an interior is fine
    assert any("0, 255 are read as classes 0, 1" in note for note in dataset.notes)


def test_one_mask_per_nucleus_becomes_numbers(tmp_path):
    for case in ("a", "b"):
        save(tmp_path / case / "images" / f"{case}.png", np.stack([IMAGE, IMAGE, IMAGE, 0 * IMAGE + 255], -1))
        save(tmp_path / case / "masks" / "x.png", ((CELLS == 1) * 255).astype(np.uint8))
        if case == "a":
            save(tmp_path / case / "masks" / "y.png", ((CELLS == 7) * 255).astype(np.uint8))
    dataset = find_dataset(tmp_path)
    assert dataset.layout == "DSB 2018"
    image, labels = dataset.load(dataset.pairs[0])
    np.testing.assert_array_equal(image, IMAGE[None])  # equal colours are one grey channel
    np.testing.assert_array_equal(labels, (CELLS == 1) + 2 * (CELLS == 7))
    assert dataset.load(dataset.pairs[1])[1].max() == 1
    assert split(dataset, 0.5).validation == (dataset.pairs[1],)


def make_tracking_set(folder):
    for frame in range(4):
        for sequence in ("01", "02"):
            save(folder / sequence / f"t{frame:03}.tif", IMAGE + frame)
            save(folder / f"{sequence}_ST" / "SEG" / f"man_seg{frame:03}.tif", CELLS)
    for frame in (1, 3):
        save(folder / "01_GT" / "SEG" / f"man_seg{frame:03}.tif", np.where(CELLS == 7, 0, CELLS))
    return folder


def test_tracking_challenge_takes_experts_where_there_are_any(tmp_path):
    dataset = find_dataset(make_tracking_set(tmp_path))
    assert dataset.layout == "Cell Tracking Challenge"
    assert [pair.name for pair in dataset.pairs if pair.group == "01"] == ["01/t001.tif", "01/t003.tif"]
    assert sum(pair.group == "02" for pair in dataset.pairs) == 4  # no expert has seen them
    image, labels = dataset.load(dataset.pairs[1])
    np.testing.assert_array_equal(image, IMAGE[None] + 3)
    # The expert left out cell 7: whether it is background, nobody knows.
    np.testing.assert_array_equal(labels, np.where(CELLS == 7, IGNORE, CELLS.astype(int)))
    assert any("unknown" in note for note in dataset.notes)


def test_tracking_challenge_with_silver_truth_takes_all_frames(tmp_path):
    folder = make_tracking_set(tmp_path)
    save(folder / "01_ST" / "SEG" / "man_seg001.tif", np.where(CELLS == 7, 7, 9 * (CELLS > 0)))
    dataset = find_dataset(folder, silver=True)
    assert [pair.name for pair in dataset.pairs] == [f"0{n}/t{frame:03}.tif" for n in (1, 2) for frame in range(4)]
    np.testing.assert_array_equal(dataset.load(dataset.pairs[2])[1], CELLS)
    # The expert's cells stay as they are; the one that is missing is added with a number of its own.
    expected = np.where(CELLS == 7, CELLS[CELLS != 7].max() + 7, CELLS)
    np.testing.assert_array_equal(dataset.load(dataset.pairs[1])[1], expected)
    assert any("computer" in note for note in dataset.notes)


def test_single_annotated_sections_of_a_volume(tmp_path):
    save(tmp_path / "01" / "t000.tif", np.stack([IMAGE, IMAGE + 1, IMAGE + 2]))
    save(tmp_path / "01_GT" / "SEG" / "man_seg_000_002.tif", CELLS)
    (pair,) = find_dataset(tmp_path).pairs
    image, labels = load(pair)
    assert pair.name == "01/t000.tif[2]"
    np.testing.assert_array_equal(image, IMAGE[None] + 2)
    np.testing.assert_array_equal(labels, CELLS)


def test_sections_by_experts_are_kept_beside_silver_volumes(tmp_path):
    save(tmp_path / "01" / "t000.tif", np.stack([IMAGE, IMAGE + 1, IMAGE + 2]))
    save(tmp_path / "01_GT" / "SEG" / "man_seg_000_002.tif", np.where(CELLS == 7, 0, CELLS))
    save(tmp_path / "01_ST" / "SEG" / "man_seg000.tif", np.stack([CELLS] * 3))
    (pair,) = find_dataset(tmp_path, silver=True).pairs
    assert pair.name == "01/t000.tif[2]"
    assert set(np.unique(load(pair)[1])) == {0, 1, 2, 9}  # of the experts, and what they left out


# The field of interest of the Cell Tracking Challenge


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


def test_other_layouts_have_no_field_of_interest(tmp_path):
    cells = as_labelled(make_cells(np.random.default_rng(7), count=200), 25)
    assert choose_margin([FieldStatistics.of(cells)]) == 25
    dataset = find_dataset(make_set(tmp_path, [cells], images=[cells]))
    np.testing.assert_array_equal(dataset.load(dataset.pairs[0])[1], cells)


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
    census = FieldStatistics.of(labels)
    assert (census.reaching[50], census.crossing[50]) == (256, 0)
    assert choose_margin([census] * 12) == 0


@pytest.mark.parametrize("shape", [(30, 230), (120, 60), (90, 90), (230, 150), (1, 1)])
def test_each_pixel_is_counted_once(shape):
    labels = np.random.default_rng(0).choice(np.arange(-1, 400), shape)
    census = FieldStatistics.of(labels)
    y, x = np.indices(labels.shape)
    depth = np.minimum.reduce([y, x, labels.shape[0] - 1 - y, labels.shape[1] - 1 - x])
    for margin in (25, 50):
        within, outside = ({*labels[part].tolist()} - {-1, 0} for part in (depth >= margin, depth < margin))
        assert (census.reaching[margin], census.crossing[margin]) == (len(within), len(within & outside))
        assert census.background[margin] == (labels[depth < margin] == 0).sum()


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


# Other pairs and stacks


def test_two_files_are_a_dataset(tmp_path):
    make_set(tmp_path, [CELLS])
    dataset = find_dataset(f"{tmp_path}/images/cell0.tif,{tmp_path}/labels/cell0.tif")
    assert dataset.layout == "two files"
    np.testing.assert_array_equal(dataset.load(dataset.pairs[0])[1], CELLS)


def test_volumes_keep_their_sections_and_movies_become_frames(tmp_path):
    stack, cells = np.stack([IMAGE, IMAGE + 1, IMAGE + 2]), np.stack([CELLS] * 3)
    (pair,) = find_dataset(make_set(tmp_path / "volume", [cells], images=[stack])).pairs
    assert pair.shape == (1, 3, 8, 10)
    image, labels = load(pair)
    np.testing.assert_array_equal(image, stack[None])
    np.testing.assert_array_equal(labels, cells)

    save(tmp_path / "movie" / "images" / "m.tif", stack, imagej=True, metadata={"axes": "TYX"})
    save(tmp_path / "movie" / "labels" / "m.tif", cells)
    dataset = find_dataset(tmp_path / "movie")
    assert [pair.name for pair in dataset.pairs] == ["m.tif[0]", "m.tif[1]", "m.tif[2]"]
    image, labels = dataset.load(dataset.pairs[2])
    np.testing.assert_array_equal(image, stack[None, 2])
    np.testing.assert_array_equal(labels, CELLS)


def test_an_ome_zarr_image_with_its_labels_is_a_dataset(tmp_path):
    pytest.importorskip("zarr", reason="the extra zarr is not installed")
    store = tmp_path / "a.zarr"
    write(store, Image(IMAGE, "YX"))
    write(store / "labels" / "cells", Image(CELLS, "YX"))
    for pair in (f"{store},{store}", f"{store},{store}/labels/cells"):
        image, labels = load(find_dataset(pair).pairs[0])
        np.testing.assert_array_equal(image, IMAGE[None])
        np.testing.assert_array_equal(labels, CELLS)
    for folder, array in (("images", IMAGE), ("labels", CELLS)):
        write(tmp_path / "set" / folder / "b.zarr", Image(array, "YX"))
    np.testing.assert_array_equal(load(find_dataset(tmp_path / "set").pairs[0])[1], CELLS)


# Conversions, all said


def test_grey_images_among_colours_are_repeated_and_said(tmp_path):
    colour = np.stack([IMAGE, IMAGE // 2, IMAGE], -1)
    for name, image in (("a", colour), ("b", IMAGE)):
        save(tmp_path / "images" / f"{name}.png", image)
        save(tmp_path / "labels" / f"{name}.tif", CELLS)
    dataset = find_dataset(tmp_path)
    np.testing.assert_array_equal(dataset.load(dataset.pairs[0])[0], np.moveaxis(colour, -1, 0))
    np.testing.assert_array_equal(dataset.load(dataset.pairs[1])[0], [IMAGE] * 3)
    assert any("1 of 2 images are grey" in note for note in dataset.notes)


@pytest.mark.parametrize(
    ("labels", "note"),
    [
        (CELLS.astype(np.float32), "floats that are whole numbers"),
        (np.stack([CELLS] * 3), "equal colour channels"),
    ],
)
def test_labels_in_the_wrong_type_are_converted_and_said(tmp_path, labels, note):
    options = {"imagej": True, "metadata": {"axes": "CYX"}} if labels.ndim == 3 else {}
    save(tmp_path / "images" / "a.tif", IMAGE)
    save(tmp_path / "labels" / "a.tif", labels, **options)
    dataset = find_dataset(tmp_path)
    np.testing.assert_array_equal(dataset.load(dataset.pairs[0])[1], CELLS)
    assert any(note in text and "a.tif" in text for text in dataset.notes)


@pytest.mark.parametrize("values", [(0, 255), (0, 128, 255)])
def test_grey_values_of_classes_become_their_numbers(tmp_path, values):
    # Many pieces of each class, as classes have.
    numbers = np.add.outer(np.arange(8), np.arange(10)) % len(values)
    grey = np.array(values, np.uint8)[numbers]
    dataset = find_dataset(make_set(tmp_path, [grey, grey]))
    assert dataset.pairs[0].kind == "classes"
    np.testing.assert_array_equal(dataset.load(dataset.pairs[0])[1], numbers)
    assert any(", ".join(map(str, values)) in note for note in dataset.notes)


@pytest.mark.parametrize(("kind", "unknown"), [(np.int16, -7), (np.float32, -7), (np.float64, -1e20)])
def test_negative_labels_are_unknown(tmp_path, kind, unknown):
    labels = CELLS.astype(kind)
    labels[0] = unknown
    dataset = find_dataset(make_set(tmp_path, [labels]))
    assert (dataset.load(dataset.pairs[0])[1][0] == IGNORE).all()


def test_labels_of_class_numbers_are_classes(tmp_path):
    stripes = (np.add.outer(np.arange(8), np.arange(10)) % 4).astype(np.uint8)
    dataset = find_dataset(make_set(tmp_path, [stripes]))
    assert dataset.pairs[0].kind == "classes"
    assert dataset.pairs[0].values == ()


@pytest.mark.parametrize(
    ("images", "kind"),
    [
        ([((0, 1), 40)], "classes"),
        ([((0, 1), 1)], "classes"),
        ([((0, 1, 2, 3), 3)], "objects"),
        ([((0, 1, 2, 3), 60)], "classes"),
        ([((0, 1, 2), 2), ((0, 1, 2), 2)], "classes"),
        ([((0, 1, 2), 2), ((0, 1, 2, 3, 4), 4)], "objects"),
        ([((0, *range(1, 200)), 230)], "objects"),
        ([(range(26), 25)] * 3, "classes"),
        ([((1,), 1), ((2,), 1), ((3,), 1)], "classes"),
        ([((0, 1), 1)] * 3, "classes"),
        ([((0, 255), 1)] * 3, "classes"),
    ],
)
def test_classes_and_objects_are_told_by_their_pieces(images, kind):
    assert choose_kind([LabelStatistics(Path("a.tif"), tuple(values), pieces) for values, pieces in images]) == kind


def test_what_labels_were_taken_for_is_said_unless_it_was_given(tmp_path):
    stripes = (np.add.outer(np.arange(8), np.arange(10)) % 4).astype(np.uint8)
    for labels, kind, other in ((CELLS, "one object (3", "classes"), (stripes, "a class (", "distance")):
        folder = make_set(tmp_path / other, [labels])
        (note,) = find_dataset(folder).notes
        assert note.startswith(f"each label number is taken for {kind}")
        assert note.endswith(f"train.target={other} says otherwise")
        for meant in ("classes", "objects"):
            dataset = find_dataset(folder, kind=meant)
            assert dataset.pairs[0].kind == meant
            assert not any("taken for" in note for note in dataset.notes)


def test_objects_in_several_pieces_are_said_once_and_stay_one_object(tmp_path):
    labels = np.where(CELLS == 7, 0, CELLS)
    labels[5, 1], labels[6, 2], labels[6, 8], labels[3, 9] = 7, 7, 7, 1  # corners connect
    dataset = find_dataset(make_set(tmp_path, [CELLS, labels, labels]), kind="objects")
    (note,) = dataset.notes
    assert note.startswith("objects in several unconnected pieces: 4, in 2 of 3 images (number 1 of cell1.tif is in 2)")
    np.testing.assert_array_equal(load(dataset.pairs[1])[1], labels)
    assert not any("pieces:" in note for note in find_dataset(tmp_path, kind="classes").notes)


def test_given_what_numbers_mean_many_of_them_are_no_grey_values(tmp_path):
    numbers = np.kron(np.arange(40).reshape(5, 8), np.ones((2, 2), int)).astype(np.uint8)  # each in one piece
    scattered = np.tile(numbers, (2, 2))  # each in four
    for labels, kind in ((numbers, "classes"), (scattered, "objects")):
        folder = make_set(tmp_path / kind, [labels], images=[labels])
        np.testing.assert_array_equal(load(find_dataset(folder, kind=kind).pairs[0])[1], labels)
    with pytest.raises(LabelError, match="40 values in 156 pieces are neither classes nor objects"):
        find_dataset(folder)


def test_as_many_cells_in_each_image_are_told_from_organs_by_their_order():
    cells = np.pad(np.kron(np.arange(1, 26).reshape(5, 5), np.ones((3, 3), int)), 1)  # touching, numbered row by row
    slipped = cells.copy()
    slipped[2, 2] = 20  # a pixel of another cell
    organs = np.rot90(cells)
    for images, kind in (((cells, cells), "objects"), ((cells, organs), "classes"), ((slipped, slipped), "classes")):
        assert choose_kind([LabelStatistics.of(Path("a.tif"), [labels.astype(np.int32)]) for labels in images]) == kind
    assert choose_kind([LabelStatistics.of(Path("a.tif"), [slipped.astype(np.int32)])]) == "objects"


@given(
    st.sampled_from([(9, 6), (2, 9, 5)]).flatmap(lambda shape: arrays(np.int32, shape, elements=st.integers(-1, 3))),
    st.sets(st.integers(1, 8)),
)
def test_labels_are_counted_alike_in_strips_and_as_a_whole(labels, cuts):
    whole = LabelStatistics.of(Path("a.tif"), [labels])
    assert LabelStatistics.of(Path("a.tif"), np.split(labels, sorted(cuts), axis=-2)) == whole
    assert (
        whole.pieces
        == cc3d.connected_components(np.maximum(labels, 0), connectivity=8 * (labels.ndim == 2) or 26).max()
    )
    assert (whole.unknown, whole.pixels) == ((labels < 0).sum(), labels.size)


def test_large_labels_are_read_in_strips(tmp_path, monkeypatch):
    colours = np.stack([IMAGE] * 3)
    colours[2, 7, 0] = 1  # in the last row
    folder = make_set(tmp_path, [CELLS.astype(np.float32)])
    write(folder / "images" / "cell0.tif", Image(colours, "CYX"), overwrite=True)
    whole = find_dataset(folder)
    monkeypatch.setattr(reading, "STRIP", 3 * 10)
    monkeypatch.setattr(reading, "read_labels", partial(at_most, 3, reading.read_labels))
    assert find_dataset(folder) == whole
    assert whole.pairs[0].channels == 3
    assert "floats that are whole numbers" in whole.notes[0]
    save(folder / "labels" / "cell0.tif", np.pad(CELLS, [(0, 1), (0, 0)]))
    with pytest.raises(ShapeError, match="save both in one size"):
        find_dataset(folder)


def at_most(count, read, path, *, section, rows):
    assert rows[1] - rows[0] <= count
    return read(path, section=section, rows=rows)


def test_a_cell_that_the_truth_covers_in_part_is_not_missing():
    truth, other = np.array([[0, 1, 1, 0, 0, 0]]), np.array([[2, 2, 2, 0, 3, 3]])
    assert fill_missing(truth, other).tolist() == [[0, 1, 1, 0, 4, 4]]


# Refusals, all with the name of the file


def test_labels_that_another_file_shows_to_be_wrong_are_refused(tmp_path):
    find_dataset(make_set(tmp_path, [(CELLS > 0).astype(np.uint8) * 255] * 2))
    pair = find_dataset(tmp_path).pairs[1]
    save(tmp_path / "labels" / "cell1.tif", (CELLS > 0).astype(np.uint8) * 254)
    with pytest.raises(LabelError, match=r"cell1\.tif holds 254, the other labels only 0, 255"):
        load(pair)


def bad(name, error, match):
    return pytest.param(name, error, match, id=name)


def spoil(folder, name):
    """Make a good dataset of two images and break it in one way."""
    make_set(folder, [CELLS, CELLS])
    image, labels = folder / "images" / "cell1.tif", folder / "labels" / "cell1.tif"
    nan = IMAGE.astype(np.float32)
    nan[2, 3] = np.nan
    breaks = {
        "missing label": lambda: labels.unlink(),
        "extra label": lambda: image.unlink(),
        "same name": lambda: save(image.with_suffix(".png"), IMAGE),
        "size": lambda: save(labels, CELLS[:, :-1]),
        "truncated image": lambda: image.write_bytes(image.read_bytes()[:100]),
        "empty label": lambda: labels.write_bytes(b""),
        "fractions": lambda: save(labels, CELLS / 7),
        "colours": lambda: save(labels, np.stack([CELLS, CELLS * 2]), imagej=True, metadata={"axes": "CYX"}),
        "large number": lambda: save(labels, CELLS.astype(np.uint32) * 2**31),
        "large float": lambda: save(labels, np.where(CELLS == 7, 1e20, CELLS)),
        "float too large by one": lambda: save(labels, np.where(CELLS == 7, 2.0**31, CELLS).astype(np.float32)),
        "nan in labels": lambda: save(labels, nan),
        "nan": lambda: save(image, nan),
        "channels": lambda: save(image, np.stack([IMAGE] * 2), imagej=True, metadata={"axes": "CYX"}),
        "one class": lambda: [save(folder / "labels" / f"cell{i}.tif", CELLS * 0) for i in (0, 1)],
        "all foreground": lambda: [save(folder / "labels" / f"cell{i}.tif", CELLS * 0 + 3) for i in (0, 1)],
    }
    breaks[name]()


@pytest.mark.parametrize(
    ("name", "error", "match"),
    [
        bad("missing label", DatasetError, r"cell1\.tif has no labels; add labels/cell1"),
        bad("extra label", DatasetError, r"labels/cell1\.tif has no image"),
        bad("same name", DatasetError, r"cell1\.tif and cell1\.png have one name"),
        bad("size", ShapeError, r"labels/cell1\.tif has 8 x 9 pixels, its image cell1\.tif has 8 x 10"),
        bad("truncated image", ImageError, r"images/cell1\.tif cannot be read"),
        bad("empty label", ImageError, r"labels/cell1\.tif cannot be read .*the file is empty"),
        bad("fractions", LabelError, r"labels/cell1\.tif: labels are integers, this holds 0\.14"),
        bad("colours", LabelError, r"labels/cell1\.tif: .*colours"),
        bad("large number", LabelError, r"labels/cell1\.tif: label \d+ does not fit"),
        bad("large float", LabelError, r"labels/cell1\.tif: label 1e\+20 does not fit 31 bits"),
        bad("float too large by one", LabelError, r"labels/cell1\.tif: label 2147483648\.0 does not fit 31 bits"),
        bad("nan in labels", ImageError, r"cell1\.tif: 1 of 80 pixels are NaN"),
        bad("nan", ImageError, r"cell1\.tif: 1 of 80 pixels are NaN"),
        bad("channels", DatasetError, r"cell0\.tif has 1 channels, cell1\.tif has 2"),
        bad("one class", LabelError, r"labels/cell0\.tif: all labels are 0, in every file"),
        bad("all foreground", LabelError, r"all labels are 3"),
    ],
)
def test_bad_datasets_are_refused_in_one_line_that_names_the_file(tmp_path, name, error, match):
    spoil(tmp_path, name)
    with pytest.raises(error, match=match) as caught:
        list(map(load, find_dataset(tmp_path).pairs))
    assert "\n" not in str(caught.value)


def test_a_smoothed_mask_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    save(tmp_path / "images" / "a.tif", np.zeros((40, 40), np.uint8))
    save(tmp_path / "labels" / "a.tif", rng.integers(0, 40, (40, 40)).astype(np.uint8) * 6)
    with pytest.raises(LabelError, match=r"a\.tif: 40 values in \d+ pieces are neither classes nor objects"):
        find_dataset(tmp_path)


def test_jpeg_labels_are_refused(tmp_path):
    save(tmp_path / "images" / "a.png", IMAGE)
    (tmp_path / "labels").mkdir()
    PIL.Image.fromarray(CELLS.astype(np.uint8)).save(tmp_path / "labels" / "a.jpg")
    with pytest.raises(LabelError, match=r"a\.jpg: JPEG changes label numbers"):
        find_dataset(tmp_path)


@pytest.mark.parametrize(
    ("files", "match"),
    [
        ([], "is no dataset: wanted are folders images and labels"),
        (["images/a.tif"], "has images but neither labels nor masks"),
        (["images/notes.txt", "labels/notes.txt"], "there are no images with labels"),
        (["train-volume.tif"], "no train-labels.tif"),
        (["01/t000.tif", "01_GT/SEG/notes.txt"], "there are no images with labels"),
        (["01/t000.tif", "01_GT/SEG/mask000.tif"], "its name must be man_seg"),
        (["01/t000.tif", "01_GT/SEG/man_seg001.tif"], r"man_seg001\.tif has no image"),
        (["a/images/a.png", "a/masks/1.png", "b/images/b.png"], "b has an image but no masks"),
        (["a/images/a.png", "a/images/b.png", "a/masks/1.png"], "must hold one image, it holds 2"),
    ],
)
def test_incomplete_folders_are_refused(tmp_path, files, match):
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(DatasetError, match=match) as caught:
        find_dataset(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_what_is_no_folder_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="there is no such folder"):
        find_dataset(tmp_path / "nowhere")
    save(tmp_path / "a.tif", IMAGE)
    with pytest.raises(DatasetError, match=r"a\.tif is a file; give a folder"):
        find_dataset(tmp_path / "a.tif")
    with pytest.raises(DatasetError, match=r"b\.tif: there is no such file"):
        find_dataset(f"{tmp_path}/a.tif,{tmp_path}/b.tif")


# Holding out


def singles(count):
    return tuple(Pair(f"{i}.tif", Path(f"{i}.tif"), (Path("l.tif"),), f"{i}", shape=(1, 8, 8)) for i in range(count))


def stack(count, name="stack"):
    return tuple(
        Pair(f"{name}[{i}]", Path(name), (Path("l.tif"),), name, section=i, shape=(1, 8, 8)) for i in range(count)
    )


def test_the_last_sections_of_each_stack_are_held_out():
    both = Dataset("two", "ISBI 2012", stack(24, "a") + stack(6, "b"))
    held = split(both, 1 / 6)
    assert [pair.name for pair in held.validation] == ["a[20]", "a[21]", "a[22]", "a[23]", "b[5]"]
    assert len(held.train) == 25
    assert "5 of 30 images (a[20], a[21], ..., b[5])" in held.notes[0]


def test_single_images_are_held_out_evenly():
    held = split(Dataset("set", "images and labels", singles(9)), 1 / 3)
    assert [pair.name for pair in held.validation] == ["1.tif", "4.tif", "7.tif"]


@given(st.integers(2, 40), st.floats(0, 1, exclude_max=True), st.booleans())
def test_every_image_is_either_trained_on_or_held_out(count, fraction, stacked):
    pairs = stack(count) if stacked else singles(count)
    held = split(Dataset("set", "any", pairs), fraction)
    assert sorted(held.train + held.validation, key=pairs.index) == list(pairs)
    assert held.train
    assert bool(held.validation) == (fraction > 0)


@given(st.integers(2, 5), st.integers(5, 30), st.integers(1, 10))
def test_folds_hold_out_every_image_once_and_neighbours_together(count, sections, others):
    pairs = stack(sections) + singles(others)
    parts = folds(Dataset("set", "any", pairs), count)
    held = [pair for part in parts for pair in part.validation]
    assert sorted(held, key=pairs.index) == list(pairs)
    for part in parts:
        block = [pair.section for pair in part.validation if pair.section is not None]
        assert block == list(range(block[0], block[0] + len(block)))


def test_folds_need_images():
    with pytest.raises(DatasetError, match="between 2 and 3 folds are possible, got 4"):
        folds(Dataset("set", "any", singles(3)), 4)


@pytest.mark.parametrize("fraction", [-0.1, 1.0])
def test_an_impossible_share_is_refused(fraction):
    with pytest.raises(DatasetError, match="share of images"):
        split(Dataset("set", "any", singles(3)), fraction)


def test_of_a_single_image_the_last_rows_are_held_out(tmp_path):
    dataset = find_dataset(make_set(tmp_path, [CELLS]))
    held = split(dataset, 0.2)
    (train,), (validation,) = held.train, held.validation
    np.testing.assert_array_equal(load(train)[0], IMAGE[None, :6])
    np.testing.assert_array_equal(load(train)[1], CELLS[:6])
    np.testing.assert_array_equal(load(validation)[0], IMAGE[None, 6:])
    assert "last 2 of 8 rows" in held.notes[0]


# Real sets


@needs_data
def test_real_isbi_2012():
    dataset = find_dataset(Path(DATA) / "isbi2012")
    held = split(dataset, 1 / 6)
    assert [pair.section for pair in held.train] == list(range(20))
    assert [pair.section for pair in held.validation] == [20, 21, 22, 23]
    image, labels = dataset.load(held.validation[0])
    truth = tifffile.imread(Path(DATA) / "isbi2012" / "train-labels.tif")[20]
    np.testing.assert_array_equal(image[0], tifffile.imread(Path(DATA) / "isbi2012" / "train-volume.tif")[20])
    np.testing.assert_array_equal(labels, truth == 255)


@needs_data
def test_real_tracking_challenge():
    dataset = find_dataset(Path(DATA) / "DIC-C2DH-HeLa")
    assert [pair.name for pair in dataset.pairs] == [f"01/t{n:03}.tif" for n in (2, 5, 21, 31, 33, 34, 39, 54, 67)]
    unknown = [(dataset.load(pair)[1] == IGNORE).mean() for pair in dataset.pairs]
    assert 0.5 < unknown[-1] < 0.8  # three of 17 cells are annotated there
    silver = find_dataset(Path(DATA) / "DIC-C2DH-HeLa", silver=True)
    assert len(silver.pairs) == 84
    assert {pair.margin for pair in (*dataset.pairs, *silver.pairs)} == {50}  # as the challenge says
    for pair in dataset.pairs[:-1]:
        labels, truth = dataset.load(pair)[1], tifffile.imread(pair.labels[0])
        np.testing.assert_array_equal(np.maximum(labels, 0), truth)
        assert labels[50:-50, 50:-50].min() == 0


@needs_data
def test_real_nuclei():
    dataset = find_dataset(Path(DATA) / "dsb2018")
    assert len(dataset.pairs) == 120
    assert {pair.kind for pair in dataset.pairs} == {"objects"}
    assert {pair.channels for pair in dataset.pairs} == {3}
    held = split(dataset, 0.2)
    # Every size of which there are several is held out too.
    assert {pair.shape for pair in held.validation} >= {(3, 256, 256), (3, 256, 320), (3, 360, 360), (3, 520, 696)}
    for pair in held.validation[:5]:
        image, labels = dataset.load(pair)
        assert image.shape == (3, *labels.shape) == pair.shape
