"""The table of layouts: each is found, paired and split; results get their names there and are read by evaluation."""

import json
import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from biounet.core.errors import DatasetError, LabelError
from biounet.core.labels import IGNORE
from biounet.core.problems import Problems
from biounet.data import LAYOUTS, Dataset, find_dataset, images_in, load, split
from biounet.data.layouts import dataset_path, recognise, truths_in
from biounet.data.results import name_outputs
from biounet.evaluation import evaluate
from small_layouts import (
    MAKERS,
    image_number,
    make_cell_tracking,
    make_dsb2018,
    make_folders,
    make_nnunet,
    make_stardist,
    results_of,
)
from small_sets import CELLS, IMAGE, make_set, save


@pytest.fixture(params=LAYOUTS)
def dataset(request, tmp_path) -> tuple[Path | str, Dataset]:
    path = MAKERS[request.param](tmp_path / "data")
    return path, find_dataset(path)


def test_a_dataset_is_found_in_its_layout(request, dataset):
    path, found = dataset
    assert found.layout == request.node.callspec.params["dataset"]
    first, pairs = recognise(Path(path), False, Problems())
    assert first is LAYOUTS[found.layout]
    assert [pair.image for pair in pairs] == [pair.image for pair in found.pairs]


def test_images_are_paired_and_split(dataset):
    _, found = dataset
    for pair in found.pairs:
        image, truth = load(pair)
        assert image.shape[1:] == CELLS.shape
        assert truth.shape[-2:] == CELLS.shape
        assert truth.max() > 0
    held = split(found, 0.3)
    assert len(held.train) >= 1
    assert len(held.validation) >= 1
    assert not {(pair.name, pair.rows) for pair in held.train} & {(pair.name, pair.rows) for pair in held.validation}


@pytest.mark.parametrize("name", [name for name in LAYOUTS if not name.startswith("two")])
def test_prediction_finds_all_images(tmp_path, name):
    path = MAKERS[name](tmp_path)
    found, images = find_dataset(path), images_in(path)
    assert {pair.image for pair in found.pairs} <= set(images)
    assert not {file for pair in found.pairs for file in pair.labels} & set(images)
    assert len(set(images)) == len(images)


def test_results_get_their_names_and_are_found_by_evaluation(dataset, tmp_path):
    path, found = dataset
    single = len({pair.image for pair in found.pairs}) == 1
    result = results_of(found, tmp_path / ("01_RES.tif" if single else "01_RES"))
    truth = Path(str(path).split(",")[-1])
    if found.pairs[0].kind == "images":
        assert evaluate(result, truth, metrics=["image"]).scores["mae"] == 0
        return
    scores = evaluate(result, truth).scores
    assert scores.get("iou", scores.get("seg")) == 1
    assert scores.get("det", 1) == 1


@pytest.mark.parametrize("name", [name for name, layout in LAYOUTS.items() if layout.names])
def test_labels_of_a_challenge_have_the_names_that_it_wants(tmp_path, name):
    found = find_dataset(MAKERS[name](tmp_path / "data"))
    images, names = [pair.image for pair in found.pairs], LAYOUTS[name].names
    out = tmp_path / "01_RES"
    targets = [target for _, target in name_outputs(images, out)]
    assert all(map(names.fit, targets))
    assert [target.name for target in targets] != [image.name for image in images]
    others = [*images, tmp_path / "overview.tif"]
    for kept in (name_outputs(others, out), name_outputs(images, out, save="probabilities")):
        assert [target.name for _, target in kept] == [image.name for image, _ in kept]


def test_files_in_a_folder_go_before_those_in_its_folders(tmp_path):
    make_folders(tmp_path, "labels", CELLS)
    save(tmp_path / "overview.tif", image_number(0))
    assert images_in(tmp_path) == (tmp_path / "overview.tif",)
    (tmp_path / "overview.tif").unlink()
    make_dsb2018(tmp_path / "older")
    assert images_in(tmp_path) == tuple(tmp_path / "images" / f"{number}.png" for number in range(3))


