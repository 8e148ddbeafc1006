"""Chance is a function of (seed, step, sample)."""

import zlib

import numpy as np
import pytest

from biounet.core.random import generator

WORD = 2**64


def philox(counter, key):
    """Philox4x64-10 as in Salmon et al. 2011, in whole numbers."""
    (a, b, c, d), (k0, k1) = counter, key
    for _ in range(10):
        low, high = divmod(0xD2E7470EE14C6C93 * a, WORD)[::-1], divmod(0xCA5A826395121157 * c, WORD)[::-1]
        a, b, c, d = high[1] ^ b ^ k0, high[0], low[1] ^ d ^ k1, low[0]
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) % WORD, (k1 + 0xBB67AE8584CAA73B) % WORD
    return [a, b, c, d]


@pytest.mark.parametrize(("seed", "step", "sample"), [(0, 0, 0), (1, 2, 3), (WORD - 1, 10**6, 31)])
def test_numbers_are_those_of_the_published_generator(seed, step, sample):
    rng = generator(seed, step, sample, stream="order")
    key = (seed, zlib.crc32(b"order"))
    expected = philox((1, 0, sample, step), key) + philox((2, 0, sample, step), key)
    assert rng.bit_generator.random_raw(8).tolist() == expected  # numpy counts before it draws


def test_equal_arguments_give_equal_numbers_whatever_was_drawn_before():
    generator(3, 1, 4).random(1000)
    assert np.array_equal(generator(3, 1, 5).random(10), generator(3, 1, 5).random(10))


def test_no_number_is_shared_between_seeds_steps_samples_and_streams():
    rngs = [generator(seed, step, sample) for seed in (0, 1) for step in (0, 1) for sample in (0, 1)]
    rngs.append(generator(0, 0, 0, stream="patch"))
    words = np.concatenate([rng.bit_generator.random_raw(1000) for rng in rngs])
    assert len(np.unique(words)) == len(words)


@pytest.mark.parametrize(("name", "arguments"), [("seed", (-1, 0, 0)), ("step", (0, -1, 0)), ("sample", (0, 0, WORD))])
def test_numbers_that_are_no_counts_are_refused(name, arguments):
    with pytest.raises(ValueError, match=name):
        generator(*arguments)
