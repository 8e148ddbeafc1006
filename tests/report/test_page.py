"""The page of a run: valid, alone in the world, the answer first, and honest about odd input."""

import re

import numpy as np
import pytest

from biounet.core.errors import OutputError, ShapeError
from biounet.core.labels import IGNORE
from biounet.report import Answer, write_report
from biounet.report.page import SHOWN, SHOWN_STACKS
from html_page import Page
from report_pictures import classes_picture, objects_picture, row

GOOD = Answer("9 of 10 objects found", "good", "Good enough for counting", ("Counts are right.",), "1 image is few.")
NOTHING = Answer("0 of 10 objects found", "nothing", "Nothing found", ("Train longer.",))


def written(folder, **changes):
    given = {
        "title": "A run",
        "facts": {"device": "cpu"},
        "log": [row(10, best=1), row(20)],
        "pictures": [classes_picture()],
        "confusion": np.array([[8, 2], [1, 9]]),
        "class_names": ["background", "cell"],
        "config": "[train]\nbatch = 4\n",
        "answer": GOOD,
        "finished": True,
    }
    path = folder / "report.html"
    write_report(path, **(given | changes))
    return Page(path.read_text(encoding="utf-8"))


def badge(page):
    (given,) = [tag["class"] for tag in page.all("span") if tag.get("class", "").startswith("state")]
    return given


def test_page_refers_to_nothing_outside_itself(tmp_path):
    page = written(tmp_path, pictures=[classes_picture("a"), classes_picture("b")])
    for _, attributes in page.tags:
        for key in ("src", "data-src", "href", "xlink:href", "action"):
            assert attributes.get(key, "data:").startswith("data:")
    text = (tmp_path / "report.html").read_text()
    assert not page.all("link")
    assert "url(" not in text
    assert "@import" not in text
    assert len(page.all("script")) == 1


def test_only_the_script_of_the_page_may_run(tmp_path):
    page = written(tmp_path)
    (policy,) = [tag["content"] for tag in page.all("meta") if tag.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/]{43}='$", policy)


def test_the_answer_comes_first_then_pictures_next_steps_curves_and_details(tmp_path):
    steps = [("Use the model.", "biounet predict run IMAGES --out results")]
    text = written(tmp_path, steps=steps).words
    order = ["9 of 10 objects found", "Good enough for counting", "1 image is few.", "never trained on", "Next steps"]
    order += ["biounet predict run IMAGES", "Training loss", "Scores per image", "Learning rate", "batch = 4"]
    places = [text.index(part) for part in order]
    assert places == sorted(places)


def test_badge_is_green_only_where_something_was_found(tmp_path):
    assert badge(written(tmp_path)) == "state finished"
    page = written(tmp_path, answer=NOTHING)
    assert badge(page) == "state failed"
    assert "A run nothing found" in page.words
    assert any("answer nothing" in tag.get("class", "") for tag in page.all("section"))
    assert badge(written(tmp_path, answer=None)) == "state plain"


def test_six_worst_of_many_are_shown_worst_first_and_all_are_in_the_table(tmp_path):
    pictures = [classes_picture(f"image {place}", scores={"score": place / 10}) for place in (3, 0, 7, 5, 1, 6, 2, 4)]
    page = written(tmp_path, pictures=pictures)
    shown = [image["alt"] for image in page.all("img") if image["alt"].startswith("image of")]
    assert shown == [f"image of image {place}" for place in range(SHOWN)]
    assert "The 6 worst of 8 images never trained on" in page.text
    assert all(f"image {place}" in page.text for place in range(8))


def test_fewer_stacks_are_shown(tmp_path):
    pictures = [classes_picture(f"stack {place}", size=(3, 8, 8)) for place in range(SHOWN_STACKS + 1)]
    page = written(tmp_path, pictures=pictures)
    assert len([1 for tag in page.all("figure") if tag.get("class") == "picture"]) == SHOWN_STACKS