def test_a_folder_of_no_layout_holds_label_files(tmp_path):
    for name in ("b", "a-b", "a"):
        save(tmp_path / "labels" / f"{name}.tif", CELLS)
    layout, truths = truths_in(tmp_path / "labels", tmp_path / "results")
    assert layout.all_compared
    assert [truth.key for truth in truths] == ["a", "a-b", "b"]


def test_what_has_no_partner_is_named(tmp_path):
    data = make_cell_tracking(tmp_path / "data")
    result = results_of(find_dataset(data), tmp_path / "01_RES")
    save(result / "mask007.tif", CELLS)
    assert evaluate(result, data).scores["seg"] == 1, "frames without truth may be there"
    (result / "mask001.tif").rename(result / "mask8.tif")
    with pytest.raises(DatasetError, match=r"man_seg001\.tif has no result; add mask001\.tif"):
        evaluate(result, data)
    save(result / "t008.tif", CELLS)
    with pytest.raises(DatasetError, match=r"t008\.tif and mask8\.tif are the same frame|mask8\.tif and t008\.tif"):
        evaluate(result, data)


# Each layout by itself


@pytest.mark.parametrize("name", [name for name in LAYOUTS if not name.startswith(("two", "Cell Tracking"))])
def test_names_may_be_in_upper_case(tmp_path, name):
    path = MAKERS[name](tmp_path / "lower")
    upper = tmp_path / "upper"
    for file in (each for each in path.rglob("*") if each.is_file()):
        renamed = upper / Path(*(part.title() for part in file.relative_to(path).parent.parts))
        renamed.mkdir(parents=True, exist_ok=True)
        (renamed / f"{file.stem}{file.suffix.upper()}").write_bytes(file.read_bytes())
    found, same = find_dataset(path), find_dataset(upper)
    assert same.layout == name
    for pair, other in zip(found.pairs, same.pairs, strict=True):
        for first, second in zip(load(pair), load(other), strict=True):
            np.testing.assert_array_equal(first, second)
    assert len(images_in(upper)) == len(images_in(path))
    assert len(truths_in(upper, tmp_path / "results")[1]) == len(truths_in(path, tmp_path / "results")[1])


def test_folders_that_differ_in_case_only_are_refused(tmp_path):
    for name in ("Images", "images"):
        (tmp_path / name).mkdir(exist_ok=True)
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this file system knows no case")
    with pytest.raises(DatasetError, match="Images and images differ in upper and lower case only"):
        find_dataset(tmp_path)


def test_stardist_learns_from_train_and_keeps_test_apart(tmp_path):
    dataset = find_dataset(make_stardist(tmp_path))
    assert [pair.image.relative_to(tmp_path).as_posix() for pair in dataset.pairs] == [
        f"train/images/{number}.tif" for number in range(3)
    ]
    assert dataset.pairs[0].kind == "objects"
    assert any("the 2 images of test are neither" in note for note in dataset.notes)


def test_stardist_results_are_compared_with_the_folder_that_they_are_of(tmp_path):
    data, out = make_stardist(tmp_path / "data"), tmp_path / "out"
    for number in (3, 4):
        save(out / f"{number}.tif", CELLS)
    assert evaluate(out, data).scores["iou"] == 1
    _, truths = truths_in(data, out)
    assert [truth.key for truth in truths] == ["3", "4"]
    save(data / "train" / "masks" / "4.tif", CELLS)
    with pytest.raises(DatasetError, match=r"4\.tif have one name; evaluate with .*test alone"):
        evaluate(out, data)


@pytest.mark.parametrize("labels_folder", ["labels", "masks"])
@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_images_and_labels_pair_by_name(tmp_path, labels_folder, suffix):
    dataset = find_dataset(make_set(tmp_path, [CELLS, CELLS * 2], labels_folder=labels_folder, suffix=suffix))
    assert dataset.layout == "images and labels"
    assert [pair.name for pair in dataset.pairs] == [f"cell0{suffix}", f"cell1{suffix}"]
    assert dataset.pairs[0].kind == "objects"
    image, labels = dataset.load(dataset.pairs[1])
    np.testing.assert_array_equal(image, IMAGE[None])
    np.testing.assert_array_equal(labels, CELLS * 2)
    assert labels.dtype == np.int32


