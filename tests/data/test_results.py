"""Names of results: of files, folders and challenges; no two alike, no image overwritten."""

import pytest

from biounet.core.errors import ImageError, OutputError
from biounet.data.results import check_annotations, name_outputs


def test_names_that_clash_are_said(tmp_path):
    for name in ("a.tif", "a.png"):
        (tmp_path / name).touch()
    with pytest.raises(OutputError, match="would both become"):
        name_outputs([tmp_path / "a.tif", tmp_path / "a.png"], tmp_path / "out")
    with pytest.raises(OutputError, match="is an image to predict"):
        name_outputs([tmp_path / "a.tif"], tmp_path)
    with pytest.raises(OutputError, match="is one file, there are 2 images"):
        name_outputs([tmp_path / "a.tif", tmp_path / "a.png"], tmp_path / "out.tif")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match="holds no images"):
        name_outputs([tmp_path / "empty"], tmp_path / "out")


def test_an_image_is_known_through_links(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.tif").touch()
    (tmp_path / "folder").symlink_to(tmp_path / "real")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.tif").symlink_to(tmp_path / "real" / "a.tif")
    for image, out in ((tmp_path / "folder" / "a.tif", tmp_path / "real"), (tmp_path / "in", tmp_path / "real")):
        with pytest.raises(OutputError, match="is an image to predict"):
            name_outputs([image], out)
    assert name_outputs([tmp_path / "in"], tmp_path / "out") == [
        (tmp_path / "in" / "a.tif", tmp_path / "out" / "a.tif")
    ]


@pytest.mark.parametrize("name", ["labels", "masks"])
def test_annotations_are_not_replaced(tmp_path, name):
    for folder in ("images", name):
        (tmp_path / folder).mkdir()
    (tmp_path / "images" / "a.png").touch()
    pairs = name_outputs([tmp_path / "images"], tmp_path / name)
    check_annotations(pairs)  # nothing is there
    pairs[0][1].touch()
    with pytest.raises(OutputError, match="is an annotation of"):
        check_annotations(pairs)
