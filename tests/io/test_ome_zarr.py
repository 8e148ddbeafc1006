"""OME-Zarr 0.4 and 0.5: metadata, regions, labels, levels, broken chunks, runs that go on."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from biounet.core.boxes import Box
from biounet.core.errors import ImageError, MissingExtraError, OutputError, ShapeError
from biounet.io import Image, create, ome_zarr, open_lazily, read, write
from biounet.io.ome_metadata import describe_image, parse
from biounet.io.pyramid import halve, level_factors, level_shape
from processes import process_of

zarr = pytest.importorskip("zarr", reason="the extra zarr is not installed")

LAWS = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def numbered(shape, dtype="uint16"):
    return (np.arange(np.prod(shape)) % 251).reshape(shape).astype(dtype)


def files(path):
    """Every file of a store with its bytes."""
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


# Metadata


def image(*, axes=("y", "x"), scale=(1, 1)):
    """Attributes of an image, as version 0.5 has them."""
    transformations = [{"type": "scale", "scale": scale}]
    datasets = [{"path": "0", "coordinateTransformations": transformations}]
    return {"ome": {"version": "0.5", "multiscales": [{"axes": list(axes), "datasets": datasets}]}}


def test_metadata_of_version_0_5_as_the_specification_has_it():
    written = describe_image(
        "cells", axes="CYX", spacing=(0.5, 0.25), factors=[{"Y": 1, "X": 1}, {"Y": 2, "X": 2}], version="0.5"
    )
    assert written == {
        "ome": {
            "version": "0.5",
            "multiscales": [
                {
                    "name": "cells",
                    "type": "mean",
                    "axes": [
                        {"name": "c", "type": "channel"},
                        {"name": "y", "type": "space", "unit": "micrometer"},
                        {"name": "x", "type": "space", "unit": "micrometer"},
                    ],
                    "datasets": [
                        {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1.0, 0.5, 0.25]}]},
                        {"path": "1", "coordinateTransformations": [{"type": "scale", "scale": [1.0, 1.0, 0.5]}]},
                    ],
                }
            ],
        }
    }


def test_metadata_of_version_0_4_carries_the_version_in_the_image():
    written = describe_image("cells", axes="YX", spacing=None, factors=[{}], version="0.4", labels=True)
    assert written["multiscales"][0]["version"] == "0.4"
    assert written["image-label"] == {"version": "0.4", "source": {"image": "../../"}}
    assert written["multiscales"][0]["axes"][0] == {"name": "y", "type": "space"}


def test_units_and_scales_of_both_kinds_are_multiplied():
    found = parse(
        {
            "multiscales": [
                {
                    "axes": [
                        {"name": "z", "type": "space", "unit": "nanometer"},
                        {"name": "y", "type": "space", "unit": "millimeter"},
                        {"name": "x", "type": "space"},
                    ],
                    "coordinateTransformations": [{"type": "scale", "scale": [10, 1, 1]}],
                    "datasets": [{"path": "s0", "coordinateTransformations": [{"type": "scale", "scale": [50, 2, 3]}]}],
                }
            ]
        }
    )
    assert found.axes == "ZYX"
    assert found.path == "s0"
    assert found.spacing == {"Z": 0.5, "Y": 2000}
    assert parse({"anything": 1}) is None


# Reading and writing


@LAWS
@given(
    st.sampled_from(["YX", "ZYX", "CYX", "TYX", "CZYX", "TCZYX"]),
    st.sampled_from(["uint8", "int16", "uint16", "float32", "float64"]),
    st.data(),
)
def test_what_is_written_is_read_whole_and_by_region(tmp_path, axes, dtype, data):
    shape = tuple(data.draw(st.integers(2 if axis == "Z" else 1, 3)) for axis in axes[:-2]) + tuple(
        data.draw(st.integers(1, 40)) for _ in "YX"
    )
    spatial = axes.replace("T", "").replace("C", "")
    spacing = data.draw(st.none() | st.tuples(*[st.floats(0.001, 100) for _ in spatial]))
    image = Image(numbered(shape, dtype), axes, spacing)
    write(tmp_path / "a.ome.zarr", image, overwrite=True)
    back = read(tmp_path / "a.ome.zarr")
    assert back.axes == axes
    assert back.array.dtype == dtype
    assert back.spacing == spacing
    np.testing.assert_array_equal(back.array, image.array)
    box = Box(tuple(n // 2 for n in shape), shape)
    with open_lazily(tmp_path / "a.ome.zarr") as lazy:
        np.testing.assert_array_equal(lazy.read(box), image.array[box.slices])


@pytest.mark.parametrize(("version", "form"), [("0.4", 2), ("0.5", 3)])
def test_plain_zarr_reads_what_we_write(tmp_path, version, form):
    path = tmp_path / "a.zarr"
    array = numbered((2, 600, 300), "uint8")
    with ome_zarr.create(
        path, shape=array.shape, dtype="uint8", axes="CYX", chunks=(2, 300, 300), version=version
    ) as output:
        output.write(Box((0, 300, 0), (2, 600, 300)), array[:, 300:])
        output.write(Box((0, 0, 0), (2, 300, 300)), array[:, :300])
    group = zarr.open_group(path, mode="r")
    assert group.metadata.zarr_format == form
    np.testing.assert_array_equal(group["0"][:], array)
    # 600 x 300 -> 300 x 150 -> 150 x 150: axes longer than 256 are halved.
    assert [group[level].shape for level in "012"] == [(2, 600, 300), (2, 300, 150), (2, 150, 150)]
    block = array[1, 10:12, 20:22].astype(float).mean()
    assert abs(int(group["1"][1, 5, 10]) - block) <= 0.5
    assert "3" not in group
    if version == "0.5":
        assert group["0"].metadata.dimension_names == ("c", "y", "x")


@pytest.mark.parametrize("form", [2, 3])
def test_stores_of_others_are_read(tmp_path, form):
    array = numbered((3, 20, 30), "uint16")
    group = zarr.create_group(tmp_path / "a.zarr", zarr_format=form)
    group.create_array("full", data=array.astype(">u2") if form == 2 else array, chunks=(1, 7, 8))
    image = {
        "axes": [
            {"name": "z", "type": "space", "unit": "micrometer"},
            *({"name": n, "type": "space", "unit": "nanometer"} for n in "yx"),
        ],
        "datasets": [{"path": "full", "coordinateTransformations": [{"type": "scale", "scale": [0.5, 100, 65]}]}],
        "version": "0.4",
    }
    group.attrs.update({"multiscales": [image]} if form == 2 else {"ome": {"version": "0.5", "multiscales": [image]}})
    back = read(tmp_path / "a.zarr")
    assert back.axes == "ZYX"
    assert back.spacing == pytest.approx((0.5, 0.1, 0.065))
    assert back.array.dtype == np.uint16
    assert back.array.dtype.isnative
    np.testing.assert_array_equal(back.array, array)


def test_axes_are_asked_for_where_a_store_does_not_tell(tmp_path):
    zarr.create_array(tmp_path / "a.zarr", data=numbered((20, 30, 3)))
    with pytest.raises(ImageError, match=r"a\.zarr: cannot tell .* --axes"):
        read(tmp_path / "a.zarr")
    image = read(tmp_path / "a.zarr", axes="YXC")
    assert image.axes == "CYX"
    np.testing.assert_array_equal(image.array, np.moveaxis(numbered((20, 30, 3)), -1, 0))


def test_the_single_image_of_a_converter_is_found_and_folders_of_many_are_refused(tmp_path):
    write(tmp_path / "a.zarr" / "0", Image(numbered((4, 5)), "YX"))
    np.testing.assert_array_equal(read(tmp_path / "a.zarr").array, numbered((4, 5)))
    write(tmp_path / "a.zarr" / "1", Image(numbered((4, 5)), "YX"))
    with pytest.raises(ImageError, match=r"a\.zarr holds no image but 0, 1; give the path of one"):
        read(tmp_path / "a.zarr")


# Labels


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_labels_lie_in_the_image_and_are_listed(tmp_path, version):
    path = tmp_path / "a.zarr"
    with ome_zarr.create(path, shape=(600, 300), dtype="uint8", axes="YX", version=version):
        pass
    cells = (numbered((600, 300)) % 7).astype(np.int64)
    write(path / "labels" / "cells", Image(cells, "YX", (0.5, 0.5)))
    group = zarr.open_group(path, mode="r")
    attributes = group["labels"].attrs.asdict()
    assert (attributes if version == "0.4" else attributes["ome"])["labels"] == ["cells"]
    assert group["labels/cells"].metadata.zarr_format == (2 if version == "0.4" else 3)
    # As many levels as the image has; never averaged.
    np.testing.assert_array_equal(group["labels/cells/1"][:], cells[::2, ::2])
    assert "2" in group["labels/cells"]
    np.testing.assert_array_equal(read(path / "labels" / "cells").array, cells)
    np.testing.assert_array_equal(read(path, labels=True).array, cells)
    assert read(path).array.max() == 0
    write(path / "labels" / "others", Image(cells, "YX"))
    with pytest.raises(ImageError, match=r"holds the labels cells, others; give one as"):
        read(path, labels=True)


def test_labels_may_stand_without_an_image(tmp_path):
    with ome_zarr.create(tmp_path / "a.zarr" / "labels" / "cells", shape=(8, 9), dtype="uint16", axes="YX") as output:
        output.write(Box((0, 0), (8, 9)), numbered((8, 9)))
    np.testing.assert_array_equal(read(tmp_path / "a.zarr", labels=True).array, numbered((8, 9)))


# Levels


@LAWS
@given(st.lists(st.integers(1, 700), min_size=2, max_size=2), st.none() | st.integers(1, 5))
def test_levels_shrink_until_they_are_small(sizes, levels):
    factors = level_factors(sizes, "YX", levels=levels)
    shapes = [level_shape(sizes, "YX", factor) for factor in factors]
    assert shapes[0] == tuple(sizes)
    if levels is None:
        assert max(shapes[-1]) <= 256
        assert all(max(shape) > 256 for shape in shapes[:-1])
    else:
        assert len(shapes) == levels
    for fine, coarse in pairwise(shapes):
        assert all(b in (a, -(-a // 2)) for a, b in zip(fine, coarse, strict=True))


def test_halving_by_hand():
    array = np.array([[0, 2, 9], [4, 6, 9]], np.uint8)
    np.testing.assert_array_equal(halve(array, (2, 2), labels=False), [[3, 9]])
    np.testing.assert_array_equal(halve(array, (2, 2), labels=True), [[0, 9]])
    np.testing.assert_array_equal(halve(array.astype(np.float32), (1, 2), labels=False), [[1, 9], [5, 9]])


# Runs that stop and go on


def begin(path, **options):
    return ome_zarr.create(path, shape=(2, 64, 48), dtype="float32", axes="CYX", chunks=(1, 16, 16), **options)


def tiles():
    for y in range(0, 64, 16):
        for x in range(0, 48, 16):
            yield Box((0, y, x), (2, y + 16, x + 16))


def test_the_store_tells_which_regions_are_there_and_goes_on(tmp_path):
    array = numbered((2, 64, 48), "float32")
    with begin(tmp_path / "whole.zarr") as output:
        for tile in tiles():
            output.write(tile, array[tile.slices])
    output = begin(tmp_path / "part.zarr")
    for tile in list(tiles())[:5]:
        output.write(tile, array[tile.slices])
    with pytest.raises(ZeroDivisionError), output:
        _ = 1 / 0
    with pytest.raises(ImageError, match=r"part\.zarr is not complete; .*--resume"):
        read(tmp_path / "part.zarr")
    (tmp_path / "part.zarr" / "0" / "c" / "0" / "3.abc.partial").write_bytes(b"half")
    with begin(tmp_path / "part.zarr", resume=True) as output:
        assert [output.holds(tile) for tile in tiles()] == [True] * 5 + [False] * 7
        for tile in tiles():
            if not output.holds(tile):
                output.write(tile, array[tile.slices])
    one, other = files(tmp_path / "whole.zarr"), files(tmp_path / "part.zarr")
    assert {name: data.replace(b"whole", b"part") for name, data in one.items()} == other


def test_chunks_of_zeros_are_written_too(tmp_path):
    output = begin(tmp_path / "a.zarr")
    tile = next(tiles())
    assert not output.holds(tile)
    output.write(tile, np.zeros((2, 16, 16), np.float32))
    assert output.holds(tile)


def test_another_process_may_write_other_regions(tmp_path):
    with begin(tmp_path / "a.zarr") as output:
        first, second, *_ = tiles()
        output.write(first, np.full((2, 16, 16), 1, np.float32))
        ome_zarr.attach(tmp_path / "a.zarr").write(second, np.full((2, 16, 16), 2, np.float32))
        assert output.holds(second)
    assert np.unique(read(tmp_path / "a.zarr").array).tolist() == [0, 1, 2]


@pytest.mark.parametrize("box", [Box((0, 8, 0), (2, 24, 16)), Box((0, 0, 0), (2, 8, 16))])
def test_regions_that_cut_a_chunk_are_refused(tmp_path, box):
    with pytest.raises(ShapeError, match="whole chunks"):
        begin(tmp_path / "a.zarr").write(box, np.zeros(box.shape, np.float32))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"shape": (2, 64, 32)}, r"begun with shape \(2, 64, 48\), this run has \(2, 64, 32\)"),
        ({"dtype": "uint8"}, "begun with type float32, this run has uint8"),
        ({"axes": "ZYX"}, "begun with axes CYX, this run has ZYX"),
        ({"chunks": (1, 32, 16)}, "begun with chunks"),
    ],
)
def test_a_run_of_another_kind_does_not_go_on(tmp_path, change, match):
    begin(tmp_path / "a.zarr")
    options = {"shape": (2, 64, 48), "dtype": "float32", "axes": "CYX", "chunks": (1, 16, 16)}
    with pytest.raises(OutputError, match=match):
        ome_zarr.create(tmp_path / "a.zarr", **(options | change), resume=True)


def test_nothing_is_overwritten_unasked(tmp_path):
    begin(tmp_path / "a.zarr")
    with pytest.raises(OutputError, match=r"a\.zarr exists"):
        begin(tmp_path / "a.zarr")
    with pytest.raises(OutputError, match=r"a\.zarr exists"):
        write(tmp_path / "a.zarr", Image(numbered((4, 5)), "YX"))
    with begin(tmp_path / "a.zarr", overwrite=True):
        pass
    zarr.create_group(tmp_path / "b.zarr")
    with pytest.raises(OutputError, match="no OME-Zarr image that was begun"):
        begin(tmp_path / "b.zarr", resume=True)


WRITE_FOREVER = """
import sys, numpy as np
from pathlib import Path
from biounet.core.boxes import Box
from biounet.io import ome_zarr
rng = np.random.default_rng(0)
pixels = rng.random((1024, 1024), np.float32)
output = ome_zarr.create(Path(sys.argv[1]), shape=(1024, 1024), dtype="float32", axes="YX", chunks=(512, 512))
print("begun", flush=True)
while True:
    for y in (0, 512):
        for x in (0, 512):
            output.write(Box((y, x), (y + 512, x + 512)), pixels[y : y + 512, x : x + 512])