@pytest.mark.parametrize(
    ("images", "others"),
    [
        (["a.tif", "b.png"], ["labels/a.tif"]),
        (["images/a.tif", "images/b.png"], ["masks/a.tif"]),
        (["x/images/x.png", "y/images/y.png"], ["x/masks/1.png"]),
        (["01/t000.tif", "02/t000.tif"], ["01_GT/SEG/man_seg000.tif", "01_RES/mask000.tif"]),
        (["a.tif", "b.tif"], ["a_masks.tif", "c_masks.tif", "a_flows.tif"]),
        (["a_img.png"], ["a_masks.png"]),
        (["a_masks.tif"], []),
        (["test-volume.tif", "train-volume.tif"], ["train-labels.tif"]),
        ([], ["notes/a.tif"]),
    ],
)
def test_images_are_found_with_labels_and_without(tmp_path, images, others):
    for name in (*images, *others):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [path.relative_to(tmp_path).as_posix() for path in images_in(tmp_path)] == images


def test_isbi_2012_is_classes_by_section(tmp_path):
    volume = np.stack([IMAGE + z for z in range(6)])
    truth = np.zeros((6, 8, 10), np.uint8)
    truth[:, 2:5, 3:] = 255
    truth[4] = 0
    save(tmp_path / "train-volume.tif", volume)
    save(tmp_path / "train-labels.tif", truth)
    dataset = find_dataset(tmp_path)
    assert dataset.layout == "ISBI 2012"
    assert len(dataset.pairs) == 6
    assert {pair.kind for pair in dataset.pairs} == {"classes"}
    image, labels = dataset.load(dataset.pairs[3])
    np.testing.assert_array_equal(image, IMAGE[None] + 3)
    np.testing.assert_array_equal(labels, truth[3] // 255)
    assert dataset.load(dataset.pairs[4])[1].max() == 0  # a section without an interior is fine
    assert any("0, 255 are read as classes 0, 1" in note for note in dataset.notes)


def test_one_mask_per_nucleus_becomes_numbers(tmp_path):
    for case in ("a", "b"):
        save(tmp_path / case / "images" / f"{case}.png", np.stack([IMAGE, IMAGE, IMAGE, 0 * IMAGE + 255], -1))
        save(tmp_path / case / "masks" / "x.png", ((CELLS == 1) * 255).astype(np.uint8))
        if case == "a":
            save(tmp_path / case / "masks" / "y.png", ((CELLS == 7) * 255).astype(np.uint8))
    dataset = find_dataset(tmp_path)
    assert dataset.layout == "DSB 2018"
    image, labels = dataset.load(dataset.pairs[0])
    np.testing.assert_array_equal(image, IMAGE[None])  # equal colours are one grey channel
    np.testing.assert_array_equal(labels, (CELLS == 1) + 2 * (CELLS == 7))
    assert dataset.load(dataset.pairs[1])[1].max() == 1
    assert split(dataset, 0.5).validation == (dataset.pairs[1],)


def test_the_only_mask_of_a_case_may_number_the_cells(tmp_path):
    data = tmp_path / "data"
    for case, mask in (("a", CELLS), ("b", CELLS * 2), ("c", (CELLS == 7) * np.uint8(255))):
        save(data / case / "images" / f"{case}.tif", IMAGE)
        save(data / case / "masks" / "numbers.tif", mask)
    dataset = find_dataset(data)
    assert {pair.kind for pair in dataset.pairs} == {"objects"}
    for pair, expected in zip(dataset.pairs, (CELLS, CELLS * 2, CELLS == 7), strict=True):
        np.testing.assert_array_equal(load(pair)[1], expected)
    _, truths = truths_in(data, tmp_path / "out")
    assert [truth.masks for truth in truths] == [False, False, True]


def make_tracking_set(folder):
    for frame in range(4):
        for sequence in ("01", "02"):
            save(folder / sequence / f"t{frame:03}.tif", IMAGE + frame)
            save(folder / f"{sequence}_ST" / "SEG" / f"man_seg{frame:03}.tif", CELLS)
    for frame in (1, 3):
        save(folder / "01_GT" / "SEG" / f"man_seg{frame:03}.tif", np.where(CELLS == 7, 0, CELLS))
    return folder


def test_tracking_challenge_takes_experts_where_there_are_any(tmp_path):
    dataset = find_dataset(make_tracking_set(tmp_path))
    assert dataset.layout == "Cell Tracking Challenge"
    assert [pair.name for pair in dataset.pairs if pair.group == "01"] == ["01/t001.tif", "01/t003.tif"]
    assert sum(pair.group == "02" for pair in dataset.pairs) == 4  # no expert has seen them
    image, labels = dataset.load(dataset.pairs[1])
    np.testing.assert_array_equal(image, IMAGE[None] + 3)
    # The expert left out cell 7: whether it is background, nobody knows.
    np.testing.assert_array_equal(labels, np.where(CELLS == 7, IGNORE, CELLS.astype(int)))
    assert any("unknown" in note for note in dataset.notes)


def test_tracking_challenge_with_silver_truth_takes_all_frames(tmp_path):
    folder = make_tracking_set(tmp_path)
    save(folder / "01_ST" / "SEG" / "man_seg001.tif", np.where(CELLS == 7, 7, 9 * (CELLS > 0)))
    dataset = find_dataset(folder, silver=True)
    assert [pair.name for pair in dataset.pairs] == [f"0{n}/t{frame:03}.tif" for n in (1, 2) for frame in range(4)]
    np.testing.assert_array_equal(dataset.load(dataset.pairs[2])[1], CELLS)
    # The expert's cells stay as they are; the one that is missing is added with a number of its own.
    expected = np.where(CELLS == 7, CELLS[CELLS != 7].max() + 7, CELLS)
    np.testing.assert_array_equal(dataset.load(dataset.pairs[1])[1], expected)
    assert any("computer" in note for note in dataset.notes)


def test_single_annotated_sections_of_a_volume(tmp_path):
    save(tmp_path / "01" / "t000.tif", np.stack([IMAGE, IMAGE + 1, IMAGE + 2]))
    save(tmp_path / "01_GT" / "SEG" / "man_seg_000_002.tif", CELLS)
    (pair,) = find_dataset(tmp_path).pairs
    image, labels = load(pair)
    assert pair.name == "01/t000.tif[2]"
    np.testing.assert_array_equal(image, IMAGE[None] + 2)
    np.testing.assert_array_equal(labels, CELLS)


def test_sections_by_experts_are_kept_beside_silver_volumes(tmp_path):
    save(tmp_path / "01" / "t000.tif", np.stack([IMAGE, IMAGE + 1, IMAGE + 2]))
    save(tmp_path / "01_GT" / "SEG" / "man_seg_000_002.tif", np.where(CELLS == 7, 0, CELLS))
    save(tmp_path / "01_ST" / "SEG" / "man_seg000.tif", np.stack([CELLS] * 3))
    (pair,) = find_dataset(tmp_path, silver=True).pairs
    assert pair.name == "01/t000.tif[2]"
    assert set(np.unique(load(pair)[1])) == {0, 1, 2, 9}  # of the experts, and what they left out


@pytest.mark.parametrize(
    ("files", "match"),
    [
        ([], "is no dataset: it holds nothing; wanted are folders images and labels"),
        (["images/a.tif"], "has images but neither labels nor masks"),
        (["images/notes.txt", "labels/notes.txt"], "there are no images with labels"),
        (["train-volume.tif"], "no train-labels.tif"),
        (["01/t000.tif", "01_GT/SEG/notes.txt"], "there are no images with labels"),
        (["01/t000.tif", "01_GT/SEG/mask000.tif"], "its name must be man_seg"),
        (["01/t000.tif", "01_GT/SEG/man_seg001.tif"], r"man_seg001\.tif has no image"),
        (["a.tif", "a_masks.tif", "b.tif", "c.tif"], r"b\.tif has no masks; add b_masks\.tif.*c\.tif has no masks"),
        (["a.tif", "a_masks.tif", "b_masks.tif"], "b_masks.tif has no image; add b.tif"),
        (["a.tif", "a_masks.tif", "a_cp_masks.png"], "are both of a; keep one"),
        (["a/images/a.png", "a/masks/1.png", "b/images/b.png"], "b has an image but no masks"),
        (["a/images/a.png", "a/images/b.png", "a/masks/1.png"], "must hold one image, it holds 2"),
    ],
)
def test_incomplete_folders_are_refused(tmp_path, files, match):
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(DatasetError, match=match) as caught:
        find_dataset(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_what_is_no_folder_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="there is no such folder"):
        find_dataset(tmp_path / "nowhere")
    save(tmp_path / "a.tif", IMAGE)
    with pytest.raises(DatasetError, match=r"a\.tif is a file; give a folder"):
        find_dataset(tmp_path / "a.tif")
    with pytest.raises(DatasetError, match=r"b\.tif: there is no such file"):
        find_dataset(f"{tmp_path}/a.tif,{tmp_path}/b.tif")


def test_cellpose_images_may_end_in_img(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / "data" / f"{name}_img.tif", IMAGE)
        save(tmp_path / "data" / f"{name}_masks.tif", CELLS)
    dataset = find_dataset(tmp_path / "data")
    assert [(pair.image.name, pair.labels[0].name) for pair in dataset.pairs] == [
        ("a_img.tif", "a_masks.tif"),
        ("b_img.tif", "b_masks.tif"),
    ]
    assert evaluate(results_of(dataset, tmp_path / "out"), tmp_path / "data").scores["iou"] == 1


def make_mask_per_case(folder, mask):
    for number in range(2):
        save(folder / f"case{number}" / "images" / "c.tif", image_number(number))
        save(folder / f"case{number}" / "masks" / "m.tif", mask)
    return folder


def test_one_mask_of_several_pieces_is_asked_about(tmp_path):
    mask = ((CELLS > 0) * 255).astype(np.uint8)
    folder = make_mask_per_case(tmp_path, mask)
    with pytest.raises(LabelError, match=r"m\.tif: the only mask of its case shows \d pieces; say --classes A,B"):
        find_dataset(folder)
    (image, *_) = find_dataset(folder, kind="classes").pairs
    np.testing.assert_array_equal(load(image)[1], mask > 0)
    (image, *_) = find_dataset(folder, kind="objects").pairs
    np.testing.assert_array_equal(load(image)[1], mask > 0)


def test_results_of_cases_have_their_names(tmp_path):
    folder = make_mask_per_case(tmp_path / "data", CELLS)
    assert [target.name for _, target in name_outputs([folder], tmp_path)] == ["case0.tif", "case1.tif"]
    assert evaluate(results_of(find_dataset(folder), tmp_path / "out"), folder).scores["iou"] == 1
    files = [folder / f"case{number}" / "images" / "c.tif" for number in range(2)]
    assert [target.name for _, target in name_outputs(files, tmp_path)] == ["case0.tif", "case1.tif"]
    save(files[0].with_name("d.tif"), image_number(3))
    assert [target.name for _, target in name_outputs([*files, files[0].with_name("d.tif")], tmp_path)] == [
        "case0.tif",
        "case1.tif",
        "d.tif",
    ]


def test_results_of_two_folders_of_images_are_told_apart(tmp_path):
    data = make_stardist(tmp_path)
    save(data / "test" / "images" / "0.tif", image_number(9))
    names = [target.name for _, target in name_outputs([data], tmp_path / "out")]
    assert {"train_0.tif", "test_0.tif", "1.tif"} <= set(names) or {"train.tif", "test.tif"} <= set(names)


def test_two_folders_may_have_commas_and_names_may_differ_in_their_accents(tmp_path):
    raw, drawn = tmp_path / "raw, all", tmp_path / "drawn"
    for number, name in enumerate(("Käse", "b")):
        save(raw / f"{unicodedata.normalize('NFC', name)}.tif", image_number(number))
        save(drawn / f"{unicodedata.normalize('NFD', name)}_mask.tif", CELLS)
    path = dataset_path(None, raw, drawn)
    assert len(find_dataset(path).pairs) == 2
    for given in ((None, None, None), (raw, raw, drawn), (None, raw, None), (None, raw, tmp_path / "no")):
        with pytest.raises(DatasetError, match=r"give either a dataset|there is no such"):
            dataset_path(*given)


def test_what_a_folder_holds_is_said_where_nothing_fits(tmp_path):
    for name in ("raw/a.tif", "annotations/a.tif", "notes.txt", "x.czi", "y.czi"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    match = r"it holds 2 folders \(annotations, raw\) and 3 files \(2 \.czi, 1 \.txt\); wanted are folders images"
    with pytest.raises(DatasetError, match=match):
        find_dataset(tmp_path)


def test_nnunet_tells_channels_classes_and_what_is_unknown(tmp_path):
    folder = make_nnunet(tmp_path)
    told = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**told, "labels": {"background": 0, "cell": 1, "ignore": 2}}))
    dataset = find_dataset(folder)
    image, labels = load(dataset.pairs[0])
    np.testing.assert_array_equal(image, [image_number(0), image_number(1)])
    assert set(np.unique(labels)) == {IGNORE, 0, 1}
    assert dataset.class_names == ("background", "cell")
    result = results_of(dataset, tmp_path / "out")
    assert sorted(path.name for path in result.iterdir()) == [f"case_{number}.png" for number in range(3)]
    assert evaluate(result, folder / "labelsTr").scores["iou"] == 1
    for channel in (0, 1):
        save(folder / "imagesTs" / f"new_000{channel}.png", image_number(channel))
    assert [path.name for path in images_in(folder / "imagesTs")] == ["new_????.png"]
    files = sorted((folder / "imagesTs").iterdir())
    assert [(image.name, target.name) for image, target in name_outputs(files, result)] == [("new_????.png", "new.png")]


