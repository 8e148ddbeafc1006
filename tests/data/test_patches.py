"""Patches are a function of (seed, step, sample), fit the network, and hold labels."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from biounet.config import AugmentConfig, RunConfig, TrainConfig
from biounet.core.errors import LabelError
from biounet.core.labels import IGNORE
from biounet.data.augment import Sample
from biounet.data.patches import PatchSampler, network_input_size
from biounet.models.receptive_field import unet_geometry

STILL = AugmentConfig(elastic=0, rotate=0, mirror=False)
VALID = unet_geometry(((2, 2),) * 2, padded=False)
SAME = unet_geometry(((2, 2),) * 2, padded=True)
VOLUME = unet_geometry(((2, 2, 2),) * 2, padded=True)


def numbered(*shapes, labels=None):
    """Images whose pixels are their own positions, so that a patch tells where it came from."""
    samples = []
    for shape in shapes:
        image = torch.arange(np.prod(shape), dtype=torch.float32).view(1, *shape)
        samples.append(Sample(image, image[0].long() if labels is None else labels, None))
    return samples


def source(samples, *, geometry=SAME, size=(16, 16), augment=STILL, **train):
    return PatchSampler(samples, geometry, size, augment, TrainConfig(**train))


def test_labels_of_an_unpadded_network_are_the_middle_of_its_image():
    size = VALID.input_size((5, 5))
    batch = source(numbered((64, 64)), geometry=VALID, size=size, batch=2).batch(0)
    margin = VALID.margin[0]
    middle = batch.image[:, 0, margin:-margin, margin:-margin]
    assert batch.labels.shape[1:] == VALID.output_size(size)
    assert torch.equal(middle.long(), batch.labels)


def test_labels_stay_inside_the_image_where_context_is_mirrored():
    """Without movement, every label patch is a piece of the image itself: rows grow by one row."""
    patches = source(numbered((40, 40)), geometry=VALID, size=VALID.input_size((5, 5)), batch=8)
    for step in range(5):
        labels = patches.batch(step).labels
        assert (labels.diff(dim=1) == 40).all()
        assert (labels.diff(dim=2) == 1).all()


def test_every_position_can_be_drawn():
    patches = source(numbered((20, 20)), batch=16)
    firsts = {int(first) for step in range(30) for first in patches.batch(step).labels[:, 0, 0]}
    assert firsts == {row * 20 + column for row in range(5) for column in range(5)}


@given(st.integers(0, 5), st.integers(0, 50), st.integers(2, 4))
def test_processes_together_draw_what_one_draws(seed, step, ranks):
    images = numbered((24, 24), (32, 16))
    patches = source(images, augment=AugmentConfig(noise=0.1), batch=2 * ranks, seed=seed, oversample=0.5)
    alone = patches.batch(step)
    for rank in range(ranks):
        part = patches.batch(step, rank=rank, ranks=ranks)
        assert torch.equal(part.image, alone.image[rank::ranks])
        assert torch.equal(part.labels, alone.labels[rank::ranks])


def test_every_image_comes_once_before_any_comes_again():
    samples = [Sample(torch.full((1, 16, 16), float(number)), torch.zeros(16, 16).long(), None) for number in range(6)]
    patches = source(samples, batch=2)
    seen = [int(value) for step in range(9) for value in patches.batch(step).image[:, 0, 0, 0]]
    assert [sorted(seen[first : first + 6]) for first in (0, 6, 12)] == [list(range(6))] * 3


@pytest.mark.parametrize("count", [3, 49, 107])
def test_turns_of_equal_images_are_whole_numbers(count):
    patches = source(numbered(*[(3, 37)] * count), by_size=0.5)
    assert patches._turns.tolist() == list(range(1, count))


@pytest.mark.parametrize(("power", "share"), [(0, 1 / 2), (0.5, 4 / 5), (1, 16 / 17)])
def test_large_images_are_seen_as_much_more_often_as_asked(power, share):
    """Half of the images have 4 times the side, so 16 times the pixels."""
    small, large = (Sample(torch.full((1, side, side), side), torch.zeros(side, side).long()) for side in (16, 64))
    patches = source([small, large] * 5, batch=10, by_size=power)
    seen = torch.cat([patches.batch(step).image[:, 0, 0, 0] == 64 for step in range(100)])
    assert seen.float().mean() == pytest.approx(share, abs=0.04)  # more than three standard deviations of a fair draw


def test_patches_lie_where_sparse_labels_are():
    labels = torch.full((200, 200), IGNORE)
    labels[150, 30] = 1
    patches = source(numbered((200, 200), labels=labels), batch=8)
    assert all((patch >= 0).any() for step in range(5) for patch in patches.batch(step).labels)


@given(
    known=st.lists(st.lists(st.tuples(st.integers(0, 39), st.integers(0, 29)), max_size=2), min_size=1, max_size=4),
    augment=st.builds(
        AugmentConfig,
        scale=st.floats(1, 2),
        shift=st.sampled_from([0.0, 5.0, 100.0]),
        labels_outside=st.sampled_from(["mirror", "ignore"]),
    ),
    padded=st.booleans(),
    oversample=st.sampled_from([0.0, 0.5]),
    seed=st.integers(0, 2**20),
)
def test_every_patch_has_a_known_pixel_however_it_is_bent(known, augment, padded, oversample, seed):
    assume(any(known))
    samples = []
    for pixels in known:
        labels = torch.full((40, 30), IGNORE)
        for position, pixel in enumerate(pixels):
            labels[pixel] = position
        samples.append(Sample(torch.zeros(1, 40, 30), labels))
    size = (32, 32) if padded else VALID.input_size((13, 13))
    geometry = SAME if padded else VALID
    patches = source(samples, geometry=geometry, size=size, augment=augment, batch=8, oversample=oversample, seed=seed)
    assert (patches.batch(3).labels >= 0).flatten(1).any(dim=1).all()


def test_images_without_labels_take_no_turns():
    labels = [torch.full((16, 16), value) for value in (IGNORE, 1, IGNORE, 2, IGNORE)]
    patches = source([Sample(torch.zeros(1, 16, 16), values) for values in labels], batch=2, by_size=0.5)
    assert all(sorted(patches.batch(step).labels[:, 0, 0].tolist()) == [1, 2] for step in range(20))


def test_a_set_without_any_label_is_refused():
    with pytest.raises(LabelError, match="no image to train on has a labelled pixel"):
        source([Sample(torch.zeros(1, 16, 16), torch.full((16, 16), IGNORE))]).batch(0)


def test_what_is_known_everywhere_is_drawn_as_by_all_versions_before():
    """First pixels of patches, so that runs can be repeated with later versions."""
    samples = [image._replace(labels=image.labels % 7) for image in numbered((40, 50), (90, 30), (30, 64))]
    patches = source(samples, batch=6, by_size=0.5, seed=3, oversample=0.5)
    assert [patches.batch(step).image[:, 0, 0, 0].tolist() for step in range(3)] == [
        [37, 1920, 931, 326, 474, 459],
        [292, 2172, 372, 801, 875, 750],
        [834, 62, 2234, 300, 290, 1140],
    ]


def test_a_class_of_one_pixel_in_one_of_many_images_is_seen_as_often_as_the_others():
    rare, common = torch.zeros(200, 200).long(), torch.zeros(200, 200).long()
    rare[150, 30] = 1
    images = [Sample(torch.zeros(1, 200, 200), labels, None) for labels in (common, common, rare, common)]
    seen = torch.cat([source(images, batch=10, oversample=1.0).batch(step).labels for step in range(10)])
    assert 0.3 < (seen[:, 8, 8] == 1).float().mean() < 0.7


def test_patches_that_are_not_centred_on_a_class_are_those_drawn_without():
    labels = torch.full((64, 64), IGNORE)
    labels[10:12, 20:60] = 0
    labels[50, 50] = 1
    without, some = (source(numbered((64, 64), labels=labels), batch=40, oversample=share) for share in (0, 0.25))
    same = (without.batch(0).image == some.batch(0).image).all(dim=(1, 2, 3))
    centres = some.batch(0).labels[~same][:, 8, 8]
    assert 20 < same.sum() < 38
    assert set(centres.tolist()) == {0, 1}


def test_images_to_draw_are_drawn_from_anywhere():
    image = torch.arange(1600.0).view(1, 40, 40)
    batch = source([Sample(image, image - 1, None)], batch=4, oversample=0.5).batch(0)
    assert torch.equal(batch.image, batch.labels + 1)


def test_images_smaller_than_the_patch_are_mirrored():
    batch = source(numbered((10, 10)), size=(16, 16)).batch(0)
    assert torch.equal(batch.image[0, 0, 3:13, 3:13], torch.arange(100.0).view(10, 10))
    assert torch.equal(batch.image[0, 0, 2], batch.image[0, 0, 4])


@pytest.mark.parametrize(
    ("geometry", "patch", "image", "expected"),
    [
        (unet_geometry(((2, 2),) * 4, padded=False), 572, (512, 512), (572, 572)),
        (unet_geometry(((2, 2),) * 4, padded=False), 571, (512, 512), (556, 556)),
        (unet_geometry(((2, 2),) * 4, padded=False), 50, (512, 512), (188, 188)),
        (unet_geometry(((2, 2),) * 4, padded=True), 256, (512, 100), (256, 112)),
        (unet_geometry(((2, 2),) * 4, padded=True), 5, (512, 100), (16, 16)),
    ],
)
def test_patch_size_is_one_that_the_network_takes(geometry, patch, image, expected):
    config = RunConfig().updated({"train.patch": patch})
    assert network_input_size(config, geometry, image) == expected


def test_depth_of_volumes_is_set_apart():
    geometry = unet_geometry(((1, 2, 2), (2, 2, 2)), padded=True)
    config = RunConfig().updated({"train.patch": 64, "train.patch_z": 8})
    assert network_input_size(config, geometry, (30, 100, 100)) == (8, 64, 64)


def test_batches_go_on_from_any_step():
    patches = source(numbered((24, 24)), augment=AugmentConfig(noise=0.1), batch=3)
    some = patches.batches(5, rank=1, ranks=2)
    for step in (5, 6):
        assert torch.equal(next(some).image, patches.batch(step, rank=1, ranks=2).image)


def test_deformation_is_weaker_along_thick_slices():
    elastic = STILL.model_copy(update={"elastic": 1.0, "elastic_sigma": 3.0})
    z, y, _ = np.indices((80, 80, 80), dtype=np.float32)
    for axis, place in enumerate((z, y)):
        samples = [Sample(torch.from_numpy(place)[None], torch.zeros(80, 80, 80, dtype=torch.int64), None)]
        moved = []
        for anisotropy in ((1.0, 1.0, 1.0), (4.0, 1.0, 1.0)):
            sampler = replace(
                source(samples, geometry=VOLUME, size=(64, 64, 64), augment=elastic), anisotropy=[anisotropy]
            )
            image = sampler.patch(0, 0).image[0]
            straight = torch.arange(64.0).view(*(64 if other == axis else 1 for other in range(3)))
            moved.append((image - straight - (image - straight).mean()).std().item())
        assert moved[1] == pytest.approx(moved[0] / (4, 1)[axis], rel=0.1)
