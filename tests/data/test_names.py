"""Names of images and labels: which belong together."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from biounet.data.names import LABEL_ENDS, match_names, without_ends


@pytest.mark.parametrize(
    ("images", "labels", "pairs"),
    [
        (["a", "b"], ["a", "b"], {"a": "a", "b": "b"}),
        (["a", "b"], ["a_label", "b_label"], {"a": "a_label", "b": "b_label"}),
        (["a_img", "b_img"], ["a_cp_masks", "b_cp_masks"], {"a_img": "a_cp_masks", "b_img": "b_cp_masks"}),
        (["A 1", "A 2"], ["seg_a 1", "seg_a 2"], {"A 1": "seg_a 1", "A 2": "seg_a 2"}),
        (["x1", "x2"], ["x1-manual", "x2 Mask"], {"x1": "x1-manual", "x2": "x2 Mask"}),
        (["21_training", "22_training"], ["21_manual1", "22_manual1"], None),
        (["raw_07", "raw_12"], ["annotated_07", "annotated_12"], None),
        (["a", "b"], ["a"], {"a": "a"}),
        (["a"], ["a", "a_mask"], {"a": "a"}),
        (["img_01", "img_02"], ["lab_11", "lab_12"], {}),
        (["a", "b"], ["c", "d"], {}),
    ],
)
def test_names_are_paired(images, labels, pairs):
    assert match_names(images, labels) == (dict(zip(images, labels, strict=True)) if pairs is None else pairs)


def test_accents_may_be_composed_or_not():
    name = "Käse ü"
    composed, apart = (unicodedata.normalize(form, name) for form in ("NFC", "NFD"))
    assert composed != apart
    assert match_names([composed], [apart]) == {composed: apart}
    assert match_names([apart, "b"], [f"{composed}_mask", "b_mask"]) == {apart: f"{composed}_mask", "b": "b_mask"}


@given(
    st.sets(st.text("abc1_", min_size=1, max_size=6), max_size=6), st.sampled_from(["", "_mask", "_cp_masks", "-seg"])
)
def test_each_label_belongs_to_one_image(names, end):
    labels = [name + end for name in names]
    pairs = match_names(sorted(names), labels)
    assert len(set(pairs.values())) == len(pairs)
    assert set(pairs) <= names
    assert set(pairs.values()) <= set(labels)


def test_a_word_inside_of_another_stays():
    assert without_ends("unmask", LABEL_ENDS) == "unmask"
    assert without_ends("mask", LABEL_ENDS) == "mask"
