"""Datasets as they are found: pairs, what is converted, what is refused, real sets."""

import os
from functools import partial
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tifffile

from biounet.core.errors import DatasetError, ImageError, LabelError, ProblemsError, ShapeError
from biounet.core.labels import IGNORE
from biounet.data import dataset as reading
from biounet.data import extent, find_dataset, load, split
from biounet.data.normalize import Normalization
from biounet.io import Image, Selection, open_lazily, write
from biounet.io.tiff import TiffImage
from small_sets import CELLS, IMAGE, make_set, save
from training_sets import load_training_set

DATA = os.environ.get("BIOUNET_DATA")
needs_data = pytest.mark.skipif(DATA is None, reason="BIOUNET_DATA does not name the folder of real images")


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


def test_pages_are_sections_unless_the_axes_say_otherwise_and_that_is_noted(tmp_path):
    stack, cells = np.stack([IMAGE, IMAGE + 1, IMAGE + 2]), np.stack([CELLS] * 3)
    for name, array in (("images", stack), ("labels", cells)):
        (tmp_path / name).mkdir()
        tifffile.imwrite(tmp_path / name / "m.tif", array, photometric="minisblack", metadata=None)
    volume = find_dataset(tmp_path)
    assert volume.pairs[0].shape == (1, 3, 8, 10)
    assert "its 3 pages are taken for sections (Z); if it is a film give --axes TYX (m.tif)" in volume.notes
    movie = find_dataset(tmp_path, selection=Selection("TYX"))
    assert [pair.shape for pair in movie.pairs] == [(1, 8, 10)] * 3
    assert not any("pages" in note for note in movie.notes)
    for number, pair in enumerate(movie.pairs):
        image, labels = movie.load(pair)
        np.testing.assert_array_equal(image, stack[None, number])
        np.testing.assert_array_equal(labels, CELLS)


def test_channels_that_come_last_are_named_and_picked(tmp_path):
    make_set(tmp_path, [CELLS])
    pixels = np.stack([IMAGE, IMAGE + 1], axis=-1)
    tifffile.imwrite(tmp_path / "images" / "cell0.tif", pixels, photometric="minisblack", metadata=None)
    both = find_dataset(tmp_path, selection=Selection("YXC"))
    np.testing.assert_array_equal(load(both.pairs[0])[0], pixels.transpose(2, 0, 1))
    one = find_dataset(tmp_path, selection=Selection("YXC", channel=(1,)))
    np.testing.assert_array_equal(load(one.pairs[0])[0], pixels[None, ..., 1])


@pytest.mark.parametrize("small", [True, False])
def test_labels_are_those_of_the_level_or_drawn_on_its_grid(tmp_path, small):
    pytest.importorskip("zarr", reason="the extra zarr is not installed")
    image = np.random.default_rng(0).integers(0, 255, (300, 300)).astype(np.uint8)
    labels = np.kron(np.arange(9).reshape(3, 3) % 5, np.ones((100, 100), int)).astype(np.uint8)
    write(tmp_path / "images" / "a.zarr", Image(image, "YX", (0.5, 0.5)))
    drawn = labels[::2, ::2] if small else labels
    write(tmp_path / "labels" / ("a.tif" if small else "a.zarr"), Image(drawn, "YX"))
    if not small:
        write(tmp_path / "labels" / "a.zarr" / "labels" / "cells", Image(drawn, "YX"))
    dataset = find_dataset(tmp_path, selection=Selection(level=1))
    pixels, numbers = dataset.load(dataset.pairs[0])
    assert pixels.shape == (1, 150, 150)
    assert dataset.pairs[0].spacing == (1.0, 1.0)
    np.testing.assert_array_equal(numbers, labels[::2, ::2])


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


def test_what_labels_were_taken_for_is_said_unless_it_was_given(tmp_path):
    stripes = (np.add.outer(np.arange(8), np.arange(10)) % 4).astype(np.uint8)
    for labels, kind, other in ((CELLS, "one object (3", "classes"), (stripes, "a class (", "distance")):
        folder = make_set(tmp_path / other, [labels])
        (note,) = find_dataset(folder).notes
        assert note.startswith(f"each label number is taken for {kind}")
        assert f"(train.target={other}) says otherwise" in note
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


def at_most(count, read, path, *, section, rows, check, **options):
    with open_lazily(path, labels=True) as file:
        check(file)
    assert rows[1] - rows[0] <= count
    return read(path, section=section, rows=rows, **options)


def test_what_promises_too_much_is_refused_without_a_list_of_it(tmp_path, monkeypatch):
    folder = make_set(tmp_path, [CELLS])
    monkeypatch.setattr(extent, "MOST_PIXELS", CELLS.size - 1)
    with pytest.raises(ShapeError, match="too many to learn from"):
        find_dataset(folder)