"""


def test_a_killed_process_leaves_chunks_that_are_absent_or_complete(tmp_path):
    expected = np.random.default_rng(0).random((1024, 1024), np.float32)
    for trial in range(3):
        path = tmp_path / f"{trial}.zarr"
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        words = [sys.executable, "-c", WRITE_FOREVER, path]
        with process_of(words, stdout=subprocess.PIPE, env=environment) as process:
            assert process.stdout.readline() == b"begun\n"
            time.sleep(0.05 + 0.11 * trial)
            process.send_signal(signal.SIGKILL)
        array = zarr.open_group(path, mode="r")["0"]
        for y in (0, 512):
            for x in (0, 512):
                chunk = array[y : y + 512, x : x + 512]
                whole = expected[y : y + 512, x : x + 512]
                held = ome_zarr.attach(path).holds(Box((y, x), (y + 512, x + 512)))
                np.testing.assert_array_equal(chunk, whole if held else 0)


# Faults


@pytest.mark.parametrize("damage", [b"", b"garbage", None])
def test_a_broken_chunk_is_named(tmp_path, damage):
    path = tmp_path / "a.zarr"
    with begin(path) as output:
        for tile in tiles():
            output.write(tile, numbered(tile.shape, "float32"))
    chunk = path / "0" / "c" / "1" / "2" / "0"
    chunk.write_bytes(chunk.read_bytes()[:-20] if damage is None else damage)
    with open_lazily(path) as lazy:
        lazy.read(Box((0, 0, 0), (1, 64, 48)))
        with pytest.raises(
            ImageError, match=r"a\.zarr: chunk 0/c/1/2/0 cannot be read \(.+\); copy it again"
        ) as caught:
            lazy.read(Box((0, 0, 0), (2, 64, 48)))
    assert "\n" not in str(caught.value)


def test_nan_is_found_in_the_region_that_holds_it(tmp_path):
    array = numbered((8, 9), "float32")
    array[2, 3] = np.nan
    zarr.create_array(tmp_path / "a.zarr", data=array)
    with open_lazily(tmp_path / "a.zarr", axes="YX") as lazy:
        lazy.read(Box((3, 0), (8, 9)))
        with pytest.raises(ImageError, match=r"a\.zarr from \(0, 0\) to \(8, 9\): 1 of 72 pixels"):
            lazy.read(Box((0, 0), (8, 9)))


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({}, r"cannot tell what its axes \?\? are"),
        ({"ome": None}, r"cannot tell what its axes \?\? are"),
        ({"ome": [1]}, "ome: .* got \\[1\\]"),
        ({"ome": {"multiscales": []}}, r"cannot tell what its axes \?\? are"),
        ({"ome": {"multiscales": 5}}, "ome.multiscales: .* got 5"),
        ({"ome": {"multiscales": [{}]}}, "ome.multiscales.0.datasets is missing"),
        ({"ome": {"multiscales": [{"datasets": []}]}}, "ome.multiscales.0.datasets: .*at least 1"),
        ({"ome": {"multiscales": [{"datasets": [{"path": None}]}]}}, "datasets.0.path: .* got None"),
        ({"ome": {"multiscales": [{"datasets": [{"path": "../b.zarr/0"}]}]}}, "'../b.zarr/0' is no path inside"),
        ({"ome": {"multiscales": [{"datasets": [{"path": "/0"}]}]}}, "'/0' is no path inside"),
        ({"ome": {"multiscales": [{"datasets": [{"path": "9"}]}]}}, "there is no array 9"),
        ({"ome": {"multiscales": [{"axes": [{"name": 3}], "datasets": [{"path": "0"}]}]}}, "axes.0.name: .* got 3"),
        (image(axes=["y", "x"], scale=[1]), "there are 2 axes, and a scale of 1 numbers"),
        (image(axes=["y", "x"], scale="large"), "sca.*: .* got 'large'"),
        (image(axes=["y", "x", "z"], scale=[1, 1, 1]), "cannot tell what its axes .* give --axes"),
        (image(axes=["y", "y"], scale=[1, 1]), "cannot tell what its axes .* give --axes"),
        (image() | {"biounet": None}, "a table of names and values is wanted, got None"),
        (image() | {"biounet": {"complete": "perhaps", "labels": False}}, "complete: .* got 'perhaps'"),
    ],
)
def test_damaged_metadata_are_said(tmp_path, attributes, words):
    group = zarr.create_group(tmp_path / "a.zarr")
    group.create_array("0", data=numbered((4, 5)))
    group.attrs.update(attributes)
    with pytest.raises(ImageError, match=words) as caught:
        read(tmp_path / "a.zarr")
    assert "\n" not in str(caught.value)
    assert "a.zarr" in str(caught.value)
    with pytest.raises(OutputError, match=r"a\.zarr"):
        create(tmp_path / "a.zarr", shape=(4, 5), dtype="uint16", axes="YX", resume=True)


@pytest.mark.parametrize("size", [0, -1, float("nan"), float("inf"), 1e308])
def test_a_scale_that_is_no_size_is_no_pixel_size(tmp_path, size):
    group = zarr.create_group(tmp_path / "a.zarr", zarr_format=2)
    group.create_array("0", data=numbered((4, 5)))
    axes = [{"name": name, "unit": "meter"} for name in "yx"]
    group.attrs.update(image(axes=axes, scale=[size, 1])["ome"])
    assert read(tmp_path / "a.zarr").spacing is None


@pytest.mark.parametrize("content", ["{", "null", "[1]", "[" * 100_000, "\xff", '{"zarr_format": 3}', None])
def test_metadata_that_are_no_json_are_said(tmp_path, content):
    (tmp_path / "a.zarr").mkdir()
    if content is not None:
        (tmp_path / "a.zarr" / "zarr.json").write_bytes(content.encode("latin-1"))
    for use in (read, partial(create, shape=(4, 5), dtype="uint16", axes="YX", resume=True)):
        with pytest.raises((ImageError, OutputError), match=r"a\.zarr") as caught:
            use(tmp_path / "a.zarr")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("chunks", [[0, 5], [-3, 5], [5], "x", None])
def test_chunks_of_nothing_are_said(tmp_path, chunks):
    group = zarr.create_group(tmp_path / "a.zarr", zarr_format=2)
    group.create_array("0", data=numbered((4, 5)))
    group.attrs.update(image()["ome"])
    told = json.loads((tmp_path / "a.zarr/0/.zarray").read_text())
    (tmp_path / "a.zarr/0/.zarray").write_text(json.dumps(told | {"chunks": chunks}))
    with pytest.raises(ImageError, match=r"a\.zarr"):
        read(tmp_path / "a.zarr")


def test_an_array_without_a_group_is_not_resumed(tmp_path):
    zarr.create_array(tmp_path / "a.zarr", data=numbered((4, 5)))
    with pytest.raises(OutputError, match="is no OME-Zarr image that was begun; give another name"):
        create(tmp_path / "a.zarr", shape=(4, 5), dtype="uint16", axes="YX", resume=True)


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    output = begin(tmp_path / "a.zarr")

    def full(*args, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    tile = next(tiles())
    with pytest.raises(OutputError, match=r"a\.zarr could not be written: the disk is full"):
        output.write(tile, np.ones(tile.shape, np.float32))
    assert not output.holds(tile)
    for _ in range(100):  # chunks are written side by side: the others clean up after the first has failed
        if not list(tmp_path.rglob("*.partial")):
            break
        time.sleep(0.05)
    assert not list(tmp_path.rglob("*.partial"))


def test_without_zarr_the_extra_is_named(tmp_path, monkeypatch):
    write(tmp_path / "a.zarr", Image(numbered((4, 5)), "YX"))
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'biounet\[zarr\]'"):
        read(tmp_path / "a.zarr")


def test_a_store_of_another_program_is_not_resumed(tmp_path):
    path = tmp_path / "a.zarr"
    write(path, Image(numbered((20, 30)), "YX"))
    group = zarr.open_group(path, mode="r+")
    del group.attrs["biounet"]
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    with pytest.raises(OutputError, match="was not written by biounet, so it cannot be resumed; give another name"):
        create(path, shape=(20, 30), dtype="uint16", axes="YX", resume=True)
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before


# Replacing


def replace_by(path, value, **options):
    """Begin an image that replaces another, and write its pixels."""
    output = ome_zarr.create(path, shape=(40, 30), dtype="uint8", axes="YX", chunks=(16, 16), **options)
    with output:
        output.write(Box((0, 0), (40, 30)), np.full((40, 30), value, np.uint8))


def test_an_old_image_stays_until_the_new_one_is_complete_and_a_stopped_one_goes_on(tmp_path):
    path, box = tmp_path / "a.zarr", Box((0, 0), (16, 16))
    replace_by(path, 1)
    output = ome_zarr.create(path, shape=(40, 30), dtype="uint8", axes="YX", chunks=(16, 16), overwrite=True)
    ome_zarr.attach(path).write(box, np.full((16, 16), 2, np.uint8))
    output.__exit__(KeyError)
    assert output.path != path
    assert read(path).array.max() == 1
    with ome_zarr.create(path, shape=(40, 30), dtype="uint8", axes="YX", chunks=(16, 16), resume=True) as output:
        assert output.holds(box)
        assert not output.holds(Box((16, 0), (32, 16)))
        output.write(Box((16, 0), (40, 30)), np.full((24, 30), 3, np.uint8))
        output.write(Box((0, 16), (16, 30)), np.full((16, 14), 3, np.uint8))
    assert sorted(np.unique(read(path).array)) == [2, 3]
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.zarr"]


def test_an_image_that_was_to_replace_another_is_begun_again(tmp_path):
    path = tmp_path / "a.zarr"
    replace_by(path, 1)
    ome_zarr.create(path, shape=(40, 30), dtype="uint8", axes="YX", chunks=(16, 16), overwrite=True)
    replace_by(path, 2, overwrite=True)
    assert read(path).array.min() == 2
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.zarr"]


@pytest.mark.parametrize("what", ["notes.txt", "labels", "a folder", "a link", "of another program"])
def test_what_is_not_of_biounet_alone_is_not_replaced(tmp_path, what):
    path = tmp_path / "a.zarr"
    replace_by(path, 1)
    if what == "notes.txt":
        (path / what).write_text("two years of work")
    elif what == "labels":
        write(path / "labels" / "cells", Image(numbered((40, 30), "uint8"), "YX"))
    elif what == "a link":
        path.rename(tmp_path / "b.zarr")
        path.symlink_to("b.zarr")
    else:
        group = zarr.open_group(path)
        group.attrs.clear()
        if what == "a folder":
            (path / "zarr.json").unlink()
    before = {entry: entry.read_bytes() for entry in tmp_path.rglob("*") if entry.is_file()}
    for begin_again in (
        replace_by,
        lambda path, value, **options: write(path, Image(numbered((4, 5)), "YX"), **options),
    ):
        with pytest.raises(OutputError, match=r"holds notes|holds labels|did not write|is a link"):
            begin_again(path, 2, overwrite=True)
    assert {entry: entry.read_bytes() for entry in tmp_path.rglob("*") if entry.is_file()} == before
