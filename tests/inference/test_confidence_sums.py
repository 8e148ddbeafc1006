"""Sums of probabilities: the same however an image is cut, and kept until all frames have theirs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from biounet.core.errors import OutputError
from biounet.inference.confidence_sums import KeptSums
from biounet.measurement import ForegroundSums, measure_objects

SHAPE = (5, 6)


@given(arrays(np.int64, SHAPE, elements=st.sampled_from([-1, 0, 3, 7, 70_000])), st.integers(1, 4), st.randoms())
def test_sums_of_regions_are_those_of_the_image(labels, cut, random):
    foreground = np.array([random.random() for _ in range(labels.size)], np.float32).reshape(SHAPE)
    table = measure_objects(labels, probabilities=foreground)
    whole = ForegroundSums.of(labels, foreground)
    parts = ForegroundSums.joined([ForegroundSums.of(labels[k], foreground[k]) for k in np.s_[:cut, cut:]])
    for sums in (whole, parts):
        assert sums.labels.tolist() == table["label"].tolist()
        np.testing.assert_allclose(sums.sums / table["area_px"], table["confidence"], rtol=1e-12)


def test_sums_are_whole_or_not_there(tmp_path):
    kept = KeptSums(tmp_path / "a.tif")
    assert kept.of(1) is None
    kept.keep(0, ForegroundSums(np.array([2, 2**40]), np.array([0.25, 9.0])))
    kept.keep(1, ForegroundSums(np.array([1, 2]), np.array([3.0, 0.5])))
    assert [part.labels.tolist() for part in kept.of(2)] == [[2, 2**40], [1, 2]]
    (volume,) = kept.of(1, sections=2)
    assert volume.at(np.array([2, 1])).tolist() == [0.75, 3.0]
    assert kept.of(3) is None
    assert KeptSums(tmp_path / "b.tif").of(1) is None
    kept.forget()
    assert list(tmp_path.iterdir()) == []
    kept.forget()


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / ".a.tif.confidence").write_text("")
    with pytest.raises(OutputError, match=r"\.a\.tif\.confidence"):
        KeptSums(tmp_path / "a.tif").keep(0, ForegroundSums(np.array([1]), np.array([1.0])))
