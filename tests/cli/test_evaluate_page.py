"""The page of `biounet evaluate`: where it is written, and what it says."""

import numpy as np
import pytest
from tests.html_page import Page

from biounet.io import Image, Meaning, write

LABELS = np.zeros((16, 16), np.uint16)
LABELS[1:5, 1:5], LABELS[1:5, 8:12], LABELS[9:14, 2:7] = 1, 2, 3
NAMES = ("background", "nucleus", "fibre")


@pytest.fixture
def folders(tmp_path):
    """Two results, of which the second lacks an object."""
    for number, lacking in ((0, 0), (1, 3)):
        image = np.random.default_rng(number).integers(0, 99, LABELS.shape, np.uint8)
        write(tmp_path / "images" / f"im{number}.tif", Image(image, "YX"))
        write(tmp_path / "labels" / f"im{number}.tif", Image(LABELS, "YX"))
        found = np.where(lacking == LABELS, 0, LABELS)
        write(tmp_path / "out" / f"im{number}.tif", Image(found, "YX", None, Meaning(kind="objects")))
    return tmp_path


def test_folders_get_a_page_with_the_worst_image_first(folders, command):
    status, _, said = command("evaluate", folders / "out", folders)
    page = folders / "out" / "evaluation.html"
    assert status == 0
    assert f"5 of 6 objects found on 2 images; 1 missed, 0 false; look at {page}" in said
    text = page.read_text()
    assert "5 of 6 objects found" in Page(text).text
    assert text.index("im1<wbr>.tif") < text.index("im0<wbr>.tif")
    assert "data:image" in text


def test_a_page_that_is_there_stays(folders, command):
    page = folders / "out" / "evaluation.html"
    page.write_text("<!doctype html> mine")
    status, _, said = command("evaluate", folders / "out", folders / "labels")
    assert (status, page.read_text()) == (0, "<!doctype html> mine")
    assert "stays; --overwrite writes it anew" in said
    assert command("evaluate", folders / "out", folders / "labels", "--report")[0] == 2
    assert command("evaluate", folders / "out", folders / "labels", "--report", "--overwrite")[0] == 0
    assert "mine" not in page.read_text()
    page.write_text("my notes")
    status, _, said = command("evaluate", folders / "out", folders / "labels", "--overwrite")
    assert (status, "evaluation.html is not a page" in said, page.read_text()) == (2, True, "my notes")


def test_no_page_where_none_is_wanted(folders, command):
    assert command("evaluate", folders / "out", folders / "labels", "--no-report")[0] == 0
    assert command("evaluate", folders / "out" / "im0.tif", folders / "labels" / "im0.tif")[0] == 0
    assert not list((folders / "out").glob("*.html"))


def test_a_file_gets_a_page_if_it_is_asked_for(folders, command):
    words = (folders / "out" / "im0.tif", folders / "labels" / "im0.tif", "--image", folders / "images" / "im0.tif")
    assert command("evaluate", *words, "--report")[0] == 0
    assert "3 of 3 objects found" in Page((folders / "out" / "im0-evaluation.html").read_text()).text


@pytest.mark.parametrize(
    ("result", "truth", "sentence"),
    [
        (
            Image(LABELS % 3, "YX", None, Meaning(kind="classes", class_names=NAMES)),
            LABELS % 3,
            "Dice of nucleus 1.000",
        ),
        (Image((LABELS > 0).astype(np.float32), "YX"), (LABELS > 0).astype(np.uint8), "Dice of foreground 1.000"),
        (Image(LABELS.astype(np.float32), "YX", None, Meaning(kind="image")), LABELS.astype(np.float32), "100 %"),
        (Image(np.stack([LABELS] * 3), "TYX", None, Meaning(kind="objects")), np.stack([LABELS] * 3), "9 of 9 objects"),
        (Image(np.stack([LABELS] * 3), "ZYX", None, Meaning(kind="objects")), np.stack([LABELS] * 3), "3 of 3 objects"),
    ],
)
def test_every_kind_of_result_has_a_page(tmp_path, command, result, truth, sentence):
    write(tmp_path / "out" / "a.tif", result)
    write(tmp_path / "truth" / "a.tif", Image(truth, result.axes))
    status, _, said = command("evaluate", tmp_path / "out", tmp_path / "truth")
    assert (status, sentence in said) == (0, True), said
    text = (tmp_path / "out" / "evaluation.html").read_text()
    assert text.count('<figure class="picture"') == 1


@pytest.mark.parametrize("metrics", ["seg", "distance", "partition", "overlap"])
def test_a_page_holds_what_was_scored(folders, command, metrics):
    assert command("evaluate", folders / "out", folders / "labels", "--metrics", metrics)[0] == 0
    assert "data:image" in (folders / "out" / "evaluation.html").read_text()


def test_groups_stand_beside_the_whole(folders, command):
    (folders / "groups.csv").write_text("name,group\nim0,easy\nim1,hard\n")
    words = (folders / "out", folders / "labels", "--groups", folders / "groups.csv")
    assert command("evaluate", *words)[0] == 0
    assert "dice, hard" in Page((folders / "out" / "evaluation.html").read_text()).text