def test_labels_of_another_size_are_not_read(tmp_path, monkeypatch):
    folder = make_set(tmp_path, [CELLS])
    save(folder / "labels" / "cell0.tif", np.zeros((900, 900), np.uint8))
    read = TiffImage.read

    def read_images(file, box):
        assert file.shape != (900, 900), "the labels were read"
        return read(file, box)

    monkeypatch.setattr(TiffImage, "read", read_images)
    with pytest.raises(ShapeError, match="save both in one size"):
        find_dataset(folder)


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
    with pytest.raises(
        LabelError, match=r"a\.tif: grey values 0, 6, 12, .*\.\.\., 234 look like a mask that was resized"
    ):
        find_dataset(tmp_path)


def test_jpeg_labels_are_refused(tmp_path):
    save(tmp_path / "images" / "a.png", IMAGE)
    (tmp_path / "labels").mkdir()
    PIL.Image.fromarray(CELLS.astype(np.uint8)).save(tmp_path / "labels" / "a.jpg")
    with pytest.raises(LabelError, match=r"a\.jpg: JPEG changes label numbers"):
        find_dataset(tmp_path)


def test_all_problems_are_told(tmp_path):
    folder = make_set(tmp_path, [CELLS] * 6)
    (folder / "labels" / "cell0.tif").unlink()
    (folder / "images" / "cell1.tif").unlink()
    save(folder / "labels" / "cell2.tif", CELLS[:, :-1])
    (folder / "images" / "cell3.tif").write_bytes(b"")
    save(folder / "images" / "cell4.tif", np.full(CELLS.shape, np.nan, np.float32))
    with pytest.raises(ProblemsError, match="5 problems") as caught:
        find_dataset(folder)
    said = "\n".join(map(str, caught.value.problems))
    for name in ("images/cell0", "labels/cell1", "labels/cell2", "images/cell3", "cell4"):
        assert f"{name}.tif" in said


def test_bad_pixels_are_told_of_all_images(tmp_path):
    folder = make_set(tmp_path, [CELLS] * 4)
    for number in (1, 3):
        save(folder / "images" / f"cell{number}.tif", np.full(CELLS.shape, np.nan, np.float32))
    with pytest.raises(ProblemsError, match=r"cell1\.tif: 80 of 80 pixels are NaN.*cell3\.tif: 80 of 80"):
        load_training_set(folder, Normalization(), validation=0.3)


def test_a_number_may_mean_unknown(tmp_path):
    labels = np.where(CELLS == 7, 255, CELLS).astype(np.uint8)
    folder = make_set(tmp_path, [labels, labels])
    with pytest.raises(LabelError, match="--ignore-value 255"):
        find_dataset(folder)
    dataset = find_dataset(folder, ignore_value=255)
    np.testing.assert_array_equal(load(dataset.pairs[0])[1], np.where(CELLS == 7, IGNORE, CELLS.astype(int)))
    assert any("are unknown" in note for note in dataset.notes)
    assert find_dataset(folder, kind="classes").pairs[0].values == (0, 1, 2, 255)


def test_labels_without_zero_are_said(tmp_path):
    stripes = (1 + np.add.outer(np.arange(8), np.arange(10)) % 2).astype(np.uint8)
    notes = find_dataset(make_set(tmp_path, [stripes])).notes
    assert any("no label is 0: numbers begin at 1, as ilastik writes them" in note for note in notes)


def test_files_that_are_left_out_are_said(tmp_path):
    folder = make_set(tmp_path, [CELLS])
    (folder / "images" / "notes.txt").touch()
    assert any("1 file is left out: notes.txt" in note for note in find_dataset(folder).notes)


def test_images_of_an_unknown_format_are_the_reason(tmp_path):
    folder = make_set(tmp_path, [CELLS] * 2)
    (folder / "images" / "cell1.tif").rename(folder / "images" / "cell1.vsi")
    with pytest.raises(DatasetError, match=r"cell1\.vsi is of a format that is not read here"):
        find_dataset(folder)
    (folder / "images" / "cell0.tif").rename(folder / "images" / "cell0.vsi")
    with pytest.raises(DatasetError, match=r"its images are \.vsi, a format that is not read here"):
        find_dataset(folder)


@pytest.mark.parametrize("bits", [4, 8])
def test_png_labels_of_few_bits_are_the_same_classes(tmp_path, bits):
    numbers = (np.add.outer(np.arange(8), np.arange(10)) % 5).astype(np.uint8)
    for number in range(2):
        save(tmp_path / "images" / f"{number}.tif", IMAGE)
        path = tmp_path / "labels" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        few = bits if number else 8
        PIL.Image.fromarray(numbers * np.uint8(17 if few == 4 else 1)).save(path, bits=few)
    dataset = find_dataset(tmp_path)
    assert (dataset.pairs[0].kind, dataset.pairs[0].values) == ("classes", ())
    for pair in dataset.pairs:
        np.testing.assert_array_equal(load(pair)[1], numbers)


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
