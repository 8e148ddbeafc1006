"""Numbers of objects or of classes, told by the pieces that they are in; statistics strip by strip."""

from pathlib import Path

import cc3d
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from biounet.data.label_kind import LabelStatistics, choose_kind


@pytest.mark.parametrize(
    ("images", "kind"),
    [
        ([((0, 1), 40)], "classes"),
        ([((0, 1), 1)], "classes"),
        ([((0, 1, 2, 3), 3)], "objects"),
        ([((0, 1, 2, 3), 60)], "classes"),
        ([((0, 1, 2), 2), ((0, 1, 2), 2)], "classes"),
        ([((0, 1, 2), 2), ((0, 1, 2, 3, 4), 4)], "objects"),
        ([((0, *range(1, 200)), 230)], "objects"),
        ([(range(26), 25)] * 3, "classes"),
        ([((1,), 1), ((2,), 1), ((3,), 1)], "classes"),
        ([((0, 1), 1)] * 3, "classes"),
        ([((0, 255), 1)] * 3, "classes"),
    ],
)
def test_classes_and_objects_are_told_by_their_pieces(images, kind):
    assert choose_kind([LabelStatistics(Path("a.tif"), tuple(values), pieces) for values, pieces in images]) == kind


def test_as_many_cells_in_each_image_are_told_from_organs_by_their_order():
    cells = np.pad(np.kron(np.arange(1, 26).reshape(5, 5), np.ones((3, 3), int)), 1)  # touching, numbered row by row
    slipped = cells.copy()
    slipped[2, 2] = 20  # a pixel of another cell
    organs = np.rot90(cells)
    for images, kind in (((cells, cells), "objects"), ((cells, organs), "classes"), ((slipped, slipped), "classes")):
        assert choose_kind([LabelStatistics.of(Path("a.tif"), [labels.astype(np.int32)]) for labels in images]) == kind
    assert choose_kind([LabelStatistics.of(Path("a.tif"), [slipped.astype(np.int32)])]) == "objects"


@given(
    st.sampled_from([(9, 6), (2, 9, 5)]).flatmap(lambda shape: arrays(np.int32, shape, elements=st.integers(-1, 3))),
    st.sets(st.integers(1, 8)),
)
def test_labels_are_counted_alike_in_strips_and_as_a_whole(labels, cuts):
    whole = LabelStatistics.of(Path("a.tif"), [labels])
    assert LabelStatistics.of(Path("a.tif"), np.split(labels, sorted(cuts), axis=-2)) == whole
    assert (
        whole.pieces
        == cc3d.connected_components(np.maximum(labels, 0), connectivity=8 * (labels.ndim == 2) or 26).max()
    )
    assert (whole.unknown, whole.pixels) == ((labels < 0).sum(), labels.size)
