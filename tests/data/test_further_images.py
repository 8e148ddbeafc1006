"""Images of another dataset beside those of the first: all are learnt from, none is held out, half of the patches."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from biounet.config import AugmentConfig, TrainConfig
from biounet.core.errors import DatasetError
from biounet.core.geometry import Geometry
from biounet.data.augment import Sample
from biounet.data.further_images import with_further_images
from biounet.data.patches import PatchSampler
from biounet.data.split import split_dataset
from biounet.io import Image, write
from small_sets import CELLS, IMAGE, make_set


def divided(folder, count=4):
    return split_dataset(make_set(folder, [CELLS] * count), validation=0.25, target="distance")


def test_further_images_come_last_under_the_name_of_their_dataset(tmp_path):
    further = make_set(tmp_path / "old", [CELLS] * 3)
    split = with_further_images(divided(tmp_path / "new"), further)
    assert [pair.name for pair in split.train[3:]] == ["old/cell0.tif", "old/cell1.tif", "old/cell2.tif"]
    assert split.further == 3
    assert [pair.name.startswith("old") for pair in split.held_out] == [False]
    assert "3 images of old are learnt from as well (--also), and none of them is held out" in split.notes


def test_grey_images_fit_those_in_colour(tmp_path):
    split = divided(tmp_path / "new")
    for number in range(2):
        colour = np.stack([IMAGE, IMAGE + 1, IMAGE])
        write(tmp_path / "old" / "images" / f"cell{number}.png", Image(colour, "CYX"))
        write(tmp_path / "old" / "labels" / f"cell{number}.tif", Image(CELLS, "YX"))
    joint = with_further_images(split, tmp_path / "old")
    assert {pair.channels for pair in (*joint.train, *joint.held_out)} == {3}
    assert joint.dataset.load(joint.train[0])[0].shape == (3, *IMAGE.shape)


def test_images_of_other_axes_are_refused(tmp_path):
    for number in range(2):
        write(tmp_path / "old" / "images" / f"{number}.tif", Image(np.stack([IMAGE] * 3), "ZYX"))
        write(tmp_path / "old" / "labels" / f"{number}.tif", Image(np.stack([CELLS] * 3), "ZYX"))
    with pytest.raises(DatasetError, match=r"of old \(--also\) has shape .* bring all images to the same"):
        with_further_images(divided(tmp_path / "new"), tmp_path / "old")


@pytest.mark.parametrize("oversample", [0.0, 1.0])
@pytest.mark.parametrize("share", [0.5, 0.2])
def test_further_images_give_their_share_of_the_patches(share, oversample):
    labels = torch.zeros(16, 16, dtype=torch.int64)
    labels[4:8, 4:8] = 1
    samples = [Sample(torch.full((1, 16, 16), float(number)), labels, None) for number in range(12)]
    augment = AugmentConfig(elastic=0, rotate=0, mirror=False)
    train = TrainConfig(batch=1, also_share=share, oversample=oversample)
    sampler = PatchSampler(samples, Geometry((1, 1), (0, 0), (0, 0), True), (8, 8), augment, train, further=10)
    drawn = np.array([int(sampler.patch(step, 0).image.mean().round()) for step in range(400)])
    assert abs((drawn >= 2).mean() - share) < 0.1
    assert set(drawn) == set(range(12))
    alone = replace(sampler, further=0)
    drawn = np.array([int(alone.patch(step, 0).image.mean().round()) for step in range(400)])
    assert abs((drawn >= 2).mean() - 10 / 12) < 0.1
