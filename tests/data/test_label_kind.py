"""Numbers of objects or of classes, told by the pieces that they are in; statistics strip by strip."""

import io
from pathlib import Path

import cc3d
import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from biounet.core.errors import LabelError
from biounet.data.label_kind import LabelStatistics, check_doubts, choose_kind


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


def of(*images: np.ndarray) -> list[LabelStatistics]:
    return [LabelStatistics.of(Path(f"{number}.png"), [image.astype(np.int32)]) for number, image in enumerate(images)]


def discs(count: int = 6) -> np.ndarray:
    """Discs of 12 px that stand apart, each with its number."""
    y, x = np.mgrid[:64, :96]
    labels = np.zeros((64, 96), np.int32)
    for number in range(count):
        labels[(y - 12 - 20 * (number % 3)) ** 2 + (x - 12 - 18 * (number // 3)) ** 2 < 36] = number + 1
    return labels


def resized(mask: np.ndarray, how: PIL.Image.Resampling) -> np.ndarray:
    return np.asarray(PIL.Image.fromarray(mask).resize((48, 32), how))


def compressed(mask: np.ndarray) -> np.ndarray:
    stream = io.BytesIO()
    PIL.Image.fromarray(mask).save(stream, format="JPEG", quality=98)
    return np.asarray(PIL.Image.open(stream))


MASK = ((discs() > 0) * 255).astype(np.uint8)


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(resized(MASK, PIL.Image.Resampling.BOX), id="box"),
        pytest.param(np.kron(resized(MASK, PIL.Image.Resampling.BOX), np.ones((2, 2), np.uint8)), id="box and larger"),
        pytest.param(np.where(MASK > 0, np.arange(96) % 4 + 252, np.arange(96) % 4), id="ringing"),
    ],
)
def test_a_mask_that_was_resized_or_compressed_is_doubted(image):
    assert len(np.unique(image)) > 3
    with pytest.raises(LabelError, match=r"0\.png: grey values 0, .* look like a mask that was resized"):
        check_doubts(of(image), "classes")


def test_pictures_of_classes_are_not_doubted():
    numbers = discs()
    for greys in ([0, 85, 170, 255], [0, 50, 51, 52], [0, 60, 120, 180, 240]):
        check_doubts(of(np.array(greys)[numbers % len(greys)]), "classes")


def test_255_beside_few_classes_is_asked_about():
    labels = discs(3)
    labels[:4] = 255
    with pytest.raises(LabelError, match="255 stands beside 0, 1, 2, 3: say --ignore-value 255"):
        check_doubts(of(labels), "classes")
    check_doubts(of(np.minimum(labels, 1)), "classes")
    check_doubts(of(MASK), "classes")


@pytest.mark.parametrize("count", [10, 11])
def test_from_twelve_classes_on_numbers_are_doubted(count):
    classes = np.tile(discs(count), (1, 2))
    if count < 11:
        check_doubts(of(classes), "classes")
        return
    with pytest.raises(LabelError, match="12 numbers in all labels may be objects or classes: say --objects"):
        check_doubts(of(classes), "classes")
    check_doubts(of(classes), "objects")
