"""The tables that `biounet predict --table` writes are those of `biounet measure`, and wrong words leave nothing."""

import csv
import importlib
import json
from functools import partial

import numpy as np
import pandas
import pytest
import tifffile

from biounet.config import ModelConfig
from biounet.config.object_rules import ObjectRules
from biounet.data.normalize import Normalization
from biounet.inference.files import predict_files
from biounet.io import Image, read, write
from biounet.models import build
from biounet.models.model_file import ModelCard, save_network

TABLES = ("objects.csv", "counts.csv")


@pytest.fixture
def biounet(command):
    """Run a command; return status and what was said."""
    return lambda *words: command(*words)[::2]


@pytest.fixture
def model(tmp_path):
    return save_model(tmp_path / "objects.safetensors", "foreground")


def save_model(path, target):
    classes = 5 if target == "distance" else 2
    config = ModelConfig(width=4, depth=2, padding="same", norm="batch", classes=classes)
    rules = ObjectRules(target="distance", seed=0.6) if target == "distance" else None
    units = Normalization(offset=(0.0,) * classes, scale=(1.0,) * classes) if target == "image" else None
    card = ModelCard(
        model=config, normalization=Normalization(), target=target, rules=rules, target_normalization=units
    )
    save_network(path, build(config), card)
    return path


def noise(*shape):
    return np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)


def predict_shares(biounet, model, image, out, *words):
    """Predict probabilities; return where they are."""
    status, said = biounet("predict", model, image, "--out", out, "--save", "probabilities", *words)
    assert status == 0, said
    return out


def same_tables(one, other):
    for name in TABLES:
        assert (one / name).read_bytes() == (other / name).read_bytes()
    assert len((one / TABLES[0]).read_text().splitlines()) > 2, "there are objects"
    assert "confidence" in (one / TABLES[1]).read_text()
    assert not list(one.rglob(".*.confidence")), "what is in the tables is kept nowhere else"


def test_a_folder_of_images_gets_the_tables_of_measure(biounet, model, tmp_path):
    for name in ("a.png", "b.tif"):
        write(tmp_path / "in" / name, Image(noise(40, 50), "YX"))
    words = ("predict", model, tmp_path / "in", "--out", tmp_path / "out", "--table")
    status, said = biounet(*words)
    assert status == 0, said
    assert "objects in 2 label images" in said
    shares = ("--probabilities", predict_shares(biounet, model, tmp_path / "in", tmp_path / "shares"))
    again = ("--image", tmp_path / "in", *shares, "--out", tmp_path / "again")
    assert biounet("measure", tmp_path / "out", *again)[0] == 0
    same_tables(tmp_path / "out", tmp_path / "again")

    (tmp_path / "out" / "b.tif").unlink()
    assert "objects.csv exists already" in biounet(*words)[1]
    assert not (tmp_path / "out" / "b.tif").exists(), "that is said before anything is predicted"
    status, said = biounet(*words, "--resume")
    assert status == 0, said
    assert "the confidence of objects is missing for a.tif: of what an earlier run finished" in said
    for name in TABLES:
        before, after = (pandas.read_csv(tmp_path / folder / name) for folder in ("again", "out"))
        assert after["confidence"].isna().tolist() == (after["image"] == "a.tif").tolist()
        before.loc[before["image"] == "a.tif", "confidence"] = np.nan
        pandas.testing.assert_frame_equal(before, after)


@pytest.mark.parametrize("part", ["_measure", "write_prediction_page"])
def test_an_image_that_changes_before_the_tables_or_the_page_are_made_is_said(
    biounet, model, tmp_path, monkeypatch, part
):
    for number, name in enumerate("ab"):
        write(tmp_path / "in" / f"{name}.png", Image(noise(40, 50 + number), "YX"))
    predict = importlib.import_module("biounet.cli.predict")  # the command has the same name
    make = getattr(predict, part)

    def change(*given, **options):
        write(tmp_path / "in" / "a.png", Image(255 - noise(40, 50), "YX"), overwrite=True)
        return make(*given, **options)

    monkeypatch.setattr(predict, part, change)
    status, said = biounet("predict", model, tmp_path / "in", "--out", tmp_path / "out", "--table")
    assert (status, "a.png changed while it was predicted" in said) == (2, True), said


