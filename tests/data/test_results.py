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
