"""Run lengths of COCO: as pycocotools writes them, and back."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from biounet.io.run_lengths import compress, expand, paint_runs, runs_of_objects

SAMPLES = Path(os.environ.get("BIOUNET_DATA", "")) / "formats"
needs_samples = pytest.mark.skipif(not (SAMPLES / "coco").exists(), reason="BIOUNET_DATA is not set")


@given(runs=st.lists(st.integers(0, 2**31)))
def test_text_of_run_lengths_comes_back(runs):
    assert expand(compress(runs)) == runs


@given(labels=hnp.arrays(np.int16, hnp.array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.integers(-1, 3)))
def test_run_lengths_of_objects_are_their_pixels(labels):
    painted = np.zeros(labels.shape, np.int32)
    for label, runs in runs_of_objects(labels):
        assert paint_runs(painted, runs, label) == (np.count_nonzero(labels == label), 0)
    np.testing.assert_array_equal(painted, labels)


@needs_samples
def test_results_of_coco_are_as_pycocotools_reads_and_writes_them():
    told = json.loads((SAMPLES / "expected.json").read_text())["entries"]
    entry = next(entry for entry in told if entry["file"].endswith("fakesegm100_results.json"))
    results = json.loads((SAMPLES / entry["file"]).read_text())
    for index, result in enumerate(results):
        size, text = result["segmentation"]["size"], result["segmentation"]["counts"]
        runs = expand(text)
        assert (compress(runs), sum(runs)) == (text, size[0] * size[1])
        if index == 0:
            painted = np.zeros(size, np.int32)
            paint_runs(painted, runs, 1)
            assert hashlib.sha256(painted.astype(np.uint8).tobytes()).hexdigest() == entry["sha256"]


@pytest.mark.parametrize("text", ["é", "o", "~", "oooooooooooo0", "0 0"])
def test_text_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="run lengths"):
        expand(text)


@pytest.mark.parametrize("runs", [[5], [2, -1, 3], [2**62, 2**62], [[4]]])
def test_runs_of_another_size_are_refused(runs):
    with pytest.raises(ValueError, match="add up to 4"):
        paint_runs(np.zeros((2, 2), np.int32), runs, 1)