def test_whatever_people_write_stays_text(tmp_path):
    bad = "<b>&\"'</script>.tif"
    page = written(
        tmp_path,
        title=bad,
        facts={bad: bad},
        pictures=[classes_picture(bad, scores={bad: 1.0})],
        class_names=["background", bad],
        config=f"name = '''{bad}'''",
        answer=Answer(bad, "usable", bad, (bad,), bad),
        steps=[(bad, bad)],
        warnings=[bad],
    )
    assert not page.all("b.tif")
    assert page.text.count(bad) >= 12
    assert page.all("img")[0]["alt"] == f"image of {bad}"
    assert len(page.all("script")) == 1


def test_page_of_a_run_that_goes_on_reloads_itself(tmp_path):
    assert any(meta.get("http-equiv") == "refresh" for meta in written(tmp_path, finished=False).all("meta"))
    assert not any(meta.get("http-equiv") == "refresh" for meta in written(tmp_path, finished=True).all("meta"))


def test_page_says_whether_a_run_goes_on_or_why_not(tmp_path):
    again = {"again": "biounet train data --out 'my run' --resume"}
    page = written(tmp_path, finished=False, log=[row(10), row(30)], **again)
    assert badge(page) == "state training"
    assert "The run writes this page anew about every 40 s, last on 20" in page.text  # 2 s a step
    assert "the run was killed: go on with biounet train data --out 'my run' --resume" in page.text
    assert "writes this page anew, last on 20" in written(tmp_path, finished=False, log=[]).text
    page = written(tmp_path, finished=False, stopped="After step 5: <no room>", **again)
    assert badge(page) == "state stopped"
    said = re.search(r"Stopped on 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d \S+ ?After step 5: <no room> ?Go on with", page.words)
    assert said
    assert not any(meta.get("http-equiv") == "refresh" for meta in page.all("meta"))
    assert "Go on" not in written(tmp_path, finished=False, stopped="After step 5: no room").text


def test_page_with_nothing_to_tell_yet(tmp_path):
    nothing = {"log": [], "pictures": [], "confusion": None, "facts": {}, "config": "", "answer": None}
    page = written(tmp_path, **nothing)
    assert "No curves yet" in page.text
    assert not page.all("img")
    assert not page.all("table")


def test_page_tells_warnings_settings_and_versions(tmp_path):
    page = written(tmp_path, warnings=["The loss explodes."])
    assert "The loss explodes." in page.text
    assert "batch = 4" in page.text
    assert all(word in page.text for word in ("biounet", "torch", "python", "cpu", "gpu"))


def test_page_is_replaced_whole(tmp_path):
    written(tmp_path, title="before")
    assert "after" in written(tmp_path, title="after").text
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_page_that_cannot_be_written_is_said_in_a_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="could not be written"):
        written(tmp_path / "file")


def test_as_many_names_as_classes_are_wanted(tmp_path):
    with pytest.raises(ShapeError, match="2 classes, but 3 class names"):
        written(tmp_path, class_names=["a", "b", "c"])


@pytest.mark.parametrize(
    "changes",
    [
        {"truth": np.full((12, 16), IGNORE)},
        {"truth": None},
        {"image": np.full((12, 16), 7.0)},
        {"image": np.full((12, 16), np.nan)},
        {"image": np.zeros((3, 12, 16))},
        {"image": np.zeros((5, 12, 16))},
        {"scores": {}},
        {"size": (1, 1)},
        {"size": (5, 12, 16)},
        {"size": (3, 900)},
    ],
)
def test_odd_pictures_are_drawn(tmp_path, changes):
    page = written(tmp_path, pictures=[classes_picture(**changes)])
    assert page.all("img")


def test_sizes_of_objects_are_compared(tmp_path):
    picture = objects_picture([[1, 1, 1, 1, 0, 2]], [[1, 1, 1, 1, 0, 0]])
    page = written(tmp_path, pictures=[picture])
    assert "Sizes of objects" in page.text
    assert "expert: 2 objects, median 2 px" in page.words
    assert "network: 1 object, median 4 px" in page.words


def test_page_tells_how_much_of_the_images_to_train_on_is_labelled(tmp_path):
    text = written(tmp_path, trained={"a scribble": np.array([75, 20, 5])}).words
    assert "Images to train on background 20.0%cell 5.0%not labelled 75.0%" in text
    assert text.index("a scribble") < text.index("Images to validate on")
    assert "Images to train on" not in written(tmp_path).text
