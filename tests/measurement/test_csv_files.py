"""Tables, pictures and outlines of objects as files: what is written, and what is said of bad input."""

import csv
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas
import pytest
import roifile
from skimage.draw import polygon2mask

from biounet.core.errors import ConfigError, ShapeError
from biounet.io import Image, read, write
from biounet.measurement import measure_objects
from biounet.measurement.csv_files import write_tables
from biounet.measurement.frames import FrameTable, measure_frame, open_frames
from biounet.measurement.overlay import draw_objects

SQUARES = np.zeros((20, 24), np.uint16)
SQUARES[2:8, 3:9], SQUARES[8:12, 9:12], SQUARES[15:20, 20:24] = 1, 2, 5


@pytest.fixture
def measure(command):
    """Run `biounet measure`; return status and what was said."""
    return lambda *words: command("measure", *words)[::2]


def tables(path: Path, *, memory: int = 2**28, **options) -> list[FrameTable]:
    with ExitStack() as stack:
        return [measure_frame(frame, memory=memory) for frame in open_frames(path, files=stack, **options)]


def test_a_file_is_measured_region_by_region_as_a_whole(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(0, 40, (12, 14)), np.ones((5, 6), int)).astype(np.int32)
    image, shares = rng.integers(0, 999, (2, *labels.shape)), rng.random(labels.shape).astype(np.float32)
    write(tmp_path / "labels.tif", Image(labels, "YX", (0.5, 0.25)))
    write(tmp_path / "image.tif", Image(image.astype(np.uint16), "CYX"))
    write(tmp_path / "shares.tif", Image(shares, "YX"))
    beside = {"image": tmp_path / "image.tif", "probabilities": tmp_path / "shares.tif"}
    whole = measure_objects(labels, image=image, probabilities=shares, spacing=(0.5, 0.25))
    for memory in (2**28, 4000):
        (frame,) = tables(tmp_path / "labels.tif", memory=memory, **beside)
        assert list(frame.table) == list(whole)
        for name, column in whole.items():
            if column.dtype.kind == "f":
                np.testing.assert_allclose(frame.table[name], column, rtol=1e-9, err_msg=name)
            else:
                np.testing.assert_array_equal(frame.table[name], column, err_msg=name)


def test_stacks_are_volumes_or_sections_and_movies_are_frames(tmp_path):
    stack = np.stack([SQUARES, np.roll(SQUARES, 1, axis=1)])
    write(tmp_path / "stack.tif", Image(stack, "ZYX", (2.0, 1.0, 1.0)))
    (volume,) = tables(tmp_path / "stack.tif")
    assert (volume.table["volume_um3"] == 2 * volume.table["volume_px"]).all()
    sections = tables(tmp_path / "stack.tif", by_section=True)
    assert [frame.position for frame in sections] == [(("Z", 0),), (("Z", 1),)]
    assert sections[0].table["area_um2"].tolist() == [36, 12, 20]
    movie = tables(tmp_path / "stack.tif", axes="TYX")
    assert [frame.position for frame in movie] == [(("T", 0),), (("T", 1),)]


