"""An image that memory does not hold whole is read in strips, and gives the same sample as the whole image."""

from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import pytest
import torch

from biounet.config import RunConfig
from biounet.core.labels import IGNORE
from biounet.data import Pair, annotated_image, load
from biounet.data.dataset import has_labels
from biounet.data.normalize import Normalization
from biounet.data.out_of_core import StripSizes, bytes_to_prepare, measure_whole, read_strips, strip_rows
from biounet.data.sample_cache import SampleFiles, SamplesOnDevice, prepare_samples
from biounet.data.split import split_dataset
from biounet.data.subset import choose_strips
from biounet.data.synthetic import draw_cells
from biounet.data.training_set import read_split
from biounet.io import Image, write
from biounet.training.auto_settings import Fingerprint
from training_sets import load_training_set

WEIGHED = {"train.border_weight": 5.0, "train.border_sigma": 1.0, "train.class_balance": True}  # weights reach 5 pixels


SMALL = StripSizes(undivided=0, halo=16)
"""Images of any size are divided into strips of 64 rows, those around a strip included."""


def save(folder, image, labels, axes):
    """A dataset of one image, of which all is trained on."""
    write(folder / "images" / "a.tif", Image(image, axes))
    write(folder / "labels" / "a.tif", Image(labels, axes.replace("C", "")))
    return folder


def read(folder, target, memory):
    return load_training_set(folder, Normalization(), validation=0.0, target=target, memory=memory, sizes=SMALL)


def cells(size):
    image, labels = draw_cells(np.random.default_rng(1), size=size, cells=40, diameter=10.0)
    return (255 * (image - image.min()) / np.ptp(image)).astype(np.uint8), labels.astype(np.uint16)


