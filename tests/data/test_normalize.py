"""Normalisation: by hand, and never by the tile."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from biounet.config import TrainConfig
from biounet.core.errors import ConfigError, ImageError, ShapeError
from biounet.data.normalize import NORMALIZATIONS, Normalization, statistics, subsample

AS_JSON = TypeAdapter(Normalization)
LAWS = settings(max_examples=50, deadline=None)
KINDS = pytest.mark.parametrize("kind", ["z-score", "percentile"])


def drawn(*shape, dtype=np.float32):
    return (np.random.default_rng(0).random(shape) * 200).astype(dtype)


def test_z_score_has_mean_zero_and_standard_deviation_one_in_each_channel():
    image = drawn(3, 40, 50, dtype=np.uint8)
    normal = Normalization("z-score").measured(image).apply(image)
    assert normal.dtype == np.float32
    assert normal.mean(axis=(1, 2)) == pytest.approx([0, 0, 0], abs=1e-5)
    assert normal.std(axis=(1, 2)) == pytest.approx([1, 1, 1], abs=1e-5)


def test_percentiles_go_to_zero_and_one():
    image = np.arange(101, dtype=np.uint16)[None] * 10
    normal = Normalization("percentile", low=10, high=90).measured(image).apply(image)
    assert normal[0, [0, 10, 50, 90, 100]] == pytest.approx([-1 / 8, 0, 1 / 2, 1, 9 / 8])


def test_percentiles_go_to_zero_and_the_span_and_nothing_goes_beyond_the_bounds():
    image = np.arange(101, dtype=np.uint16)[None] * 10
    way = Normalization("percentile", low=10, high=90, span=4.0, bounds=(-0.25, 4.125))
    normal = way.measured(image).apply(image)
    assert normal[0, [0, 5, 10, 50, 90, 91, 100]] == pytest.approx([-1 / 4, -1 / 4, 0, 2, 4, 4.05, 4.125])
    assert normal.dtype == np.float32


def test_a_run_may_normalise_in_all_ways_and_a_unit_is_about_a_standard_deviation_in_each():
    assert set(NORMALIZATIONS) == set(get_args(TrainConfig.model_fields["normalization"].annotation))
    image = np.random.default_rng(0).normal(500, 30, (1, 200, 200))
    for way in NORMALIZATIONS.values():
        assert way.measured(image).apply(image).std() == pytest.approx(1, abs=0.05)


def test_hot_pixels_leave_the_others_as_they_are_by_percentiles_of_a_run():
    image = np.random.default_rng(0).normal(500, 30, (1, 200, 200)).round().astype(np.uint16)
    hot = image.copy()
    hot[0, ::50, ::50] = 65535  # 16 of 40,000
    way, rest = NORMALIZATIONS["percentile"], hot < 65535
    normal = way.measured(hot).apply(hot)
    assert normal[rest] == pytest.approx(way.measured(image).apply(image)[rest], abs=0.1)
    assert np.unique(normal[~rest]).tolist() == [10.0]
    assert Normalization().measured(hot).apply(hot)[rest].std() < 0.05


@KINDS
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32, np.float64])
def test_a_tile_is_normalised_as_in_the_whole_image(kind, dtype):
    image = drawn(2, 30, 40, dtype=dtype)
    measured = Normalization(kind).measured(image)
    assert np.array_equal(measured.apply(image[:, 5:9, 7:20]), measured.apply(image)[:, 5:9, 7:20])


@KINDS
@LAWS
@given(gain=st.floats(0.01, 100), offset=st.floats(-1000, 1000))
def test_gain_and_offset_of_the_camera_make_no_difference(kind, gain, offset):
    image, recipe = drawn(1, 20, 20, dtype=np.float64), Normalization(kind)
    other = gain * image + offset
    assert recipe.measured(other).apply(other) == pytest.approx(recipe.measured(image).apply(image), abs=1e-4)


@KINDS
@pytest.mark.parametrize("value", [0, 0.1, 1e30, 65535])
def test_a_constant_image_becomes_zero(kind, value):
    image = np.full((1, 5, 5), value)
    assert not Normalization(kind).measured(image).apply(image).any()


@pytest.mark.parametrize(("rest", "few"), [(0, 200), (200, 0)])
def test_where_percentiles_coincide_all_of_the_grey_scale_counts(rest, few):
    image = np.full((1, 100, 100), rest, np.uint8)
    image[0, 0, :5] = few
    assert statistics(image, kind="percentile") == ((0.0,), (200.0,))


@KINDS
def test_large_numbers_keep_their_differences(kind):
    image = np.array([[2**31, 2**31 + 1, 2**31 + 2]], dtype=np.int64)
    normal = Normalization(kind, low=0, high=100).measured(image).apply(image)
    assert np.diff(normal[0]) == pytest.approx(np.full(2, 1 / statistics(image, kind=kind, low=0, high=100)[1][0]))


def test_statistics_of_a_training_set_hold_for_every_image():
    images = [np.zeros((1, 2, 2), np.uint8), np.full((1, 4), 10, np.uint8)]
    fitted = Normalization("z-score").fitted(images)
    assert (fitted.offset, fitted.scale) == ((5.0,), (5.0,))
    assert fitted.measured(drawn(1, 9, 9)) == fitted
    assert fitted.apply(images[1]).tolist() == [[1, 1, 1, 1]]


def test_large_images_are_sampled_on_a_regular_grid():
    image = np.arange(100).reshape(1, 10, 10)
    assert subsample(image, most=9).tolist() == [[0, 4, 8, 40, 44, 48, 80, 84, 88]]
    assert np.array_equal(subsample(image, most=100), image.reshape(1, 100))


@KINDS
def test_written_as_json_and_read_back_it_is_the_same(kind):
    for normalization in (
        Normalization(kind, low=2.0),
        Normalization(kind).measured(drawn(2, 5, 5)),
        NORMALIZATIONS[kind].measured(drawn(2, 5, 5)),
    ):
        written = AS_JSON.dump_json(normalization)
        assert AS_JSON.validate_json(written) == normalization


@KINDS
def test_what_models_of_before_say_is_understood(kind):
    written = {"kind": kind, "low": 1.0, "high": 99.8, "offset": None, "scale": None}
    assert AS_JSON.validate_python(written) == Normalization(kind)


@KINDS
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_no_numbers_are_refused(kind, value):
    image = drawn(2, 5, 5)
    image[1, 2, 2] = value
    with pytest.raises(ImageError, match="NaN or infinity"):
        Normalization(kind).measured(image)


def test_an_image_without_pixels_is_refused():
    with pytest.raises(ImageError, match="none"):
        statistics(np.zeros((1, 0, 5)))


@pytest.mark.parametrize(
    "wrong",
    [
        *({"kind": "minmax"}, {"low": 99.0, "high": 1.0}, {"high": 101.0}, {"offset": (1.0,)}, {"scale": (1.0,)}),
        *({"span": 0.0}, {"bounds": (1.0, 1.0)}),
    ],
)
def test_settings_without_meaning_are_refused(wrong):
    with pytest.raises(ConfigError, match=r"normalisation|percentiles|together|span|bounds"):
        Normalization(**wrong)


def test_use_before_measurement_and_other_channels_are_refused():
    with pytest.raises(ValueError, match="measured"):
        Normalization().apply(drawn(1, 5, 5))
    with pytest.raises(ShapeError, match="1 channels, got an array of 3"):
        Normalization().measured(drawn(1, 5, 5)).apply(drawn(3, 5, 5))
