"""An image that memory does not hold whole is made in bands, and becomes what it would have been."""

from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import pytest
import torch

from biounet.config import RunConfig
from biounet.core.labels import IGNORE
from biounet.data import Pair, load, subset
from biounet.data import annotated_image as items
from biounet.data import out_of_core as bands
from biounet.data.normalize import Normalization
from biounet.data.out_of_core import band_rows, bytes_to_make, measure_whole, read_bands
from biounet.data.sample_cache import store_samples, to_samples
from biounet.data.synthetic import draw_cells
from biounet.data.training_set import load_training_set
from biounet.io import Image, write
from biounet.training.auto_settings import Fingerprint

WEIGHED = {"train.border_weight": 5.0, "train.border_sigma": 1.0, "train.class_balance": True}  # weights reach 5 pixels


@pytest.fixture
def small(monkeypatch):
    """Images of any size are divided, into bands of 64 rows with those around them."""
    monkeypatch.setattr(bands, "WHOLE", 0)
    monkeypatch.setattr(bands, "HALO", 16)


def save(folder, image, labels, axes):
    """A dataset of one image, of which all is trained on."""
    write(folder / "images" / "a.tif", Image(image, axes))
    write(folder / "labels" / "a.tif", Image(labels, axes.replace("C", "")))
    return folder


def read(folder, target, memory):
    return load_training_set(folder, Normalization(), validation=0.0, target=target, memory=memory)


def cells(size):
    image, labels = draw_cells(np.random.default_rng(1), size=size, cells=40, diameter=10.0)
    return (255 * (image - image.min()) / np.ptp(image)).astype(np.uint8), labels.astype(np.uint16)