def test_tables_of_another_model_are_not_kept_when_its_labels_are_replaced(biounet, model, tmp_path):
    write(tmp_path / "a.tif", Image(noise(40, 50), "YX"))
    other = save_model(tmp_path / "other.safetensors", "distance")
    words = (tmp_path / "a.tif", "--table", "--overwrite")
    assert biounet("predict", model, *words, "--out", tmp_path / "alone" / "o.tif")[0] == 0
    out = tmp_path / "out" / "o.tif"
    assert biounet("predict", other, *words, "--out", out)[0] == 0
    assert biounet("predict", model, *words, "--out", out, "--resume")[0] == 0
    same_tables(tmp_path / "alone", tmp_path / "out")


def test_tables_of_a_complete_result_stay_however_often_it_is_resumed(biounet, model, tmp_path):
    pytest.importorskip("zarr")
    write(tmp_path / "a.tif", Image(noise(40, 50), "YX"))
    words = ("predict", model, tmp_path / "a.tif", "--out", tmp_path / "o.zarr", "--table")
    assert biounet(*words)[0] == 0
    before = [(tmp_path / name).read_bytes() for name in TABLES]
    for _ in range(2):
        status, said = biounet(*words, "--resume")
        assert (status, "objects.csv is complete already" in said) == (0, True), said
        assert [(tmp_path / name).read_bytes() for name in TABLES] == before


@pytest.mark.parametrize("out", ["labels.zarr", "image.zarr/labels/cells"])
def test_sections_that_are_numbered_one_by_one_are_measured_so_beside_the_store(biounet, model, tmp_path, out):
    pytest.importorskip("zarr")
    image = tmp_path / "image.zarr"
    write(image, Image(noise(3, 40, 50), "ZYX"))
    status, said = biounet("predict", model, image, "--out", tmp_path / out, "--table", "--tile", 24)
    assert status == 0, said
    shares = predict_shares(biounet, model, image, tmp_path / "shares.zarr", "--tile", 24)
    words = ("--image", image, "--probabilities", shares, "--by-section", "--out", tmp_path / "again")
    assert biounet("measure", tmp_path / out, *words)[0] == 0
    same_tables(tmp_path, tmp_path / "again")


def test_linked_objects_are_measured_as_volumes(biounet, model, tmp_path):
    write(tmp_path / "in.tif", Image(noise(1, 40, 50).repeat(3, axis=0), "ZYX"))
    words = ("predict", model, tmp_path / "in.tif", "--out")
    status, said = biounet(*words, tmp_path / "out" / "linked.tif", "--link", "--table")
    assert status == 0, said
    shares = predict_shares(biounet, model, tmp_path / "in.tif", tmp_path / "shares.tif")
    words = ("--image", tmp_path / "in.tif", "--probabilities", shares, "--out", tmp_path / "again")
    assert biounet("measure", tmp_path / "out" / "linked.tif", *words)[0] == 0
    same_tables(tmp_path / "out", tmp_path / "again")
    with (tmp_path / "out" / TABLES[0]).open() as stream:
        boxes = {(row["box_start_z"], row["box_stop_z"]) for row in csv.DictReader(stream)}
    assert boxes == {("0", "3")}, "equal sections have the same objects"


def test_confidence_is_that_of_the_mean_of_several_models(biounet, tmp_path):
    one, other = (save_model(tmp_path / f"{name}.safetensors", "distance") for name in ("one", "other"))
    write(tmp_path / "in.tif", Image(noise(40, 50), "YX"))
    words = ("--with", other, "--tta")
    assert biounet("predict", one, tmp_path / "in.tif", "--out", tmp_path / "a" / "b.tif", *words, "--table")[0] == 0
    shares = predict_shares(biounet, one, tmp_path / "in.tif", tmp_path / "shares.tif", *words)
    words = ("--image", tmp_path / "in.tif", "--probabilities", shares, "--model", one, "--out", tmp_path / "again")
    assert biounet("measure", tmp_path / "a" / "b.tif", *words)[0] == 0
    same_tables(tmp_path / "a", tmp_path / "again")


