"""Names of classes beside labels."""

import json

import pytest
from tests.small_sets import CELLS, make_set

from biounet.core.errors import DatasetError
from biounet.data import find_dataset
from biounet.data.class_names import class_names_beside, listed_classes


@pytest.mark.parametrize("place", [".", "labels"])
def test_a_list_beside_labels_says_that_numbers_are_classes(tmp_path, place):
    make_set(tmp_path, [CELLS])
    assert find_dataset(tmp_path).pairs[0].kind == "objects"
    (tmp_path / place / "Classes.txt").write_text("\n nucleus\nfibre \n\n")
    found = find_dataset(tmp_path)
    assert found.pairs[0].kind == "classes"
    assert found.class_names == ("nucleus", "fibre")
    assert not any("taken for" in note for note in found.notes)


def test_names_of_nnunet_are_found_from_its_folder_of_labels(tmp_path):
    (tmp_path / "labelsTr").mkdir()
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "cell": 1}}))
    assert class_names_beside(tmp_path / "labelsTr") == ("background", "cell")


def test_no_list_means_no_names(tmp_path):
    assert listed_classes(tmp_path) == class_names_beside(tmp_path / "no" / "folder") == ()


@pytest.mark.parametrize("content", [b"", b"\n\n", b"a\nb\na\n", b"\xff\xfe", b"x" * 2**17])
def test_a_list_that_cannot_be_read_is_refused(tmp_path, content):
    (tmp_path / "classes.txt").write_bytes(content)
    with pytest.raises(DatasetError, match=r"classes\.txt.*: .*; write a name per line, or move it away"):
        listed_classes(tmp_path)