def test_objects_csv_is_read_by_pandas_and_counts_sum_it_up(measure, tmp_path):
    for name, labels in (("a", SQUARES), ("b", np.zeros_like(SQUARES))):
        write(tmp_path / "labels" / f"{name}.tif", Image(labels, "YX", (0.5, 0.5)))
        write(tmp_path / "images" / f"{name}.png", Image(np.full((3, 20, 24), 7, np.uint8), "CYX"))
        write(tmp_path / "shares" / f"{name}.tif", Image(np.full((20, 24), 0.75, np.float32), "YX"))
    words = ("--image", tmp_path / "images", "--probabilities", tmp_path / "shares", "--out", tmp_path / "out")
    status, said = measure(tmp_path / "labels", *words)
    assert status == 0
    assert said.splitlines()[0] == f"3 objects in 2 label images: {tmp_path / 'out' / 'objects.csv'}"
    table = pandas.read_csv(tmp_path / "out" / "objects.csv")
    assert table["image"].tolist() == ["a.tif"] * 3
    assert table["label"].tolist() == [1, 2, 5]
    assert table["area_um2"].tolist() == [9, 3, 5]
    assert table["neighbour_labels"].fillna(0).tolist() == [2, 1, 0]
    assert table["touches_border"].tolist() == [0, 0, 1]
    assert table["intensity_mean_2"].tolist() == [7, 7, 7]
    assert table["confidence"].tolist() == [0.75] * 3
    counts = pandas.read_csv(tmp_path / "out" / "counts.csv")
    assert counts["objects"].tolist() == [3, 0]
    assert counts["covered"].tolist() == pytest.approx([68 / 480, 0])
    assert counts["area_px_mean"][0] == pytest.approx(68 / 3)
    assert counts[["touching", "touching_border"]].to_numpy().tolist() == [[2, 1], [0, 0]]
    assert counts["confidence"].isna().tolist() == [False, True]


def test_a_table_is_plain_for_fiji(measure, tmp_path):
    """Its reader splits lines at commas, and takes cells that are numbers with a point as such."""
    write(tmp_path / "a.tif", Image(SQUARES, "YX"))
    assert measure(tmp_path / "a.tif", "--out", tmp_path)[0] == 0
    heading, *rows = (tmp_path / "objects.csv").read_bytes().decode("ascii").removesuffix("\n").split("\n")
    assert heading.split(",")[:3] == ["image", "label", "area_px"]
    for row in rows:
        cells = dict(zip(heading.split(","), row.split(","), strict=True))
        for name in set(cells) - {"image", "neighbour_labels"}:
            float(cells[name])


def test_an_image_without_objects_gives_a_heading(measure, tmp_path):
    write(tmp_path / "a.png", Image(np.zeros((5, 6), np.uint8), "YX"))
    assert measure(tmp_path / "a.png", "--out", tmp_path, "--pictures", "--rois")[0] == 0
    assert len((tmp_path / "objects.csv").read_text().splitlines()) == 1
    assert len((tmp_path / "counts.csv").read_text().splitlines()) == 2
    assert roifile.roiread(tmp_path / "rois" / "a.zip") == []


def test_pieces_are_said_or_split(measure, tmp_path):
    labels = SQUARES.copy()
    labels[0, 20] = 1
    write(tmp_path / "a.tif", Image(labels, "YX"))
    status, said = measure(tmp_path / "a.tif", "--out", tmp_path / "as_one")
    assert status == 0
    assert "a.tif has 1 object in several pieces (1 in 2); each is measured as one, --split" in said
    status, said = measure(tmp_path / "a.tif", "--out", tmp_path / "split", "--split")
    assert (status, "note" in said) == (0, False)
    with (tmp_path / "split" / "objects.csv").open() as stream:
        areas = {row["label"]: row["area_px"] for row in csv.DictReader(stream)}
    assert areas == {"1": "1", "2": "12", "5": "20", "6": "36"}
    split = read(tmp_path / "split" / "labels" / "a.tif").array
    assert (split[0, 20], split[3, 4]) == (1, 6)