@pytest.mark.parametrize("suffix", [".tif", ".zarr"])
def test_confidence_does_not_depend_on_tiles_and_regions(biounet, model, tmp_path, monkeypatch, suffix):
    if suffix == ".zarr":
        pytest.importorskip("zarr")
    write(tmp_path / "in.tif", Image(noise(90, 75), "YX"))
    words = ("predict", model, tmp_path / "in.tif", "--table", "--out")
    assert biounet(*words, tmp_path / "whole" / f"cells{suffix}")[0] == 0
    in_regions = partial(predict_files, region_memory=40 * 32**2)
    monkeypatch.setattr("biounet.cli.predict.predict_files", in_regions)
    assert biounet(*words, tmp_path / "cut" / f"cells{suffix}", "--tile", 16)[0] == 0
    whole, cut = (pandas.read_csv(tmp_path / folder / TABLES[0]) for folder in ("whole", "cut"))
    assert whole["area_px"].tolist() == cut["area_px"].tolist()
    np.testing.assert_allclose(whole["confidence"], cut["confidence"], rtol=1e-5)
    assert whole["confidence"].between(0.5, 1).all()


def test_a_run_that_was_stopped_keeps_the_confidence_of_what_it_finished(biounet, model, tmp_path):
    pytest.importorskip("zarr")
    write(tmp_path / "in" / "a.tif", Image(noise(40, 50), "YX"))
    write(tmp_path / "in" / "b.zarr", Image(noise(3, 40, 50), "TYX"))
    assert biounet("predict", model, tmp_path / "in", "--out", tmp_path / "whole", "--table")[0] == 0

    def stop(share, text):
        if share > 0.7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_files(model, [tmp_path / "in"], tmp_path / "out", confidence=True, progress=stop)
    assert not (tmp_path / "out" / TABLES[0]).exists()
    status, said = biounet("predict", model, tmp_path / "in", "--out", tmp_path / "out", "--table", "--resume")
    assert status == 0, said
    assert "1 tiles are left to do" in said
    same_tables(tmp_path / "out", tmp_path / "whole")


def test_axes_of_images_that_do_not_tell_are_not_those_of_labels(biounet, tmp_path):
    config = ModelConfig(width=4, depth=2, padding="same", in_channels=3)
    card = ModelCard(model=config, normalization=Normalization(), target="foreground")
    save_network(tmp_path / "colours.safetensors", build(config), card)
    write(tmp_path / "in.tif", Image(noise(3, 40, 50), "CYX"))
    words = (tmp_path / "in.tif", "--axes", "CYX", "--out", tmp_path / "out.tif", "--table")
    status, said = biounet("predict", tmp_path / "colours.safetensors", *words)
    assert status == 0, said
    assert "intensity_mean_2" in (tmp_path / "objects.csv").read_text()


