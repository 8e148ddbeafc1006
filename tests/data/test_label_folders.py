"""Folders for StarDist and nnU-Net: found again as what they are."""

import json

import numpy as np
import pytest

from biounet.core.errors import OutputError, ShapeError
from biounet.data import find_dataset
from biounet.data.label_folders import Labelled, write_nnunet, write_stardist
from biounet.io import Image, read

RNG = np.random.default_rng(0)
CELLS = np.kron(np.arange(1, 17).reshape(4, 4), np.pad(np.ones((6, 6), int), 1))


def pair(name, labels=CELLS, axes="YX", spacing=None):
    image = Image(RNG.integers(0, 255, labels.shape).astype(np.uint8), axes, spacing)
    return Labelled(name, image, Image(labels, axes, spacing))


def test_a_folder_for_stardist_is_found_again(tmp_path):
    pairs = [pair("a"), pair("b")]
    write_stardist(tmp_path / "set", pairs)
    found = find_dataset(tmp_path / "set")
    assert [each.image.name for each in found.pairs] == ["a.tif", "b.tif"]
    for before, after in zip(pairs, found.pairs, strict=True):
        np.testing.assert_array_equal(read(after.labels[0], labels=True).array, before.labels.array)
        np.testing.assert_array_equal(read(after.image).array, before.image.array)


def test_a_folder_for_nnunet_has_classes_channels_and_unknown_pixels(tmp_path):
    labels = np.where(CELLS == 3, -1, CELLS % 3)
    colours = Image(RNG.integers(0, 255, (2, *labels.shape)).astype(np.uint8), "CYX")
    write_nnunet(tmp_path, [Labelled("a", colours, Image(labels, "YX"))], classes=("background", "cell", "dead"))
    told = json.loads((tmp_path / "dataset.json").read_text())
    assert told["labels"] == {"background": 0, "cell": 1, "dead": 2, "ignore": 3}
    assert (told["channel_names"], told["numTraining"]) == ({"0": "channel 0", "1": "channel 1"}, 1)
    assert sorted(path.name for path in (tmp_path / "imagesTr").iterdir()) == ["a_0000.tif", "a_0001.tif"]
    found = find_dataset(tmp_path)
    assert found.pairs[0].ignore == 3
    np.testing.assert_array_equal(read(tmp_path / "labelsTr" / "a.tif").array, np.where(labels < 0, 3, labels))


def test_stacks_for_nnunet_have_their_spacing_beside_them(tmp_path):
    write_nnunet(tmp_path, [pair("a", np.stack([CELLS % 2] * 3), "ZYX", (2.0, 0.5, 0.5))], classes=("out", "in"))
    assert json.loads((tmp_path / "imagesTr" / "a.json").read_text()) == {"spacing": [2.0, 0.5, 0.5]}


def test_what_a_layout_cannot_hold_is_refused(tmp_path):
    with pytest.raises(OutputError, match="70000 objects, 65535 fit 16 bits"):
        write_stardist(tmp_path, [pair("a", np.arange(70_001).reshape(1, -1))])
    with pytest.raises(OutputError, match="unknown pixels"):
        write_stardist(tmp_path, [pair("a", np.array([[-1, 1]]))])
    with pytest.raises(OutputError, match="--classes"):
        write_nnunet(tmp_path, [pair("a")])
    with pytest.raises(OutputError, match="a label is 16, --classes has 2 names"):
        write_nnunet(tmp_path, [pair("a")], classes=("out", "in"))
    assert list(tmp_path.iterdir()) == []


def test_labels_have_the_size_of_their_image():
    with pytest.raises(ShapeError, match="the image has 2 x 2 px, its labels 32 x 32"):
        Labelled("a", Image(np.zeros((2, 2)), "YX"), Image(CELLS, "YX"))