@pytest.mark.parametrize("target", ["classes", "foreground", "border", "distance"])
@pytest.mark.parametrize("axes", ["YX", "CYX", "ZYX"])
def test_strips_become_the_sample_of_the_whole(tmp_path, target, axes):
    image, labels = cells((200, 60))
    labels = np.where(labels % 5 == 4, -1, np.minimum(labels, 2) if target == "classes" else labels).astype(np.int16)
    if axes == "CYX":
        image = np.stack([image, image // 2])
    if axes == "ZYX":
        image, labels = (np.stack([array, array[:, ::-1]]) for array in (image, labels))
    save(tmp_path / "set", image, labels, axes)
    here, there = (read(tmp_path / "set", target, memory) for memory in (inf, 0))
    config = RunConfig.preset("default").updated(WEIGHED)
    (whole,) = prepare_samples(here, config, SamplesOnDevice(torch.device("cpu")))
    assert len(list(there.train[0].strips())) == 6  # of 48, 32, 32, ... rows
    (stored,) = prepare_samples(there, config, SampleFiles(tmp_path / "files", 1))
    for ours, theirs in zip(stored, whole, strict=True):
        assert torch.equal(ours.to(theirs.dtype), theirs)
    for ours, theirs in zip(there.statistics, here.statistics, strict=True):
        assert (ours.hash, ours.image_hash, ours.shape) == (theirs.hash, theirs.image_hash, theirs.shape)
    assert (there.counts == here.counts).all()
    assert (there.largest, there.trained_on) == (here.largest, here.trained_on)


@pytest.mark.parametrize("target", ["classes", "distance"])
def test_settings_follow_from_strips_as_from_the_whole(tmp_path, target):
    image, labels = cells((200, 60))
    labels = np.minimum(labels, 1 if target == "classes" else 99)
    labels[90:180, 40:45] = labels[90, 40] = 99 if target == "distance" else 1  # in strips only by parts
    save(tmp_path, image, labels.astype(np.uint8), "YX")
    here, there = (Fingerprint.of(read(tmp_path, target, memory)) for memory in (inf, 0))
    assert (there.objects, there.diameter, there.touching) == (here.objects, here.diameter, here.touching)
    assert (there.objects > 0) == (target == "distance")
    assert (there.median, there.smallest) == (here.median, here.smallest) == ((200, 60), (200, 60))


def test_a_run_is_measured_on_one_strip_that_has_labels(tmp_path):
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
def test_more_is_read_around_objects_that_would_be_cut(first, last, read, cut):
    """Of 128 rows 112 would be the first strip; an object that reaches across its end leaves 96 of them.

    One of 110 rows is seen whole by the second strip, of rows 96 to 191. Before and behind it is cut.
    """
    labels, asked = np.zeros((400, 1), np.int32), []
    labels[first:last] = 1

    def part(pair):
        asked.append(pair.rows)
        return labels[None, slice(*pair.rows)], labels[slice(*pair.rows)]

    pair = Pair("a", Path("a.tif"), (), "a", shape=(1, 400, 1))
    found = list(read_strips(part, pair, 128, whole_objects=True, sizes=SMALL))
    np.testing.assert_array_equal(np.concatenate([strip.labels[strip.own] for strip in found]), labels)
    rows = [(len(strip.labels), strip.own.stop - strip.own.start) for strip in found]
    assert [total for total, _ in rows] == [last - first for first, last in read]
    assert set(read) <= set(asked)
    assert rows[0] == (128, 96)
    assert [strip.cut.tolist() for strip in found] == cut
    asked.clear()
    assert [strip.cut.size for strip in read_strips(part, pair, 128, whole_objects=False, sizes=SMALL)] == [0, 0, 0, 0]
    assert asked == [(0, 128), (96, 224), (192, 320), (288, 400)]


def test_objects_that_are_too_large_are_unknown_where_they_are_cut(tmp_path):
    """Of 200 rows 64 are read at a time: an object of 100 rows is never seen whole, one of 10 is."""
    labels = np.zeros((200, 40), np.uint8)
    labels[50:150, 5:15], labels[90:100, 20:30], labels[10:20, 20:30] = 1, 2, 3
    save(tmp_path, labels, labels, "YX")
    here, there = (read(tmp_path, "distance", memory) for memory in (inf, 0))
    found = np.concatenate([item.cropped(rows).target for item, rows in there.train[0].strips()])
    whole = here.train[0].target
    assert set(np.unique(found[labels == 1])) == {IGNORE}
    np.testing.assert_array_equal(found[labels != 1], whole[labels != 1])
    foreground = read(tmp_path, "foreground", 0)
    assert all((item.target >= 0).all() for item, _ in foreground.train[0].strips())


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


def test_they_are_taken_once_however_many_parts_of_the_image_are_read(tmp_path, monkeypatch):
    taken = []
    monkeypatch.setattr(annotated_image, "measure_whole", lambda *given: taken.append(1) or measure_whole(*given))
    save(tmp_path, *cells((200, 60)), "YX")
    whole = split_dataset(tmp_path, validation=1 / 4, target="distance")
    held_out, _ = choose_strips(whole.held_out, most=20 * 60, labelled=has_labels, rows=5, undivided=0)
    data = read_split(replace(whole, held_out=held_out), Normalization(), memory=0, sizes=SMALL)
    assert len(data.validation) == 4
    assert len(list(data.train[0].strips())) > 1
    assert len(data.statistics) == len(taken) == 1


def test_rows_by_hand():
    """A row of 8192 pixels takes 88 bytes per pixel; images of up to 2**24 pixels are never divided."""
    pair = Pair("a", Path("a.tif"), (), "a", shape=(1, 2049, 8192))
    needed = 2049 * 8192 * 88
    assert bytes_to_prepare(pair) == needed
    assert strip_rows(pair, memory=needed) is None
    assert strip_rows(pair, memory=needed - 1) == 2048
    assert strip_rows(pair, memory=0) == 256
    assert strip_rows(replace(pair, rows=(0, 2048)), memory=-1) is None


def test_a_part_of_an_image_stays_that_part(tmp_path):
    image, labels = cells((200, 30))
    folder = save(tmp_path, image, labels, "YX")
    pair = Pair("a", folder / "images" / "a.tif", (folder / "labels" / "a.tif",), "a", shape=(1, 200, 30))
    found = list(read_strips(load, replace(pair, rows=(50, 180)), 64, whole_objects=False, sizes=SMALL))
    np.testing.assert_array_equal(np.concatenate([strip.labels[strip.own] for strip in found]), labels[50:180])
    assert (found[0].own.start, found[-1].own.stop) == (0, len(found[-1].labels))
