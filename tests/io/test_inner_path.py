"""Paths of arrays inside a file."""

from pathlib import Path

import pytest

from biounet.core.errors import ImageError
from biounet.io import format_of, is_folder_of_images, is_image, plain_name, root_of
from biounet.io.inner_path import pick_array, split_inner
from biounet.io.selection import Selection


@pytest.mark.parametrize(
    ("path", "file", "inner"),
    [
        ("data/a.h5", "data/a.h5", ""),
        ("data/a.h5:/raw", "data/a.h5", "raw"),
        ("data/a.h5:raw", "data/a.h5", "raw"),
        ("data/A.HDF5:/volumes/raw", "data/A.HDF5", "volumes/raw"),
        ("a.npz:/image", "a.npz", "image"),
        ("a.h5/raw", "a.h5", "raw"),
        ("a.tif:/raw", "a.tif:/raw", ""),
    ],
)
def test_a_path_is_a_file_and_a_name_inside(path, file, inner):
    assert split_inner(Path(path)) == (Path(file), inner)


def test_an_array_inside_is_an_image_with_the_name_of_its_file():
    path = Path("data/a.h5:/volumes/raw")
    assert (format_of(path).name, root_of(path), plain_name(path)) == ("HDF5", Path("data/a.h5"), "a")
    assert is_image(path)
    assert not is_folder_of_images(path)


@pytest.mark.parametrize(
    ("inner", "series", "name"), [("raw", None, "raw"), ("", "raw", "raw"), ("", "/raw", "raw"), ("", 1, "raw")]
)
def test_an_array_is_chosen_by_path_or_series(inner, series, name):
    assert pick_array(["label", "raw"], inner, Selection(series=series), Path("a.h5")) == name


@pytest.mark.parametrize(
    ("names", "inner", "said"),
    [
        (["label", "raw"], "", "it holds 2 arrays; give one of label, raw, as a.h5:/label"),
        (["label", "raw"], "img", "there is no img in it; give one of label, raw"),
        ([], "", "holds no array of two axes"),
    ],
)
def test_what_is_not_clear_is_asked(names, inner, said):
    with pytest.raises(ImageError, match=rf"a\.h5:? {said}"):
        pick_array(names, inner, Selection(), Path("a.h5"))
