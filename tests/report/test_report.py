"""The report page: valid, alone in the world, and honest about odd input."""

import base64
import io
import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from biounet.core.errors import LabelError, OutputError, ShapeError
from biounet.core.labels import IGNORE
from biounet.report import Picture, panels, write_report
from biounet.report.curves import Scale, curves
from biounet.report.label_coverage import LISTED, coverage, coverage_of_pictures
from biounet.report.tables import confusion_table, number, score_table
from biounet.report.views import LARGEST, badness, view

VOID = {"br", "img", "input", "link", "meta"}
SELF_CLOSING = {"circle", "line", "polyline"}  # of SVG, written <line .../>


class Page(HTMLParser):
    """What a browser would make of a page; a tag that is not closed where it should be is an error."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        assert tag in SELF_CLOSING
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def picture(name="a.tif", *, size=(12, 16), classes=2, scores=None, **changes):
    rng = np.random.default_rng(0)
    probabilities = rng.random((classes, *size), np.float32)
    probabilities /= probabilities.sum(0)
    given = {
        "image": rng.integers(0, 255, size),
        "truth": rng.integers(0, classes, size),
        "probabilities": probabilities,
        "scores": {"score": 0.5} if scores is None else scores,
    }
    return Picture(name, **(given | changes))


def row(step, *, loss=0.5, score=0.5, best=0, **others):
    return {
        "step": step,
        "seconds": 2.0 * step,
        "loss": loss,
        "learning_rate": 0.003,
        "score": score,
        "best": best,
    } | others


def written(folder, **changes):
    given = {
        "title": "A run",
        "facts": {"device": "cpu"},
        "log": [row(10, best=1), row(20)],
        "pictures": [picture()],
        "confusion": np.array([[8, 2], [1, 9]]),
        "class_names": ["background", "cell"],
        "config": "[train]\nbatch = 4\n",
        "finished": True,
    }
    path = folder / "report.html"
    write_report(path, **(given | changes))
    return Page(path.read_text(encoding="utf-8"))


def pixels(source):
    head, _, data = source.partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")).astype(int)


def near(pixel, color):
    return np.abs(np.subtract(pixel, color)).max() <= 40


# --- the page


def test_page_refers_to_nothing_outside_itself(tmp_path):
    page = written(tmp_path, pictures=[picture("a"), picture("b")])
    for _, attributes in page.tags:
        for key in ("src", "href", "xlink:href", "action"):
            assert attributes.get(key, "data:").startswith("data:")
    assert not page.all("script")
    assert not page.all("link")
    assert "url(" not in (tmp_path / "report.html").read_text()
    assert "@import" not in (tmp_path / "report.html").read_text()


def test_six_worst_of_many_are_shown_worst_first_and_all_are_in_the_table(tmp_path):
    pictures = [picture(f"image-{place}", scores={"score": place / 10}) for place in (3, 0, 7, 5, 1, 6, 2, 4)]
    page = written(tmp_path, pictures=pictures)
    assert len(page.all("img")) == 6 * 4
    shown = [image["alt"] for image in page.all("img") if image["alt"].startswith("Overlay")]
    assert shown == [f"Overlay of image-{place}" for place in range(6)]
    assert "The 6 worst of 8 images" in page.text
    assert all(page.text.count(f"image-{place}") >= 1 for place in range(8))


def test_errors_are_worst_where_they_are_high_and_missing_scores_come_last():
    ranked = sorted(
        [picture(scores={"rand_error": 0.1}), picture(scores={}), picture(scores={"rand_error": 0.3})],
        key=badness,
        reverse=True,
    )
    assert [item.scores.get("rand_error") for item in ranked] == [0.3, 0.1, None]


def test_whatever_people_write_stays_text(tmp_path):
    bad = "<b>&\"'</script>.tif"
    page = written(
        tmp_path,
        title=bad,
        facts={bad: bad},
        pictures=[picture(bad, scores={bad: 1.0})],
        class_names=["background", bad],
        config=f"name = '''{bad}'''",
        warnings=[bad],
    )
    assert not page.all("b.tif")
    assert page.text.count(bad) >= 8
    assert page.all("img")[0]["alt"] == f"Image of {bad}"


def test_page_of_a_run_that_goes_on_reloads_itself(tmp_path):
    assert any(meta.get("http-equiv") == "refresh" for meta in written(tmp_path, finished=False).all("meta"))
    assert not any(meta.get("http-equiv") for meta in written(tmp_path, finished=True).all("meta"))


def badge(page):
    (given,) = [tag["class"] for tag in page.all("span") if tag.get("class", "").startswith("state")]
    return given


def test_page_says_whether_a_run_goes_on_or_why_not(tmp_path):
    again = {"again": "biounet train data --out 'my run' --resume"}
    assert badge(written(tmp_path)) == "state finished"
    page = written(tmp_path, finished=False, log=[row(10), row(30)], **again)
    assert badge(page) == "state training"
    assert "The run writes this page anew about every 40 s, last on 20" in page.text  # 2 s a step
    assert "the run was killed: go on with biounet train data --out 'my run' --resume" in page.text
    assert "writes this page anew, last on 20" in written(tmp_path, finished=False, log=[]).text
    page = written(tmp_path, finished=False, stopped="After step 5: <no room>", **again)
    assert badge(page) == "state stopped"
    assert re.search(
        r"Stopped on 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d \S+After step 5: <no room>Go on with biounet train", page.text
    )
    assert not any(meta.get("http-equiv") for meta in page.all("meta"))
    assert "Go on" not in written(tmp_path, finished=False, stopped="After step 5: no room").text


def test_page_with_nothing_to_tell_yet(tmp_path):
    page = written(tmp_path, log=[], pictures=[], confusion=None, facts={}, config="")
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
        {"scores": {"score": math.nan, "dice_1": math.inf}},
        {"size": (1, 1)},
        {"size": (5, 12, 16)},
        {"size": (3, LARGEST + 1)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_odd_pictures_are_shown(tmp_path, changes):
    item = picture(**changes)
    page = written(tmp_path, pictures=[item])
    assert len(page.all("img")) == (3 if item.truth is None else 4)
    assert "nan" not in page.text.lower()


def objects_of(truth, labels, **changes):
    """A picture of objects on a black image, of a network with nine classes."""
    truth, labels = np.array(truth), np.array(labels)
    given = {"image": np.zeros(truth.shape), "truth": truth, "labels": labels, "objects": True}
    return picture(size=truth.shape, classes=9, **(given | changes))


def test_of_objects_their_outlines_are_shown_and_no_classes(tmp_path):
    truth, labels = [[1, 1, 0, 2], [1, 1, 0, 2]], [[1, 1, 0, 0], [1, 1, 0, 0]]
    scores = {"ap": 0.5, "objects": 2, "found": 1, "missed": 1, "false": 0, "merges": 0, "splits": 0}
    page = written(tmp_path, pictures=[objects_of(truth, labels, scores=scores)], class_names=["background", "objects"])
    assert [image["alt"] for image in page.all("img")] == ["Image of a.tif", "Objects of expert and network of a.tif"]
    assert "ap 0.5000objects 2found 1missed 1false 0merges 0splits 0" in page.text
    assert "Which pixels are of objects" in page.text
    assert "alone between two: merged" in page.text
    assert "average precision: " in page.text
    assert "probability" not in page.text


def test_few_objects_are_objects_too(tmp_path):
    # Of nine classes, numbers up to 2 might be levels; 7 of two classes cannot be one.
    assert objects_of([[1, 2]], [[1, 1]]).objects
    with pytest.raises(LabelError, match=r"a.tif: the truth has class 7, but there are 2 classes; give objects=True"):
        picture(truth=np.full((12, 16), 7))


@pytest.mark.parametrize(
    "changes", [{"truth": None}, {"truth": np.full((2, 2), IGNORE)}, {"image": np.ones((5, 2, 2))}]
)
def test_odd_pictures_of_objects_are_shown(tmp_path, changes):
    given = {"size": (2, 2), "truth": np.array([[1, 0], [0, 300]]), "labels": np.array([[0, 0], [7, 7]])}
    item = picture(objects=True, **({"image": np.zeros((2, 2))} | given | changes))
    assert len(written(tmp_path, pictures=[item]).all("img")) == 2


def test_three_classes(tmp_path):
    page = written(
        tmp_path,
        pictures=[picture(classes=3, scores={"score": 0.5, "dice_2": 0.25})],
        class_names=["membrane", "cell", "mitochondrion"],
        confusion=np.array([[5, 0, 0], [0, 3, 1], [0, 0, 0]]),
    )
    assert "dice, mitochondrion" in page.text
    assert "75.0%" in page.text
    assert "Probability of foreground" in page.text


# --- panels, pixel by pixel


def test_overlay_tints_what_was_missed_and_what_was_added():
    truth, result = np.zeros((9, 9), int), np.zeros((9, 9), int)
    truth[1:4, 1:4], result[5:8, 5:8] = 1, 1
    item = picture(size=(9, 9), image=np.zeros((9, 9)), truth=truth, labels=result)
    drawn = pixels(panels.draw_overlay(view(item), classes=True))
    assert near(drawn[2, 2], panels.TRUTH)
    assert near(drawn[6, 6], panels.RESULT)
    assert len(set(drawn[0, 0])) == 1, "where both agree the image stays grey"


def test_overlay_of_another_class_and_of_the_unknown():
    truth, result = np.ones((9, 9), int), np.full((9, 9), 2)
    truth[:, 6:] = IGNORE
    item = picture(size=(9, 9), classes=3, image=np.zeros((9, 9)), truth=truth, labels=result)
    drawn = pixels(panels.draw_overlay(view(item), classes=True))
    assert near(drawn[4, 3], panels.CONFUSED)
    assert len(set(drawn[4, 7])) == 1, "what nobody knows is not wrong"
    assert len(set(drawn[4, 6])) == 1, "the edge of the unknown is no outline"
    as_objects = pixels(panels.draw_overlay(view(item), classes=False))
    assert len(set(as_objects[4, 3])) == 1, "numbers of objects mean nothing"


def test_stripes_show_where_no_expert_looked():
    truth = np.zeros((9, 9), int)
    truth[:, 5:] = IGNORE
    shown = view(objects_of(truth, np.zeros((9, 9), int)))
    drawn = pixels(panels.draw_overlay(shown, classes=False, stripes=True))
    np.testing.assert_array_equal(drawn[3, 5], panels.UNKNOWN[1])  # every eighth diagonal: 3 + 5
    assert (drawn[4, 5:8] != panels.UNKNOWN[1]).any(1).all()
    assert not (drawn[:, :5] == panels.UNKNOWN[1]).all(2).any()


def test_objects_found_in_a_truth_of_classes_are_not_wrong():
    item = picture(truth=np.ones((12, 16), int), labels=np.full((12, 16), 7))
    assert not item.objects
    assert not item.classes
    assert picture().classes


def test_outlines_of_truth_and_result_and_of_both():
    truth, result = np.zeros((9, 9), int), np.zeros((9, 9), int)
    truth[:, 3:], result[:, 3:] = 1, 1
    result[4:, 3:] = 2  # one true object found as two
    item = picture(size=(9, 9), image=np.zeros((9, 9)), truth=truth, labels=result)
    drawn = pixels(panels.draw_overlay(view(item), classes=False))
    np.testing.assert_array_equal(drawn[2, 3], panels.BOTH)
    np.testing.assert_array_equal(drawn[4, 6], panels.RESULT)


def test_truth_shows_classes_in_their_colors_and_the_unknown_striped():
    drawn = pixels(panels.draw_truth(np.array([[0, 1, 2, *[IGNORE] * 5]])))
    np.testing.assert_array_equal(drawn[0, :3], panels.CLASS_COLORS[:3])
    assert len(np.unique(drawn[0, 3:], axis=0)) == 2


def test_probabilities_run_from_dark_to_bright():
    drawn = pixels(panels.draw_probability(np.linspace(0, 1, 64, dtype=np.float32)[None]))[0]
    np.testing.assert_array_equal(drawn[0], panels.VIRIDIS[0])
    np.testing.assert_array_equal(drawn[-1], panels.VIRIDIS[-1])
    lightness = drawn @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) > 0).all()


def test_contrast_is_stretched_and_a_hot_pixel_does_not_matter():
    image = np.tile(np.arange(1000, 1064), (64, 1))
    image[0, 0] = 60_000
    drawn = pixels(panels.draw_image(view(picture(size=(64, 64), image=image))))
    assert drawn[5, 0, 0] == 0
    assert drawn[5, 63, 0] == 255


def test_constant_image_is_grey():
    drawn = pixels(panels.draw_image(view(picture(image=np.full((12, 16), 3)))))
    assert (drawn == 128).all()


# --- what is shown of an image


def test_middle_slice_of_a_volume():
    volume = np.arange(5)[:, None, None] * np.ones((5, 12, 16))
    shown = view(picture(size=(5, 12, 16), image=volume, truth=volume.astype(int) % 2, labels=volume.astype(int)))
    assert (shown.image == 2).all()
    assert (shown.truth == 0).all()
    assert (shown.result == 2).all()
    assert shown.notes == ["slice 3 of 5"]


def test_large_image_is_shown_smaller_and_says_so():
    size = (4, 2 * LARGEST + 1)
    image = np.arange(size[1]) * np.ones((4, 1))
    labels = np.arange(size[1]) * np.ones((4, 1), int)
    shown = view(picture(size=size, image=image, truth=labels, labels=labels, objects=True))
    assert shown.notes == ["shown at 1/3 of its size"]
    assert shown.truth.shape == shown.image.shape[1:] == shown.foreground.shape == shown.result.shape == (1, 512)
    np.testing.assert_array_equal(shown.image[0, 0, :3], [1, 4, 7])  # means of 0..2, 3..5, 6..8
    np.testing.assert_array_equal(shown.truth[0, :3], [1, 4, 7])  # the pixels in the middle


@given(st.integers(1, 40), st.integers(LARGEST + 1, 3 * LARGEST))
def test_all_that_is_shown_has_one_size(rows, columns):
    shown = view(picture(size=(rows, columns)))
    assert shown.image.shape[1:] == shown.truth.shape == shown.foreground.shape == shown.result.shape
    assert 1 <= max(shown.truth.shape) <= LARGEST


@pytest.mark.parametrize("what", ["image", "truth", "labels"])
def test_arrays_that_do_not_fit_are_named(what):
    with pytest.raises(ShapeError, match=rf"a.tif: {what} must have the size \(12, 16\)"):
        picture(**{what: np.zeros((12, 15), int)})


# --- curves and tables


@given(st.floats(-1e4, 1e4), st.floats(1e-5, 1e4))
@example(low=0.0078125, span=1e-05)  # small numbers of which the third digit counts
@example(low=0.0, span=3e-5)
def test_ticks_are_few_and_on_the_axis(low, span):
    scale = Scale(low, low + span)
    ticks = scale.ticks()
    assert 2 <= len(ticks) <= 7
    assert all(-0.02 <= scale(float(tick)) <= 1.02 for tick in ticks)


def test_ticks_by_hand():
    assert Scale(0.71, 0.96).ticks() == ["0.75", "0.80", "0.85", "0.90", "0.95"]
    assert Scale(0, 20).ticks() == ["0", "5", "10", "15", "20"]
    assert Scale(0.02, 2, log=True).ticks() == ["0.03", "0.1", "0.3", "1"]


def test_a_point_of_a_curve_by_hand():
    html = curves([row(10, loss=0.0), row(20, loss=1.0)])  # axes: 0 to 40 s, and 0 to 1.06
    points = re.search(r'aria-label="Training loss.*?points="([^"]+)"', html)[1]
    # x: half of 380 - 46 - 16 after 46; y: 1/1.06 of 206 - 14 - 38 above 206 - 38
    assert points == "205.0,168.0 364.0,22.7"


def test_what_is_no_score_is_not_drawn_as_one():
    html = curves([row(1, waiting=0.1, threshold=0.5)] * 2)
    assert [name in html for name in ("Validation score", "waiting", "threshold")] == [True, False, False]


def test_gaps_where_there_is_no_number():
    html = curves([row(step, score=math.nan if step == 3 else step / 10) for step in range(1, 7)])
    lines = [len(line.split()) for line in re.findall(r'points="([^"]+)"', html)]
    assert lines == [6, 2, 3, 6]  # loss, score before and after the gap, learning rate
    assert "nan" not in html


def test_a_log_of_one_report_and_of_no_numbers(tmp_path):
    Page(curves([row(1)]))
    Page(curves([row(1, loss=math.inf, score=math.nan, dice_0=math.nan, dice_1=0.0)] * 2))


def test_scores_of_classes_share_a_plot():
    page = Page(curves([row(1, dice_0=0.4, dice_1=0.6)] * 2, class_names=["membrane", "cell"]))
    assert len(page.all("svg")) == 4  # loss, score, Dice, learning rate
    assert "membrane" in page.text


def test_confusion_counts_and_shares():
    page = Page(confusion_table(np.array([[1500, 500], [0, 0]]), ["membrane", "cell"]))
    assert "75.0%1,50025.0%5002,000" in page.text
    assert "–0–00" in page.text


def test_below_the_table_stand_the_mean_of_scores_and_the_sum_of_counts():
    few, many = ({"ap": ap, "missed": missed} for ap, missed in ((0.25, 1), (0.75, 1200)))
    text = Page(score_table([picture("a", scores=few), picture("b", scores=many)], [])).text
    assert text.startswith("imageapmisseda0.25001b0.75001,200mean, of counts the sum0.50001,201")
    assert Page(score_table([picture("a", scores={"dice": 0.5})], [])).text == "imagedicea0.5000mean0.5000"


def test_coverage_counts_classes_objects_and_the_unknown():
    truth = np.array([[0, 0, 5, 9], [IGNORE, IGNORE, IGNORE, 9]])
    item = picture(size=(2, 4), truth=truth, objects=True)
    text = Page(coverage_of_pictures([item], ["background", "cell"])).text
    assert text == "background 25.0%cell 37.5%not labelled 37.5%2 objects"


def test_coverage_of_few_images_by_hand():
    counts = {"a": np.array([0, 3, 1]), "b": np.array([4, 0, 0])}
    text = Page(coverage(counts, ["background", "cell"])).text
    assert text == ("background 37.5%cell 12.5%not labelled 50.0%imagebackgroundcellnot labelleda75.0%25.0%–b––100.0%")
    assert coverage({}, ["background", "cell"]) == ""


def test_of_many_images_those_with_the_fewest_labels_are_listed():
    known = {f"known {number}": np.array([0, 3, 1]) for number in range(LISTED)}
    assert not Page(coverage({**known, "one more": np.array([0, 1, 1])}, ["background", "cell"])).all("table")
    page = Page(coverage({**known, "b": np.array([1, 3, 0]), "a": np.array([2, 1, 1])}, ["background", "cell"]))
    assert page.text.endswith(
        "those of 26 images with the fewest labelsbackgroundcellnot labelleda25.0%25.0%50.0%b75.0%–25.0%"
    )


def test_page_tells_how_much_of_the_images_to_train_on_is_labelled(tmp_path):
    text = written(tmp_path, trained={"a scribble": np.array([75, 20, 5])}).text
    assert "Images to train onbackground 20.0%cell 5.0%not labelled 75.0%" in text
    assert text.index("a scribble") < text.index("Images to validate on")
    assert "Images to train on" not in written(tmp_path).text


def test_numbers_are_written_for_people():
    assert [number(value) for value in (0.0, 1.0, 0.5, 0.000346, math.nan, -math.inf, 0, 1234)] == [
        *("0.0000", "1.0000", "0.5000", "0.000346", "–", "−∞", "0", "1,234")
    ]