def test_missing_channels_and_labels_of_nnunet_are_named(tmp_path):
    folder = make_nnunet(tmp_path)
    (folder / "imagesTr" / "case_0_0001.png").unlink()
    (folder / "labelsTr" / "case_1.png").unlink()
    match = r"channel 1 is missing, add case_0_0001\.png.*case_1_\?+\.png has no labels; add labelsTr/case_1\.png"
    with pytest.raises(DatasetError, match=match):
        find_dataset(folder)
    (folder / "dataset.json").write_text("{")
    with pytest.raises(DatasetError, match=r"dataset\.json, line 1: the text is torn"):
        find_dataset(folder)


@pytest.mark.parametrize("name", ["made_regions", "made_v1_decathlon"])
@pytest.mark.skipif("BIOUNET_DATA" not in os.environ, reason="BIOUNET_DATA does not name the folder of real images")
def test_other_descriptions_of_nnunet_are_understood(tmp_path, name):
    folder = make_nnunet(tmp_path)
    told = Path(os.environ["BIOUNET_DATA"]) / "formats" / "nnunet" / "dataset_json" / f"{name}.json"
    (folder / "dataset.json").write_text(told.read_text())
    dataset = find_dataset(folder)
    assert any("regions" in note for note in dataset.notes) == (name == "made_regions")
    assert bool(dataset.class_names) == (name == "made_v1_decathlon")


@pytest.mark.skipif("BIOUNET_DATA" not in os.environ, reason="BIOUNET_DATA does not name the folder of real images")
def test_stacks_of_nnunet_have_their_spacing():
    folder = Path(os.environ["BIOUNET_DATA"]) / "formats" / "nnunet" / "nnUNet_raw" / "Dataset902_MadeTiff"
    dataset = find_dataset(folder)
    (pair,) = dataset.pairs
    assert any("the spacing 0.5, 0.5, 2 beside cell6_????.tif is read as z, y, x" in note for note in dataset.notes)
    assert pair.shape == (1, 12, 48, 40)
    assert pair.spacing == (0.5, 0.5, 2.0)  # in the order of the array, as the code of nnU-Net takes it