@pytest.mark.parametrize("target", ["classes", "foreground", "border", "distance"])
@pytest.mark.parametrize("axes", ["YX", "CYX", "ZYX"])
def test_bands_become_the_sample_of_the_whole(tmp_path, small, target, axes):
    image, labels = cells((200, 60))
    labels = np.where(labels % 5 == 4, -1, np.minimum(labels, 2) if target == "classes" else labels).astype(np.int16)
    if axes == "CYX":
        image = np.stack([image, image // 2])
    if axes == "ZYX":
        image, labels = (np.stack([array, array[:, ::-1]]) for array in (image, labels))
    save(tmp_path / "set", image, labels, axes)
    here, there = (read(tmp_path / "set", target, memory) for memory in (inf, 0))
    config = RunConfig.preset("default").updated(WEIGHED)
    (whole,) = to_samples(here, config, torch.device("cpu"))
    assert len(list(there.bands(0))) == 6  # of 48, 32, 32, ... rows
    (stored,) = store_samples(there, config, tmp_path / "files")
    for ours, theirs in zip(stored, whole, strict=True):
        assert torch.equal(ours.to(theirs.dtype), theirs)
    for ours, theirs in zip(there.statistics, here.statistics, strict=True):
        assert (ours.digest, ours.image_digest, ours.shape) == (theirs.digest, theirs.image_digest, theirs.shape)
    assert (there.counts == here.counts).all()
    assert (there.largest, there.trained_on) == (here.largest, here.trained_on)


@pytest.mark.parametrize("target", ["classes", "distance"])
def test_settings_follow_from_bands_as_from_the_whole(tmp_path, small, target):
    image, labels = cells((200, 60))
    labels = np.minimum(labels, 1 if target == "classes" else 99)
    labels[90:180, 40:45] = labels[90, 40] = 99 if target == "distance" else 1  # in bands only by parts
    save(tmp_path, image, labels.astype(np.uint8), "YX")
    here, there = (Fingerprint.of(read(tmp_path, target, memory)) for memory in (inf, 0))
    assert (there.objects, there.diameter, there.touching) == (here.objects, here.diameter, here.touching)
    assert (there.objects > 0) == (target == "distance")
    assert (there.median, there.smallest) == (here.median, here.smallest) == ((200, 60), (200, 60))


def test_a_run_is_measured_on_one_band_that_has_labels(tmp_path, small):
    image, _ = cells((200, 30))
    labels = np.full((200, 30), -1, np.int16)
    labels[100:110, :20], labels[103, 3] = 1, 0
    data = read(save(tmp_path, image, labels, "YX"), "classes", 0)
    few, share = data.excerpt()
    (item,) = few.train
    assert item.target.shape == (32, 30)  # rows 80 to 111, after 48 and 32
    assert (item.target >= 0).sum() == 200
    assert share == 112 / 200
    assert few.counts.tolist() == [32 * 30 - 200, 1, 199]


@pytest.mark.parametrize(
    ("first", "last", "read", "cut"),
    [
        (100, 140, [(0, 128), (80, 208), (176, 304), (272, 400)], [[], [], [], []]),
        (90, 200, [(0, 128), (80, 208), (160, 288), (240, 368), (336, 400)], [[1], [], [1], [], []]),
    ],
)
def test_more_is_read_around_objects_that_would_be_cut(small, first, last, read, cut):
    """Of 128 rows 112 would be the first band; an object that reaches across its end leaves 96 of them.

    One of 110 rows is seen whole by the second band, of rows 96 to 191. Before and behind it is cut.
    """
    labels, asked = np.zeros((400, 1), np.int32), []
    labels[first:last] = 1

    def part(pair):
        asked.append(pair.rows)
        return labels[None, slice(*pair.rows)], labels[slice(*pair.rows)]

    pair = Pair("a", Path("a.tif"), (), "a", shape=(1, 400, 1))
    found = list(read_bands(part, pair, 128, whole_objects=True))
    np.testing.assert_array_equal(np.concatenate([band.labels[band.own] for band in found]), labels)
    rows = [(len(band.labels), band.own.stop - band.own.start) for band in found]
    assert [total for total, _ in rows] == [last - first for first, last in read]
    assert set(read) <= set(asked)
    assert rows[0] == (128, 96)
    assert [band.cut.tolist() for band in found] == cut
    asked.clear()
    assert [band.cut.size for band in read_bands(part, pair, 128, whole_objects=False)] == [0, 0, 0, 0]
    assert asked == [(0, 128), (96, 224), (192, 320), (288, 400)]


def test_objects_that_are_too_large_are_unknown_where_they_are_cut(tmp_path, small):
    """Of 200 rows 64 are read at a time: an object of 100 rows is never seen whole, one of 10 is."""
    labels = np.zeros((200, 40), np.uint8)
    labels[50:150, 5:15], labels[90:100, 20:30], labels[10:20, 20:30] = 1, 2, 3
    save(tmp_path, labels, labels, "YX")
    here, there = (read(tmp_path, "distance", memory) for memory in (inf, 0))
    found = np.concatenate([item.cropped(rows).target for item, rows in there.bands(0)])
    whole = here.train[0].target
    assert set(np.unique(found[labels == 1])) == {IGNORE}
    np.testing.assert_array_equal(found[labels != 1], whole[labels != 1])
    foreground = read(tmp_path, "foreground", 0)
    assert all((item.target >= 0).all() for item, _ in foreground.bands(0))


@pytest.mark.parametrize("axes", ["YX", "TYX", "ZYX"])
@pytest.mark.parametrize("kind", ["z-score", "percentile"])
def test_statistics_of_some_rows_are_those_of_the_whole_image(tmp_path, axes, kind):
    stack = np.random.default_rng(0).integers(0, 1000, (3, 500, 70)).astype(np.uint16)
    stack[:, 250:] += 500
    whole = stack[0] if axes == "YX" else stack
    write(tmp_path / "a.tif", Image(whole, axes))
    wanted = Normalization(kind)
    sections = {"YX": [None], "TYX": [0, 2], "ZYX": [None, 1]}[axes]
    for section in sections:
        pair = Pair("a", tmp_path / "a.tif", (), "a", section=section, rows=(0, 250))
        frame = (whole if section is None else whole[section])[None]
        assert measure_whole(pair, wanted) == wanted.measured(frame)


def test_so_are_those_of_rows_that_are_trained_on(tmp_path):
    image, labels = cells((64, 40))
    image[48:] //= 4
    save(tmp_path, image, labels, "YX")
    data = load_training_set(tmp_path, Normalization(), validation=1 / 4, target="classes")
    normalised = Normalization().measured(image[None]).apply(image[None])
    np.testing.assert_array_equal(data.train[0].image, normalised[:, :48])
    np.testing.assert_array_equal(data.validation[0].image, normalised[:, 48:])


def test_they_are_taken_once_however_many_parts_of_the_image_are_read(tmp_path, small, monkeypatch):
    for name, value in {"WHOLE": 0, "PART_ROWS": 5}.items():
        monkeypatch.setattr(subset, name, value)
    taken = []
    monkeypatch.setattr(items, "measure_whole", lambda *given: taken.append(1) or measure_whole(*given))
    save(tmp_path, *cells((200, 60)), "YX")
    how = {"validation": 1 / 4, "target": "distance", "memory": 0, "pixels": 20 * 60}
    data = load_training_set(tmp_path, Normalization(), **how)
    assert len(data.validation) == 4
    assert len(list(data.bands(0))) > 1
    assert len(data.statistics) == len(taken) == 1


def test_rows_by_hand():
    """A row of 8192 pixels takes 88 bytes per pixel; images of up to 2**24 pixels are never divided."""
    pair = Pair("a", Path("a.tif"), (), "a", shape=(1, 2049, 8192))
    needed = 2049 * 8192 * 88
    assert bytes_to_make(pair) == needed
    assert band_rows(pair, memory=needed) is None
    assert band_rows(pair, memory=needed - 1) == 2048
    assert band_rows(pair, memory=0) == 256
    assert band_rows(replace(pair, rows=(0, 2048)), memory=-1) is None


def test_a_part_of_an_image_stays_that_part(tmp_path, small):
    image, labels = cells((200, 30))
    folder = save(tmp_path, image, labels, "YX")
    pair = Pair("a", folder / "images" / "a.tif", (folder / "labels" / "a.tif",), "a", shape=(1, 200, 30))
    found = list(read_bands(load, replace(pair, rows=(50, 180)), 64, whole_objects=False))
    np.testing.assert_array_equal(np.concatenate([band.labels[band.own] for band in found]), labels[50:180])
    assert (found[0].own.start, found[-1].own.stop) == (0, len(found[-1].labels))
