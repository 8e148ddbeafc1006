"""Files and folders to scores: pairing, stacks, challenge layouts, and what is refused."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile

from biounet.core.errors import ConfigError, DatasetError, ImageError, LabelError, ShapeError
from biounet.evaluation import evaluate, metric_groups, read_groups, to_csv, to_json
from biounet.evaluation.pairing import FilePair
from biounet.evaluation.reading import read_case
from biounet.io import Image, Meaning, write
from biounet.metrics import METRICS, isbi2012, seg

DATA = Path(os.environ.get("BIOUNET_DATA", "no-data"))


def save(path: Path, array: np.ndarray, axes: str | None = None, spacing: tuple[float, ...] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, Image(array, axes or "ZYX"[-array.ndim :], spacing))
    return path


@pytest.fixture
def membranes() -> tuple[np.ndarray, np.ndarray]:
    """Five sections of cells with membranes of one pixel, and noisy probabilities."""
    rng = np.random.default_rng(5)
    truth = np.full((5, 24, 30), 255, np.uint8)
    truth[:, 12], truth[:, :, 10], truth[:, :, 20] = 0, 0, 0
    noise = rng.normal(0, 0.3, truth.shape)
    return truth, np.clip(truth / 255 + noise, 0, 1).astype(np.float32)


CELLS = np.array([[1, 1, 0, 2, 2, 0], [1, 1, 0, 2, 2, 0]], np.uint8)
FOUND = np.array([[3, 3, 0, 4, 0, 0], [3, 3, 0, 0, 0, 5]], np.uint8)


def test_a_stack_is_one_and_each_section_an_image(tmp_path, membranes):
    truth, probabilities = membranes
    scores = evaluate(
        save(tmp_path / "p.tif", probabilities), save(tmp_path / "t.tif", truth), metrics=["isbi2012", "overlap"]
    )
    whole = isbi2012(truth, probabilities)
    assert {name: scores.scores[name] for name in whole} == whole
    assert list(scores.images) == [f"p.tif[{number}]" for number in range(5)]
    row = scores.images["p.tif[3]"]
    assert {name: row[name] for name in whole} == isbi2012(truth[3], probabilities[3])
    assert scores.scores["wrong_pixels"] == pytest.approx(
        min(((truth > 0) != (probabilities > threshold)).mean() for threshold in np.arange(11) / 10), abs=1e-3
    )
    assert scores.scores["v_rand_split"] <= 1
    assert len(scores.sweeps["warping_error"].values) == 10


def test_some_sections_of_a_stack(tmp_path, membranes):
    truth, probabilities = membranes
    labels, whole = save(tmp_path / "t.tif", truth), save(tmp_path / "p.tif", probabilities)
    part = save(tmp_path / "part.tif", probabilities[3:])
    wanted = isbi2012(truth[3:], probabilities[3:])
    for result in (whole, part):
        scores = evaluate(result, labels, metrics=["isbi2012"], sections=slice(3, 5))
        assert {name: scores.scores[name] for name in wanted} == wanted
        assert list(scores.images) == [f"{result.name}[3]", f"{result.name}[4]"]
    with pytest.raises(ShapeError, match=r"part.tif has 2 x 24 x 30 pixels, t.tif has 5 x 24 x 30"):
        evaluate(part, labels)
    with pytest.raises(ConfigError, match=r"sections 7:9 select nothing of the 5 in t\.tif"):
        evaluate(part, labels, sections=slice(7, 9))


def test_one_section_of_a_stack_may_come_as_a_plane(tmp_path, membranes):
    truth, probabilities = membranes
    stack, plane = save(tmp_path / "t.tif", truth[:1]), save(tmp_path / "p.tif", probabilities[0])
    assert (
        evaluate(plane, save(tmp_path / "u.tif", truth[0])).scores["v_rand"]
        == isbi2012(truth[0], probabilities[0])["v_rand"]
    )
    assert (
        evaluate(save(tmp_path / "q.tif", probabilities[:1]), stack).scores
        == evaluate(plane, tmp_path / "u.tif").scores
    )


def test_three_sections_saved_as_colours_are_sections(tmp_path, membranes):
    truth, probabilities = membranes
    tifffile.imwrite(tmp_path / "p.tif", probabilities[:3], photometric="rgb", planarconfig="separate")
    labels = save(tmp_path / "t.tif", truth[:3])
    expected = isbi2012(truth[:3], probabilities[:3])["rand_error"]
    assert evaluate(tmp_path / "p.tif", labels).scores["rand_error"] == expected
    tifffile.imwrite(tmp_path / "colours.tif", truth[:3] // 255, photometric="rgb", planarconfig="separate")
    assert evaluate(tmp_path / "p.tif", tmp_path / "colours.tif").scores["rand_error"] == expected
    tifffile.imwrite(tmp_path / "halves.tif", truth[:3] / np.float32(510), photometric="rgb", planarconfig="separate")
    with pytest.raises(LabelError, match=r"halves\.tif: labels must be integers of up to 31 bits"):
        evaluate(tmp_path / "p.tif", tmp_path / "halves.tif")
    with pytest.raises(ImageError, match="3 channels"):
        evaluate(save(tmp_path / "c.tif", probabilities[None, :3].repeat(3, 0), "CZYX"), labels)


def test_8_bit_probabilities_are_noted(tmp_path, membranes):
    truth, probabilities = membranes
    grey = (probabilities * 255).round().astype(np.uint8)
    scores = evaluate(save(tmp_path / "p.tif", grey), save(tmp_path / "t.tif", truth), metrics=["isbi2012", "overlap"])
    assert scores.notes == ("p.tif: 8-bit probabilities up to 255 were divided by 255",)
    exact = isbi2012(truth, grey.astype(np.float32) / np.float32(255))
    assert scores.scores["rand_error"] == exact["rand_error"]
    assert scores.scores["iou"] > 0.5


def test_means_of_average_precision_end_where_their_names_say(tmp_path):
    truth = np.zeros((7, 7), np.uint8)
    truth[1:6, 1:6] = 1
    result = truth.copy()
    result[1, 1:3] = 0  # IoU 23 / 25: enough at 0.9, too little at 0.95
    scores = evaluate(save(tmp_path / "r.tif", result), save(tmp_path / "t.tif", truth), metrics=["objects"]).scores
    assert scores["average_precision_50_90"] == 1
    assert scores["average_precision_50_95"] == pytest.approx(0.9)


def test_folders_pair_by_stem(tmp_path):
    for name, truth, result in (("a", CELLS, CELLS), ("b", CELLS, FOUND)):
        save(tmp_path / "truth" / f"{name}.png", truth)
        save(tmp_path / "result" / f"{name}.tif", result)
    scores = evaluate(tmp_path / "result", tmp_path / "truth", metrics=["overlap", "objects", "partition"])
    assert scores.scores["iou"] == (8 + 5) / (8 + 9)
    assert scores.scores["average_precision"] == 3 / (3 + 2 + 1)
    assert scores.images["a.tif"]["panoptic_quality"] == scores.images["a.tif"]["dice"] == 1
    assert scores.images["b.tif"]["missed"] == 0
    assert scores.images["b.tif"]["average_precision"] == 1 / (1 + 2 + 1)
    assert 0 < scores.scores["adapted_rand_error"] < scores.images["b.tif"]["adapted_rand_error"]


def test_missing_and_extra_files_are_named(tmp_path):
    truth, result = tmp_path / "truth", tmp_path / "result"
    for name in ("a", "b", "c"):
        save(truth / f"{name}.tif", CELLS)
    save(result / "a.tif", CELLS)
    with pytest.raises(DatasetError, match=r"b\.tif has no result, nor have 1 others"):
        evaluate(result, truth)
    for name in ("b", "c", "d"):
        save(result / f"{name}.tif", CELLS)
    with pytest.raises(DatasetError, match=r"d\.tif has no truth"):
        evaluate(result, truth)
    save(result / "d.png", CELLS)
    with pytest.raises(DatasetError, match=r"d\.tif and d\.png have one name"):
        evaluate(result, truth)
    with pytest.raises(DatasetError, match="is a folder"):
        evaluate(result / "a.tif", truth)
    with pytest.raises(DatasetError, match=r"nowhere\.tif: there is no such file"):
        evaluate(result, tmp_path / "nowhere.tif")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="no images"):
        evaluate(tmp_path / "empty", tmp_path / "empty")


def test_datasets_are_truth(tmp_path):
    for folder, inside in (("labels", "images"), ("masks", "images")):
        root = tmp_path / folder
        save(root / inside / "a.tif", CELLS)
        save(root / folder / "a.tif", CELLS)
        assert evaluate(save(tmp_path / "out" / "a.tif", CELLS).parent, root).scores["f1"] == 1
        (tmp_path / "out" / "a.tif").unlink()
    save(tmp_path / "isbi" / "train-labels.tif", CELLS * 100)
    assert evaluate(save(tmp_path / "r.tif", CELLS), tmp_path / "isbi", metrics=["overlap"]).scores["dice"] == 1


def test_masks_of_the_data_science_bowl(tmp_path):
    for number in (1, 2):
        save(tmp_path / "truth" / "case" / "masks" / f"{number}.png", np.uint8(255) * (number == CELLS))
    save(tmp_path / "truth" / "case" / "images" / "case.png", CELLS)
    save(tmp_path / "result" / "case.tif", FOUND)
    scores = evaluate(tmp_path / "result", tmp_path / "truth", metrics=["objects"]).scores
    assert (scores["objects"], scores["objects_predicted"], scores["objects_found"]) == (2, 3, 1)


def sequence(root: Path, *, markers: bool = True) -> Path:
    """Three frames, of which the second has its extent drawn and the third lost a cell."""
    results = {0: CELLS, 1: FOUND, 2: np.where(CELLS == 1, 1, 0).astype(np.uint8)}
    for frame, result in results.items():
        save(root / "01_RES" / f"mask{frame:03}.tif", result)
        if markers:
            save(root / "01_GT" / "TRA" / f"man_track{frame:03}.tif", CELLS)
    save(root / "01_GT" / "SEG" / "man_seg001.tif", CELLS)
    return root / "01_RES"


def test_cell_tracking_challenge(tmp_path):
    result = sequence(tmp_path)
    scores = evaluate(result, tmp_path / "01_GT")
    assert scores.scores["seg"] == seg(CELLS, FOUND) == 1 / 2
    assert scores.scores["det"] == pytest.approx(1 - (10 * (1 + 1) + 2) / (6 * 10))
    assert list(scores.images) == ["mask001.tif", "mask000.tif", "mask002.tif"]
    assert scores.images["mask001.tif"]["seg"] == 0.5
    assert scores.images["mask002.tif"] == {"det": 0.5, "det_merges": 0, "det_missed": 1, "det_false": 0}
    assert evaluate(result, tmp_path, metrics=["ctc"]).scores == scores.scores, "the root of the dataset will do"


def test_cell_tracking_challenge_with_a_frame_missing(tmp_path):
    result = sequence(tmp_path)
    (result / "mask001.tif").unlink()
    with pytest.raises(DatasetError, match=r"man_seg001\.tif has no result; add .*mask001\.tif"):
        evaluate(result, tmp_path / "01_GT")
    save(result / "cell.tif", CELLS)
    with pytest.raises(DatasetError, match=r"cell\.tif: a frame must be called mask and its number"):
        evaluate(result, tmp_path / "01_GT")


def test_cell_tracking_challenge_without_markers(tmp_path):
    result = sequence(tmp_path, markers=False)
    scores = evaluate(result, tmp_path / "01_GT", metrics=["ctc"])
    assert scores.scores == {"seg": 0.5, "splits": 0, "merges": 0, "missed": 0, "false": 1}
    assert "det is left out" in scores.notes[0]
    with pytest.raises(DatasetError, match="no TRA folder"):
        evaluate(result, tmp_path / "01_GT", metrics=["det"])


def test_sections_of_volumes_in_the_cell_tracking_challenge(tmp_path):
    save(tmp_path / "01_RES" / "mask000.tif", np.stack([FOUND, CELLS]))
    save(tmp_path / "01_GT" / "SEG" / "man_seg_000_001.tif", CELLS)
    scores = evaluate(tmp_path / "01_RES", tmp_path / "01_GT", metrics=["seg"])
    assert scores.images == {"mask000.tif[1]": {"seg": 1, "splits": 0, "merges": 0, "missed": 0, "false": 0}}


def test_splits_and_merges_are_counted_per_image_and_in_all(tmp_path):
    """One frame with a cell in two pieces, one with two cells joined, a cell lost and one made up."""
    truth = np.array([[1, 1, 1, 1, 0, 2, 2, 0, 3, 3, 0, 0, 0]], np.uint8)
    cut = np.array([[1, 1, 9, 9, 0, 2, 2, 0, 3, 3, 0, 0, 0]], np.uint8)
    joined = np.array([[5, 5, 5, 5, 5, 5, 5, 0, 0, 0, 0, 7, 7]], np.uint8)
    for number, result in enumerate((cut, joined)):
        save(tmp_path / "01_RES" / f"mask{number:03}.tif", result)
        save(tmp_path / "01_GT" / "SEG" / f"man_seg{number:03}.tif", truth)
        save(tmp_path / "truth" / f"mask{number:03}.tif", truth)
    expected = {
        "mask000.tif": {"splits": 1, "merges": 0, "missed": 0, "false": 0},
        "mask001.tif": {"splits": 0, "merges": 1, "missed": 1, "false": 1},
    }
    for where, group in ((tmp_path / "01_GT", "seg"), (tmp_path / "truth", "objects")):
        scores = evaluate(tmp_path / "01_RES", where, metrics=[group])
        for name, wrong in expected.items():
            assert scores.images[name].items() >= wrong.items()
        assert scores.scores.items() >= {"splits": 1, "merges": 1, "missed": 1, "false": 1}.items()


def test_time_series_are_frames_and_volumes_are_not(tmp_path):
    truth, result = np.stack([CELLS, CELLS]), np.stack([CELLS, FOUND])
    frames = evaluate(
        save(tmp_path / "r.tif", result, "TYX"), save(tmp_path / "t.tif", truth, "TYX"), metrics=["objects"]
    )
    assert [row["objects"] for row in frames.images.values()] == [2, 2]
    volume = evaluate(save(tmp_path / "v.tif", result), save(tmp_path / "u.tif", truth), metrics=["objects", "overlap"])
    assert volume.images["v.tif"]["objects"] == 2
    assert "dice" in volume.images["v.tif[1]"]


def test_distances_are_in_micrometres(tmp_path):
    truth, result = np.zeros((5, 9), np.uint8), np.zeros((5, 9), np.uint8)
    truth[2, 2], result[2, 5] = 1, 1
    labels = save(tmp_path / "t.tif", truth, spacing=(0.5, 0.25))
    assert evaluate(save(tmp_path / "r.tif", result), labels, metrics=["distance"]).scores[
        "hausdorff95"
    ] == pytest.approx(0.75)
    scores = evaluate(tmp_path / "r.tif", labels, metrics=["distance"], spacing=(1, 2))
    assert scores.scores == {"hausdorff95": 6, "mean_surface_distance": 6}


def test_json_and_csv(tmp_path):
    nothing = save(tmp_path / "result" / "b.tif", CELLS * 0).parent
    save(nothing / "a.tif", CELLS)
    truth = save(tmp_path / "truth" / "a.tif", CELLS).parent
    save(truth / "b.tif", CELLS)
    scores = evaluate(nothing, truth, metrics=["overlap", "distance", "objects"])
    document = json.loads(json.dumps(to_json(scores), allow_nan=False))
    assert document["images"][1]["name"] == "b.tif"
    assert document["images"][1]["hausdorff95"] is None, "there is no distance to nothing"
    assert document["scores"]["hausdorff95"] == 0
    assert document["thresholds"]["average_precision"]["value"] == [0.5] * 10
    header, first, second = to_csv(scores).splitlines()
    assert header.startswith("name,iou,dice,accuracy,hausdorff95")
    assert (first.split(",")[:2], second.split(",")[4]) == (["a.tif", "1.0"], "")


def test_what_is_scored_where_nobody_chose(tmp_path, membranes):
    truth, probabilities = membranes
    labels = save(tmp_path / "t.tif", truth)
    assert "v_info" in evaluate(save(tmp_path / "p.tif", probabilities), labels).scores
    assert set(evaluate(save(tmp_path / "m.tif", truth // 255), labels).scores) == {"iou", "dice", "accuracy"}
    one = save(tmp_path / "one.tif", (CELLS == 1).astype(np.uint8))
    assert "panoptic_quality" in evaluate(one, one).scores, "a single object has number 1 too"
    cells = save(tmp_path / "c.tif", CELLS)
    assert {"dice", "panoptic_quality"} < set(evaluate(save(tmp_path / "f.tif", FOUND), cells).scores)


def test_classes(tmp_path):
    truth, result = save(tmp_path / "t.tif", CELLS), save(tmp_path / "r.tif", np.where(CELLS == 2, 1, CELLS))
    scores = evaluate(result, truth, metrics=["classes"]).scores
    assert (scores["iou_0"], scores["iou_1"], scores["iou_2"], scores["class_accuracy"]) == (1, 0.5, 0, 8 / 12)


def test_what_cannot_be_compared_is_named(tmp_path, membranes):
    truth, probabilities = membranes
    labels, result = save(tmp_path / "t.tif", truth), save(tmp_path / "p.tif", probabilities * 2)
    with pytest.raises(ImageError, match=r"p\.tif: probabilities must lie in 0\.\.1, got .*2\.0"):
        evaluate(result, labels)
    with pytest.raises(LabelError, match=r"p\.tif: its truth t\.tif is a mask"):
        evaluate(result, labels, metrics=["objects"])
    with pytest.raises(LabelError, match=r"r\.tif: result labels must be integers, got float32"):
        evaluate(save(tmp_path / "r.tif", CELLS / np.float32(5)), save(tmp_path / "c.tif", CELLS), metrics=["objects"])


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int32])
def test_labels_of_any_type_are_compared_and_what_is_changed_is_said(tmp_path, kind):
    truth, plain = save(tmp_path / "c.tif", CELLS), save(tmp_path / "f.tif", FOUND)
    scores = evaluate(
        save(tmp_path / "r.tif", np.where(FOUND == 0, -1, FOUND.astype(kind))), truth, metrics=["objects"]
    )
    assert scores.scores == evaluate(plain, truth, metrics=["objects"]).scores
    notes = ["r.tif holds negative labels (IGNORE), taken as background"]
    if kind != np.int32:
        notes.insert(0, "r.tif holds floats that are whole numbers, read as integers")
    assert list(scores.notes) == notes


def test_unknown_metrics():
    with pytest.raises(ConfigError, match=r"isbi2012, .*ctc, got 'f2'"):
        metric_groups(["dice", "f2"][1:])
    with pytest.raises(ConfigError, match="got none"):
        metric_groups([])


def test_progress_ends_at_1(tmp_path):
    shares: list[float] = []
    evaluate(save(tmp_path / "r.tif", FOUND), save(tmp_path / "t.tif", CELLS), progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1


PERFECT = dict.fromkeys(("objects", "objects_predicted", "objects_found"), 2) | dict.fromkeys(
    (
        *("pixel_error", "rand_error", "warping_error", "warping_splits", "warping_merges", "wrong_pixels"),
        *("splits", "merges", "missed", "false", "det_merges", "det_missed", "det_false"),
        *("hausdorff95", "mean_surface_distance"),
        *("adapted_rand_error", "variation_of_information", "information_split", "information_merge"),
    ),
    0,
)
"""Scores whose perfect value is not 1."""


@pytest.mark.parametrize("name", METRICS)
def test_a_perfect_result_is_perfect_in_every_group(name):
    group, truth = METRICS[name], CELLS.clip(0, 1) if name == "isbi2012" else CELLS
    scores = group.score([group.count(truth, truth, (1.0, 1.0))])
    assert scores == {score: PERFECT.get(score, 1) for score in scores}
    assert scores != group.score([group.count(truth, truth * 0, (1.0, 1.0))])


@pytest.mark.skipif(not DATA.exists(), reason="no images in BIOUNET_DATA")
def test_silver_truth_against_gold_truth(tmp_path):
    frames = DATA / "DIC-C2DH-HeLa"
    (tmp_path / "01_RES").mkdir()
    for path in sorted((frames / "01_ST" / "SEG").glob("*.tif"))[:6]:
        (tmp_path / "01_RES" / path.name.replace("man_seg", "mask")).symlink_to(path)
    with pytest.raises(DatasetError, match=r"man_seg021\.tif has no result"):
        evaluate(tmp_path / "01_RES", frames)
    for path in (frames / "01_ST" / "SEG").glob("*.tif"):
        link = tmp_path / "01_RES" / path.name.replace("man_seg", "mask")
        link.unlink(missing_ok=True)
        link.symlink_to(path)
    assert 0.9 < evaluate(tmp_path / "01_RES", frames).scores["seg"] < 1


@pytest.fixture
def three_images(tmp_path) -> Path:
    """Two images, found and half found, in grey, one of them saved as colours; and one in colour, missed."""
    found = {"a": CELLS, "b.v2": FOUND, "c": np.zeros_like(CELLS)}
    grey = np.full(CELLS.shape, 9, np.uint8)
    pixels = {"a": grey, "b.v2": np.stack([grey] * 3), "c": np.stack([grey, grey, grey + 1])}
    for name, result in found.items():
        save(tmp_path / "set" / "masks" / f"{name}.tif", CELLS)
        save(tmp_path / "set" / "images" / f"{name}.png", pixels[name], "CYX"[-pixels[name].ndim :])
        save(tmp_path / "results" / f"{name}.tif", result)
    return tmp_path


def test_groups_are_pooled_as_if_there_were_no_others(three_images):
    truth, results = three_images / "set", three_images / "results"
    groups = read_groups(truth)
    assert groups == {"a": "grey", "b.v2": "grey", "c": "colour"}
    scores = evaluate(results, truth, metrics=["overlap", "objects"], groups=groups)
    assert scores.scores == evaluate(results, truth, metrics=["overlap", "objects"]).scores
    assert list(scores.groups) == ["colour", "grey"]
    assert scores.groups["grey"]["average_precision"] == 3 / 6  # 2 of 2, then 1 of 2, and two that are not there
    assert scores.groups["colour"]["average_precision"] == 0
    assert scores.scores["average_precision"] == 3 / 8
    (results / "c.tif").unlink()
    (truth / "masks" / "c.tif").unlink()
    assert evaluate(results, truth, metrics=["overlap", "objects"]).scores == scores.groups["grey"]


def test_groups_stand_in_table_and_json(three_images, command):
    (three_images / "groups.csv").write_text("\ufeffgroup,name\nnuclei, a.png\nnuclei,b.v2\ntissue,c.tif\nmore,d\n")
    words = ("evaluate", three_images / "results", three_images / "set", "--metrics", "objects")
    status, table, _ = command(*words, "--groups", three_images / "groups.csv", "--json", three_images / "scores.json")
    assert status == 0
    assert {"nuclei", "tissue"} <= set(table.split())
    document = json.loads((three_images / "scores.json").read_text())
    assert set(document) == {"scores", "images", "groups", "thresholds"}
    assert document["groups"]["nuclei"]["objects"] == 4
    assert document["groups"]["tissue"]["missed"] == 2
    assert "groups" not in to_json(evaluate(three_images / "results", three_images / "set"))


def test_drawn_images_have_groups_too(three_images):
    drawn, true = three_images / "results", three_images / "set" / "masks"
    scores = evaluate(drawn, true, metrics=["image"], groups={"a": "one", "b.v2": "two", "c": "two"})
    assert scores.groups["one"]["mae"] == 0
    assert scores.groups["two"]["mae"] == pytest.approx((np.abs(CELLS.astype(int) - FOUND).mean() + CELLS.mean()) / 2)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("name,group\na,x\n", r"b\.v2 is of no group, nor are 1 others; name a group"),
        ("file,kind\na,x\n", r"line 1: the table lacks name, group, its columns are 'file, kind'"),
        ("name,group\na,x\na.png,y\n", r"line 3: a\.png is of x already"),
        ("name,group\n", r"a is of no group, nor are 2 others"),
        ("", r"line 1: the table lacks name, group, it has no columns"),
        ("name,group\na, \n", r"line 2: wanted are a name and a group"),
    ],
)
def test_images_of_no_group_are_named(three_images, table, said):
    (three_images / "groups.csv").write_text(table)
    with pytest.raises(ConfigError, match=said):
        evaluate(three_images / "results", three_images / "set", groups=read_groups(three_images / "groups.csv"))


def test_what_tells_no_groups_is_refused(three_images):
    with pytest.raises(DatasetError, match="no such file"):
        read_groups(three_images / "none.csv")
    (three_images / "groups.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"is not UTF-8.*give a CSV file"):
        read_groups(three_images / "groups.csv")
    (three_images / "groups.txt").write_text("name,group\n")
    with pytest.raises(DatasetError, match="holds no images; give a CSV file"):
        read_groups(three_images / "groups.txt")


@pytest.mark.parametrize("changed", ["result.tif", "truth.tif"])
def test_files_that_change_while_they_are_read_are_not_scored(tmp_path, monkeypatch, changed):
    result, truth = save(tmp_path / "result.tif", FOUND), save(tmp_path / "truth.tif", CELLS)

    def interrupted(pair, **options):
        write(tmp_path / changed, Image(np.zeros((9, 9), np.uint8), "YX"), overwrite=True)
        return read_case(FilePair("other", result.with_name("kept.tif"), (truth.with_name("kept.tif"),)), **options)

    save(tmp_path / "kept.tif", CELLS)
    monkeypatch.setattr("biounet.evaluation.read_case", interrupted)
    with pytest.raises(ImageError, match=f"{changed} changed while it was scored"):
        evaluate(result, truth)


def test_what_is_read_of_result_and_truth_is_selected(tmp_path):
    pytest.importorskip("zarr", reason="the extra zarr is not installed")
    truth = np.kron(np.array([[0, 1], [2, 0]]), np.ones((150, 150), int)).astype(np.uint8)
    write(tmp_path / "truth.zarr", Image(truth, "YX"))
    write(tmp_path / "truth.zarr" / "labels" / "cells", Image(truth, "YX"))
    small = truth[::2, ::2]
    stack = np.stack([np.zeros_like(small), small], axis=-1)
    tifffile.imwrite(tmp_path / "result.tif", stack, photometric="minisblack", metadata={"axes": "YXC"})
    result, found = tmp_path / "result.tif", tmp_path / "truth.zarr" / "labels" / "cells"
    assert evaluate(result, found, metrics=["overlap"], channel=1, level=1).scores["iou"] == 1
    assert evaluate(result, found, metrics=["overlap"], channel=0, level=1).scores["iou"] == 0


def test_the_fields_of_a_plate_are_scored_against_their_labels(tmp_path):
    zarr = pytest.importorskip("zarr", reason="the extra zarr is not installed")
    cells = np.array([[0, 1, 1], [2, 2, 0]], np.uint8)
    root = zarr.open_group(tmp_path / "p.zarr", mode="w", zarr_format=3)
    root.attrs["ome"] = {"version": "0.5", "plate": {"wells": [{"path": "A/1"}]}}
    root.create_group("A/1").attrs["ome"] = {"version": "0.5", "well": {"images": [{"path": "0"}, {"path": "1"}]}}
    for field in "01":
        write(tmp_path / "p.zarr" / "A" / "1" / field, Image(cells, "YX"))
        write(tmp_path / "p.zarr" / "A" / "1" / field / "labels" / "cells", Image(cells, "YX"))
        write(tmp_path / "out" / f"p_A_1_{field}.tif", Image(cells, "YX"))
    scores = evaluate(tmp_path / "out", tmp_path / "p.zarr", metrics=["overlap"])
    assert scores.scores["iou"] == 1
    assert len(scores.images) == 2


NAMES = ("background", "nucleus", "fibre")
TISSUE = np.array([[0, 1, 1, 2], [0, 1, 2, 2], [0, 0, 0, 2], [1, 0, 0, 0]], np.uint8)


def test_classes_are_scored_as_classes_by_name(tmp_path):
    write(tmp_path / "truth.tif", Image(TISSUE, "YX"))
    found = np.where(TISSUE == 2, 1, TISSUE)
    write(tmp_path / "result.tif", Image(found, "YX", None, Meaning(kind="classes", class_names=NAMES)))
    scores = evaluate(tmp_path / "result.tif", tmp_path / "truth.tif")
    assert scores.class_names == NAMES
    assert scores.scores["dice_1"] == 2 * 4 / (4 + 8)
    assert scores.scores["dice_2"] == 0
    assert "panoptic_quality" not in scores.scores
    assert to_json(scores)["classes"] == list(NAMES)
    with pytest.raises(LabelError, match=r"result\.tif: the result holds classes \(background, nucleus, fibre\), not"):
        evaluate(tmp_path / "result.tif", tmp_path / "truth.tif", metrics=["objects"])


@pytest.mark.parametrize("listed", [NAMES, NAMES[1:]])
def test_a_list_beside_the_truth_names_the_classes_of_other_programs(tmp_path, listed):
    for folder in ("labels", "results"):
        write(tmp_path / folder / "a.png", Image(TISSUE, "YX"))
    assert "panoptic_quality" in evaluate(tmp_path / "results", tmp_path / "labels").scores
    (tmp_path / "classes.txt").write_text("\n".join(listed))
    scores = evaluate(tmp_path / "results", tmp_path / "labels")
    assert (scores.class_names, scores.scores["dice_2"]) == (NAMES, 1)
    assert "panoptic_quality" not in scores.scores
    write(tmp_path / "results" / "a.png", Image(TISSUE * 9, "YX"), overwrite=True)  # beyond the list: no classes
    assert evaluate(tmp_path / "results", tmp_path / "labels", metrics=["overlap"]).class_names == ()


def test_numbered_objects_are_no_classes(tmp_path):
    write(tmp_path / "truth.tif", Image(TISSUE, "YX"))
    write(tmp_path / "result.tif", Image(TISSUE, "YX", None, Meaning(kind="objects")))
    assert "panoptic_quality" in evaluate(tmp_path / "result.tif", tmp_path / "truth.tif").scores
    with pytest.raises(LabelError, match="the result holds numbered objects, not classes"):
        evaluate(tmp_path / "result.tif", tmp_path / "truth.tif", metrics=["classes"])


def test_parts_of_objects_are_foreground(tmp_path):
    write(tmp_path / "truth.tif", Image(TISSUE, "YX"))
    write(tmp_path / "result.tif", Image(TISSUE, "YX", None, Meaning(kind="parts")))
    assert list(evaluate(tmp_path / "result.tif", tmp_path / "truth.tif").scores) == ["iou", "dice", "accuracy"]


def test_drawn_images_are_compared_as_images(tmp_path):
    image = TISSUE.astype(np.float32)
    write(tmp_path / "truth.tif", Image(image, "YX"))
    write(tmp_path / "result.tif", Image(image + 1, "YX", None, Meaning(kind="image")))
    assert evaluate(tmp_path / "result.tif", tmp_path / "truth.tif").scores["rmse"] == 1


@pytest.mark.parametrize("linked", [False, True])
def test_numbered_objects_are_scored_against_the_parts_of_a_mask(tmp_path, linked):
    mask = np.array([[[255, 0, 255]], [[255, 0, 0]]], np.uint8)
    found = np.array([[[1, 0, 2]], [[1 if linked else 3, 0, 0]]], np.uint16)
    write(tmp_path / "truth.tif", Image(mask, "ZYX"))
    write(tmp_path / "cells.tif", Image(found, "ZYX", meaning=Meaning(kind="objects")))
    scores = evaluate(tmp_path / "cells.tif", tmp_path / "truth.tif", metrics=["objects", "partition"])
    assert scores.scores["objects"] == (2 if linked else 3)
    assert scores.scores["average_precision"] == 1
    assert scores.scores["adapted_rand_error"] == 0
    assert scores.notes == ("truth.tif is a mask; its connected components in each section are its objects",)
