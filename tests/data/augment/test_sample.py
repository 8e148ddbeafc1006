"""Image, labels and weights of a sample are augmented alike."""

import pytest
import torch

from biounet.config import AugmentConfig
from biounet.core.labels import IGNORE
from biounet.core.random import generator
from biounet.data.augment import AUGMENTATIONS, Sample, augment, augmented_patch

FULL = AugmentConfig(
    scale=1.3, shift=8, brightness=0.5, contrast=1.5, gamma=1.5, noise=0.3, blur=1.5, intensity_probability=1.0
)
BENT = AugmentConfig(scale=1.3, shift=8, intensity_probability=0.0)
STILL = AugmentConfig(elastic=0, rotate=0, mirror=False)


def drawn_sample(*size, channels=2):
    labels = torch.randint(IGNORE, 5, size)
    return Sample(torch.rand(channels, *size), labels, torch.rand(size))


def equal(first, second):
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("size", [(40, 50), (6, 20, 24)])
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_augmentation_is_pure_and_keeps_labels_labels(name, size):
    sample = drawn_sample(*size)
    once, again = (AUGMENTATIONS[name](generator(1, 2, 3), sample, FULL) for _ in range(2))
    assert equal(once, again)
    assert [part.shape for part in once] == [part.shape for part in sample]
    assert [part.dtype for part in once] == [part.dtype for part in sample]
    assert set(once.labels.unique().tolist()) <= set(sample.labels.unique().tolist())
    assert once.weights.min() >= 0
    assert not torch.equal(once.image, sample.image)


def test_one_field_bends_image_labels_and_weights():
    # A pixel says where it comes from: the image between pixels, the label the nearest pixel.
    y, x = torch.meshgrid(torch.arange(60), torch.arange(70), indexing="ij")
    sample = Sample(torch.stack([y, x]).float(), 1000 * y + x, y.float())
    bent = augment(generator(0, 0, 0), sample, BENT)
    assert torch.equal(bent.weights, bent.image[0])
    assert (bent.labels // 1000 - bent.image[0]).abs().max() <= 0.501
    assert (bent.labels % 1000 - bent.image[1]).abs().max() <= 0.501


def test_nothing_drawn_nothing_changed():
    sample = drawn_sample(20, 30)
    assert equal(augment(generator(0, 0, 0), sample, STILL), sample)


def test_a_patch_of_the_size_of_the_image_is_the_augmented_image():
    sample = drawn_sample(40, 50)
    patch = augmented_patch(generator(0, 0, 0), sample, FULL, origin=(0, 0), size=(40, 50))
    assert equal(patch, augment(generator(0, 0, 0), sample, FULL))


def test_an_unbent_patch_is_a_cut_also_beyond_the_image():
    sample = drawn_sample(6, 7)
    patch = augmented_patch(generator(0, 0, 0), sample, STILL, origin=(2, 5), size=(3, 4))
    assert torch.equal(patch.image, sample.image[:, 2:5][..., [5, 6, 5, 4]])
    assert torch.equal(patch.labels, sample.labels[2:5][:, [5, 6, 5, 4]])


def test_what_lies_beyond_the_image_is_mirrored_or_unknown_as_the_settings_say():
    sample = Sample(torch.ones(1, 30, 30), torch.ones(30, 30, dtype=torch.int64))
    mirrored = augmented_patch(generator(0, 0, 0), sample, BENT, origin=(-10, 0), size=(30, 30))
    config = BENT.model_copy(update={"labels_outside": "ignore"})
    unknown = augmented_patch(generator(0, 0, 0), sample, config, origin=(-10, 0), size=(30, 30))
    assert mirrored.labels.unique().tolist() == [1]
    assert unknown.labels.unique().tolist() == [IGNORE, 1]
    assert torch.equal(mirrored.image, unknown.image)
    assert unknown.weights is None