def test_floats_are_labels_if_they_are_whole(measure, tmp_path):
    write(tmp_path / "whole.tif", Image(SQUARES.astype(np.float32), "YX"))
    assert tables(tmp_path / "whole.tif")[0].table["area_px"].tolist() == [36, 12, 20]
    write(tmp_path / "share.tif", Image(np.full((4, 4), 0.5, np.float32), "YX"))
    status, said = measure(tmp_path / "share.tif", "--out", tmp_path / "out")
    assert (status, said.count("\n")) == (2, 1)
    assert "share.tif: labels must be whole numbers, got 0.5" in said
    assert not (tmp_path / "out" / "objects.csv").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--image", "small.tif"], "small.tif has frames 1 of 3 x 3 pixels, the labels a.tif have 1 of 20 x 24"),
        (["--image", "none"], "none has no file named or numbered as a.tif"),
        (["--annotate", "3"], "--annotate needs --probabilities"),
        (["--probabilities", "a.tif"], None),
        (["--probabilities", "large.tif"], "probabilities must be from 0 to 1, got 0 to 5"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(measure, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    write(Path("a.tif"), Image(SQUARES, "YX"))
    write(Path("large.tif"), Image(SQUARES.astype(np.float32), "YX"))
    write(Path("small.tif"), Image(np.ones((3, 3), np.uint8), "YX"))
    Path("none").mkdir()
    status, line = measure("a.tif", "--out", "out", *words)
    assert status == (0 if said is None else 2)
    if said is not None:
        assert said in line
        assert len(line.splitlines()) == 1


def test_nothing_is_overwritten(measure, tmp_path):
    write(tmp_path / "a.tif", Image(SQUARES, "YX"))
    (tmp_path / "objects.csv").write_text("mine")
    assert "exists already" in measure(tmp_path / "a.tif", "--out", tmp_path)[1]
    assert (tmp_path / "objects.csv").read_text() == "mine"
    assert measure(tmp_path / "a.tif", "--out", tmp_path, "--overwrite")[0] == 0


def test_frames_with_other_columns_need_their_kinds(tmp_path):
    plain, known = measure_objects(SQUARES), measure_objects(SQUARES, spacing=(1.0, 1.0))
    frames = [FrameTable("a.tif", (), 480, plain), FrameTable("b.tif", (("T", 4),), 480, known)]
    with pytest.raises(ConfigError, match=r"b\.tif is measured in columns .*area_um2"):
        write_tables(frames, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert write_tables(frames, tmp_path, kinds=frames) == 6
    table, counts = (pandas.read_csv(tmp_path / name) for name in ("objects.csv", "counts.csv"))
    assert list(table)[:5] == ["image", "frame", "label", "area_px", "area_um2"]
    assert table["frame"].isna().tolist() == [True] * 3 + [False] * 3
    assert table["area_um2"].tolist()[3:] == table["area_px"].tolist()[3:] == [36, 12, 20]
    assert table[["area_um2", "perimeter_um"]].isna().to_numpy().tolist() == [[True] * 2] * 3 + [[False] * 2] * 3
    assert table["perimeter_px"].isna().tolist() == [False] * 3 + [True] * 3
    assert list(counts) == [
        *("image", "frame", "objects", "covered", "area_px_mean", "area_um2_mean", "touching", "touching_border")
    ]
    assert counts["area_um2_mean"].isna().tolist() == [True, False]


def test_grey_and_colour_images_share_a_table(measure, tmp_path):
    images = {
        "a.png": Image(np.full((20, 24), 9, np.uint8), "YX", (0.5, 0.5)),
        "b.png": Image(np.stack([np.full((20, 24), value, np.uint8) for value in (1, 2, 3)]), "CYX"),
    }
    for name, image in images.items():
        write(tmp_path / "labels" / name, Image(SQUARES.astype(np.uint8), "YX"))
        write(tmp_path / "images" / name, image)
    status, said = measure(tmp_path / "labels", "--image", tmp_path / "images", "--out", tmp_path, "--pictures")
    assert status == 0, said
    table = pandas.read_csv(tmp_path / "objects.csv").fillna(-1)
    assert table["intensity_mean"].tolist() == [9] * 3 + [-1] * 3
    for channel, value in enumerate((1, 2, 3)):
        assert table[f"intensity_mean_{channel}"].tolist() == [-1] * 3 + [value] * 3
    assert table["area_um2"].tolist() == [9, 3, 5, -1, -1, -1]


def test_a_later_file_that_does_not_fit_leaves_the_others(measure, tmp_path):
    for name, size in (("a.png", SQUARES.shape), ("b.png", (3, 3))):
        write(tmp_path / "labels" / name, Image(SQUARES.astype(np.uint8), "YX"))
        write(tmp_path / "images" / name, Image(np.ones(size, np.uint8), "YX"))
    words = ("--image", tmp_path / "images", "--out", tmp_path / "out", "--pictures", "--rois")
    status, said = measure(tmp_path / "labels", *words)
    assert status == 2
    assert "b.png" in said
    assert set(pandas.read_csv(tmp_path / "out" / "objects.csv")["image"]) == {"a.png"}
    assert not list((tmp_path / "out").glob("*/b.*"))


def test_frames_of_the_challenge_pair_by_number_and_regions_are_listed(measure, tmp_path):
    shares = np.zeros((20, 24), np.float32)
    shares[12:16, 4:8] = 0.5
    for number in (0, 3):
        write(tmp_path / "SEG" / f"man_seg{number:03}.tif", Image(SQUARES, "YX"))
        write(tmp_path / "shares" / f"t{number:03}.tif", Image(shares * (number > 0), "YX"))
    words = ("--probabilities", tmp_path / "shares", "--annotate", 2, "--region", 4)
    assert measure(tmp_path / "SEG", "--out", tmp_path / "out", *words)[0] == 0
    first = pandas.read_csv(tmp_path / "out" / "annotate.csv").iloc[0].to_dict()
    assert first == {
        "image": "man_seg003.tif",
        "start_y": 12,
        "start_x": 4,
        "stop_y": 16,
        "stop_x": 8,
        "entropy": 1.0,
    }


def test_outlines_for_imagej_are_the_objects(measure, tmp_path):
    stack = np.stack([SQUARES, np.roll(SQUARES, 3, axis=0)])
    write(tmp_path / "stack.tif", Image(stack, "ZYX"))
    assert measure(tmp_path / "stack.tif", "--out", tmp_path, "--rois")[0] == 0
    rois = roifile.roiread(tmp_path / "rois" / "stack.zip")
    assert [roi.name for roi in rois][:3] == ["z0000-00001", "z0000-00002", "z0000-00005"]
    for roi in rois:
        section, label = roi.position - 1, int(roi.name[-5:])
        split = label == 5 and section == 1  # rolled over the edge, it is in two pieces
        assert roi.roitype == (roifile.ROI_TYPE.RECT if split else roifile.ROI_TYPE.POLYGON)
        rings = roi.coordinates(multi=True)
        filled = [polygon2mask(SQUARES.shape, ring[:, ::-1] - 0.5) for ring in rings]
        np.testing.assert_array_equal(np.logical_xor.reduce(filled), stack[section] == label)


def test_pictures_show_outlines_inside_of_objects():
    image = np.full(SQUARES.shape, 9, np.uint8)
    picture = draw_objects(image, SQUARES, numbers=False)
    zoom = len(picture) // len(SQUARES)
    coloured = (picture != picture[0, 0]).any(axis=2)
    large = SQUARES.repeat(zoom, axis=0).repeat(zoom, axis=1)
    assert coloured[large == 0].sum() == 0
    assert coloured[2 * zoom, 3 * zoom : 9 * zoom].all()
    assert not coloured[2 * zoom + 1 : 8 * zoom - 1, 3 * zoom + 1 : 9 * zoom - 1].any()
    numbered = draw_objects(image, SQUARES)
    assert ((numbered != picture).any(axis=2) & (large == 1)).any()
    with pytest.raises(ShapeError):
        draw_objects(np.zeros((3, 3)), SQUARES)


def test_more_objects_than_16_bits_hold_are_measured(tmp_path):
    many = np.arange(70_000).reshape(200, 350)
    write(tmp_path / "many.tif", Image(many.astype(np.uint32), "YX"))
    assert len(tables(tmp_path / "many.tif")[0].table["label"]) == 69_999


def test_measuring_needs_no_torch():
    code = "import sys, biounet.cli.measure; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