def test_grey_images_among_colours_have_the_same_columns(biounet, tmp_path):
    config = ModelConfig(width=4, depth=2, padding="same", in_channels=3)
    card = ModelCard(model=config, normalization=Normalization(), target="foreground")
    save_network(tmp_path / "colours.safetensors", build(config), card)
    grey = noise(40, 50)
    write(tmp_path / "in" / "grey.png", Image(grey, "YX"))
    write(tmp_path / "in" / "rgb.png", Image(np.stack([grey, grey // 2, grey // 3]), "CYX"))
    words = (tmp_path / "in", "--out", tmp_path / "out", "--table")
    status, said = biounet("predict", tmp_path / "colours.safetensors", *words)
    assert status == 0, said
    with (tmp_path / "out" / TABLES[0]).open() as stream:
        rows = list(csv.DictReader(stream))
    means = {
        name: {tuple(row[f"intensity_mean_{channel}"] for channel in range(3)) for row in rows if row["image"] == name}
        for name in ("grey.tif", "rgb.tif")
    }
    assert all("" != one == two == three for one, two, three in means["grey.tif"])
    assert "intensity_mean" not in rows[0]
    assert any(one != two != three for one, two, three in means["rgb.tif"])


def test_a_dataset_as_training_reads_it_is_predicted(biounet, model, tmp_path):
    for case in ("one", "two"):
        write(tmp_path / "set" / case / "images" / f"{case}.png", Image(noise(40, 50), "YX"))
    status, said = biounet("predict", model, tmp_path / "set", "--out", tmp_path / "out", "--table")
    assert status == 0, said
    assert sorted(path.name for path in (tmp_path / "out").glob("*.tif")) == ["one.tif", "two.tif"]
    assert "objects in 2 label images" in said


def test_a_sequence_of_the_challenge_becomes_masks_that_are_scored(biounet, model, tmp_path):
    for name in ("t002.tif", "t010.tif"):
        write(tmp_path / "01" / name, Image(noise(40, 50), "YX"))
    status, said = biounet("predict", model, tmp_path / "01", "--out", tmp_path / "01_RES", "--table")
    assert status == 0, said
    masks = [tmp_path / "01_RES" / name for name in ("mask002.tif", "mask010.tif")]
    assert sorted((tmp_path / "01_RES").glob("*.tif")) == masks
    for path in masks:
        with tifffile.TiffFile(path) as file:
            assert file.pages[0].dtype == np.uint16
            assert not file.is_bigtiff, "programs of the challenge do not know it"
    truth = tmp_path / "01_GT" / "SEG" / "man_seg002.tif"
    write(truth, read(masks[0], labels=True))
    status, said = biounet(
        "evaluate", tmp_path / "01_RES", tmp_path / "01_GT", "--metrics", "seg", "--json", tmp_path / "s"
    )
    assert status == 0, said
    assert json.loads((tmp_path / "s").read_text())["scores"]["seg"] == 1

    status, said = biounet(
        "predict", model, tmp_path / "01", "--out", tmp_path / "other_RES", "--save", "probabilities"
    )
    assert status == 0, said
    assert (tmp_path / "other_RES" / "t002.tif").exists(), "probabilities are no masks"


def test_more_objects_than_the_challenge_takes_are_refused(biounet, model, tmp_path):
    write(tmp_path / "01" / "t000.tif", Image(noise(420, 420), "YX"))
    status, said = biounet("predict", model, tmp_path / "01", "--out", tmp_path / "01_RES")
    assert status == 2
    assert "mask000.tif would have more than 65535 objects" in said
    assert not (tmp_path / "01_RES").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("objects", "--save", "probabilities"), "--save is probabilities; save labels"),
        (("objects", "--save", "classes"), "--save is classes; save labels"),
        (("classes",), "add --save objects, to number the parts of the foreground"),
        (("image",), "draws images, in which there are no numbered objects"),
    ],
)
def test_where_there_are_no_objects_nothing_is_predicted(biounet, model, tmp_path, words, said):
    for target in ("classes", "image"):
        save_model(tmp_path / f"{target}.safetensors", target)
    write(tmp_path / "in.tif", Image(noise(40, 50), "YX"))
    network, *options = words
    words = (tmp_path / f"{network}.safetensors", tmp_path / "in.tif", "--out", tmp_path / "out", "--table")
    status, lines = biounet("predict", *words, *options)
    assert status == 2
    assert said in lines
    assert lines.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_tables_hold_the_others_and_a_resumed_run_adds_the_image_that_was_put_right(biounet, model, tmp_path):
    for name in "abc":
        write(tmp_path / "in" / f"{name}.tif", Image(noise(40, 50), "YX"))
    words = ("predict", model, tmp_path / "in", "--table", "--out")
    assert biounet(*words, tmp_path / "whole")[0] == 0
    whole = (tmp_path / "in" / "b.tif").read_bytes()
    (tmp_path / "in" / "b.tif").write_bytes(whole[:200])
    status, said = biounet(*words, tmp_path / "out")
    last = said.splitlines()[-1]
    assert (status, last.startswith("biounet: 1 of 3 images could not be predicted: ")) == (2, True)
    assert "b.tif cannot be read as TIFF" in last
    assert last.endswith("; put it right and run again with --resume")
    table = pandas.read_csv(tmp_path / "out" / TABLES[0])
    assert sorted(set(table["image"])) == ["a.tif", "c.tif"]
    assert table["confidence"].notna().all()
    (tmp_path / "in" / "b.tif").write_bytes(whole)
    status, said = biounet(*words, tmp_path / "out", "--resume")
    assert status == 0, said
    same_tables(tmp_path / "out", tmp_path / "whole")


def test_where_all_images_are_bad_there_is_no_table(biounet, model, tmp_path):
    (tmp_path / "in").mkdir()
    for name in "ab":
        (tmp_path / "in" / f"{name}.tif").write_bytes(b"torn")
    status, said = biounet("predict", model, tmp_path / "in", "--table", "--out", tmp_path / "out")
    assert (status, "2 of 2 images could not be predicted" in said) == (2, True)
    assert not (tmp_path / "out").exists()


def test_series_channel_and_level_are_selected(biounet, model, tmp_path):
    pixels = noise(2, 128, 96)
    path = tmp_path / "two.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        options = {"tile": (16, 16), "photometric": "minisblack"}
        writer.write(noise(200, 200), metadata={"axes": "YX"}, **options)
        sizes = {"axes": "CYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
        writer.write(pixels, subifds=1, metadata=sizes, **options)
        writer.write(pixels[:, ::2, ::2], subfiletype=1, **options)
    words = ("--series", 1, "--channel", 1, "--level", 1, "--save", "probabilities")
    status, said = biounet("predict", model, path, "--out", tmp_path / "o.tif", *words)
    assert status == 0, said
    write(tmp_path / "alone.tif", Image(pixels[1, ::2, ::2], "YX", (1.0, 1.0)))
    predict_files(model, [tmp_path / "alone.tif"], tmp_path / "p.tif", save="probabilities")
    found, wanted = read(tmp_path / "o.tif"), read(tmp_path / "p.tif")
    assert found.spacing == pytest.approx((1.0, 1.0))
    np.testing.assert_array_equal(found.array, wanted.array)


def test_what_was_guessed_is_said_once(biounet, model, tmp_path):
    for name in "ab":
        (tmp_path / "in").mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / "in" / f"{name}.tif", noise(3, 32, 32), photometric="minisblack", metadata=None)
    status, said = biounet("predict", model, tmp_path / "in", "--out", tmp_path / "out")
    assert status == 0, said
    assert said.count("3 pages are taken for sections (Z); if it is a film give --axes TYX") == 1


@pytest.mark.parametrize("words", [("--channel", "x"), ("--channel", "-1"), ("--axes", "ABC"), ("--level", "-1")])
def test_selections_that_mean_nothing_are_refused(biounet, model, tmp_path, words):
    write(tmp_path / "a.tif", Image(noise(32, 32), "YX"))
    status, said = biounet("predict", model, tmp_path / "a.tif", "--out", tmp_path / "o.tif", *words)
    assert status == 2
    assert words[0].strip("-") in said


def test_channels_of_training_are_those_of_prediction(biounet, tmp_path):
    config = ModelConfig(width=4, depth=2, padding="same", norm="batch", classes=2)
    training = {"settings": {"train": {"channel": [1], "level": 2}}}
    card = ModelCard(model=config, normalization=Normalization(), target="foreground", training=training)
    save_network(tmp_path / "m.safetensors", build(config), card)
    pixels = noise(3, 32, 32)
    write(tmp_path / "a.tif", Image(pixels, "CYX"))
    write(tmp_path / "b.tif", Image(pixels[1], "YX"))
    status, said = biounet(
        "predict", tmp_path / "m.safetensors", tmp_path / "a.tif", "--out", tmp_path / "o", "--table"
    )
    assert status == 0, said
    assert "channels 1 are read, which the network was trained on" in said
    assert "trained on level 2 of its images" in said
    predict_files(tmp_path / "m.safetensors", [tmp_path / "b.tif"], tmp_path / "p.tif", channel=(0,))
    np.testing.assert_array_equal(read(tmp_path / "o" / "a.tif").array, read(tmp_path / "p.tif").array)
