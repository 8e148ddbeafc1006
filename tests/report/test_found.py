"""Objects that are found, and their sizes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from biounet.core.labels import IGNORE
from biounet.metrics import detection, match_objects
from biounet.report.found import FOUND, find, sizes_of


def test_numbers_sizes_and_best_iou_by_hand():
    truth = np.array([7, 7, 7, 7, 0, 3, 3, IGNORE])
    result = np.array([2, 2, 2, 0, 0, 0, 0, 5])
    found = find(truth, result)
    assert found.expert == {7: (4, 0.75), 3: (2, 0.0)}
    assert found.network == {2: (3, 0.75)}, "what lies on the unknown counts for nobody"
    assert found.missed(truth).tolist() == [False] * 5 + [True, True, False]
    assert not found.false(result).any()


@given(arrays(np.int64, 12, elements=st.integers(0, 4)), arrays(np.int64, 12, elements=st.integers(0, 4)))
def test_found_is_what_the_score_counts(truth, result):
    found = find(truth, result)
    matched = sum(iou > FOUND for _, iou in found.expert.values())  # above 1/2 no object has two partners
    counted = detection(match_objects(truth, result), threshold=FOUND).true_positives
    assert matched <= counted <= sum(iou >= FOUND for _, iou in found.expert.values())


def test_sizes():
    assert sizes_of(np.array([[0, 4, 4], [IGNORE, 1, 4]])).tolist() == [1, 3]
