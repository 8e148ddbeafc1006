"""What is kept of an image is the same however it is read, and changes with any pixel."""

import numpy as np
import pytest

from biounet.survey import Survey


def arrays(shape=(2, 9, 5)):
    """An image with labels and a target in which the highest class stands in the last row."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 50, shape[1:])
    target = rng.integers(-1, 2, shape[1:])
    target[..., -1, 0] = 4
    return rng.normal(size=shape).astype(np.float32), labels, target


@pytest.mark.parametrize("shape", [(2, 9, 5), (1, 3, 9, 5)])
@pytest.mark.parametrize("cuts", [[4], [1, 2, 8], list(range(1, 9))])
def test_bands_tell_what_the_whole_tells(shape, cuts):
    whole = arrays(shape)
    bands = zip(*(np.split(array, cuts, axis=-2) for array in whole), strict=True)
    found, wanted = Survey.joined("a", bands), Survey.of("a", *whole)
    assert (found.name, found.shape, found.digest) == (wanted.name, shape, wanted.digest)
    assert found.image_digest == wanted.image_digest
    assert found.counts.tolist() == wanted.counts.tolist()
    assert found.counts.tolist() == [(whole[2] == number).sum() for number in range(-1, 5)]


@pytest.mark.parametrize("which", [0, 1, 2])
def test_any_pixel_changes_the_digest(which):
    before = arrays()
    after = [array.copy() for array in before]
    after[which][..., 3, 2] += 1
    assert Survey.of("a", *before).digest != Survey.of("a", *after).digest
    assert (Survey.of("a", *before).image_digest == Survey.of("a", *after).image_digest) == (which > 0)


def test_so_does_the_shape():
    image, labels, target = arrays((1, 6, 4))
    turned = [array.reshape(*array.shape[:-2], 4, 6) for array in (image, labels, target)]
    assert Survey.of("a", image, labels, target).digest != Survey.of("a", *turned).digest
