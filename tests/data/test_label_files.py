"""Labels of two truths together."""

import numpy as np

from biounet.data.label_files import fill_missing


def test_a_cell_that_the_truth_covers_in_part_is_not_missing():
    truth, other = np.array([[0, 1, 1, 0, 0, 0]]), np.array([[2, 2, 2, 0, 3, 3]])
    assert fill_missing(truth, other).tolist() == [[0, 1, 1, 0, 4, 4]]
