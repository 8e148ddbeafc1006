"""The page of a prediction: counts, outliers, thumbnails."""

import numpy as np

from biounet.io import Image, write
from biounet.report.prediction_report import outliers, write_prediction_report
from html_page import Page


def results(folder, counts, *, shape=(20, 30)):
    pairs = []
    for number, count in enumerate(counts):
        labels = np.zeros(shape, np.uint16)
        labels[..., 0, :count] = np.arange(1, count + 1)
        image, result = folder / f"i{number}.tif", folder / f"r{number}.tif"
        axes = "ZYX" if len(shape) == 3 else "YX"
        write(image, Image(np.arange(labels.size, dtype=np.uint16).reshape(shape), axes))
        write(result, Image(labels, axes))
        pairs.append((image, result))
    return pairs


def written(folder, pairs, **options):
    answer = write_prediction_report(folder / "report.html", pairs, title="Objects in <out>", **options)
    return answer, Page((folder / "report.html").read_text())


def test_counts_come_first_and_outliers_before_other_images(tmp_path):
    answer, page = written(tmp_path, results(tmp_path, [5, 6, 5, 6, 5, 25, 0]))
    assert answer.sentence == "52 objects in 7 images; 5 in the median image"
    assert answer.heading == "2 images to look at"
    assert "r5.tif: 25 objects, where 5 are usual" in page.text
    assert "r6.tif: no object" in page.text
    assert [image["alt"] for image in page.all("img")][:2] == ["Labels of r5.tif", "Labels of r6.tif"]
    assert len(page.all("img")) == 7


def test_images_unlike_those_learnt_from_are_marked_and_come_first(tmp_path):
    pairs = results(tmp_path, [5, 6, 5, 6, 5, 25])
    unlike = {result: "more noise" * (result.name in ("r2.tif", "r5.tif")) for _, result in pairs}
    answer, page = written(tmp_path, pairs, unlike=unlike)
    assert answer.heading == "2 images to look at"
    assert "r2.tif: unlike the images learnt from: more noise" in page.text
    assert "r5.tif: unlike the images learnt from: more noise; 25 objects, where" in page.text
    assert [image["alt"] for image in page.all("img")][:2] == ["Labels of r2.tif", "Labels of r5.tif"]
    one, page = written(tmp_path, pairs[2:3], unlike=unlike)
    assert one.heading == "1 image to look at"


def test_nothing_found_is_said_in_red(tmp_path):
    answer, page = written(tmp_path, results(tmp_path, [0, 0]))
    assert answer.verdict == "nothing"
    assert any("answer nothing" in tag.get("class", "") for tag in page.all("section"))


def test_stacks_are_counted_and_an_image_that_is_gone_is_no_error(tmp_path):
    pairs = results(tmp_path, [3, 2], shape=(4, 20, 30))
    pairs[0][0].unlink()
    answer, page = written(tmp_path, pairs, notes=["<b>one image failed</b>"])
    assert answer.sentence.startswith("5 objects in 2 images")
    assert "<b>one image failed</b>" in page.text
    assert len(page.all("img")) == 2


def test_a_result_that_cannot_be_read_is_named(tmp_path):
    pairs = results(tmp_path, [3, 2])
    pairs[1][1].write_bytes(b"torn")
    _, page = written(tmp_path, pairs)
    assert "Not counted for this page" in page.text
    assert "r1.tif" in page.text


def test_few_images_have_no_outliers():
    assert outliers({"a": {"objects": 1}, "b": {"objects": 100}}) == {}


def test_tables_have_the_images_that_the_page_leaves_out(tmp_path, monkeypatch):
    monkeypatch.setattr("biounet.report.prediction_report.LISTED", 1)
    folder = tmp_path / "my images"
    folder.mkdir()
    pairs = results(folder, [3, 2, 4])
    _, page = written(folder, pairs)
    assert "2 more images are left out of the table; biounet predict --table writes all of them." in page.text
    assert f"biounet measure '{folder}' --out '{folder / 'tables'}'" in page.text
    _, page = written(folder, pairs, measured=True)
    assert "2 more images are left out of the table; counts.csv has all of them." in page.text
    assert "biounet" not in page.text
