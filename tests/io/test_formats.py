"""The table of formats: each gives back what it holds, refuses the rest and torn files; names of files."""

import shutil
from contextlib import suppress

import numpy as np
import pytest

from biounet.core.boxes import Box
from biounet.core.errors import DatasetError, ImageError, OutputError
from biounet.io import (
    AXES,
    FORMATS,
    Image,
    attach,
    create,
    format_of,
    image_files,
    images_by_name,
    is_folder_of_images,
    is_image,
    open_lazily,
    plain_name,
    read,
    root_of,
    write,
)
from other_programs import READ_ONLY

SIZES = {"T": 2, "C": 3, "Z": 4, "Y": 20, "X": 30}
STEPS = {"Z": 0.75, "Y": 0.25, "X": 0.5}
WRITTEN = [form for form in FORMATS.values() if form.write is not None]
HELD = [(form, holds, dtype) for form in WRITTEN for holds in form.holds for dtype in holds.dtypes]
SUFFIXES = [(form, suffix) for form in FORMATS.values() for suffix in form.suffixes]


def image_of(axes, dtype):
    shape = tuple(SIZES[axis] for axis in axes)
    pixels = np.arange(np.prod(shape)).reshape(shape) % (2 if dtype == "bool" else 120)
    return Image(pixels.astype(dtype), axes, tuple(STEPS[axis] for axis in axes if axis in STEPS))


def same(back, image):
    assert back.axes == image.axes
    assert back.spacing == pytest.approx(image.spacing)
    np.testing.assert_array_equal(back.array, image.array)
    if image.array.dtype.kind == "f":
        assert np.can_cast(image.array.dtype, back.array.dtype)
    elif image.array.dtype.itemsize <= 2 and image.array.dtype != bool:
        assert back.array.dtype == image.array.dtype


@pytest.mark.parametrize(("form", "holds", "dtype"), HELD, ids=[f"{f.name}-{h.axes}-{d}" for f, h, d in HELD])
def test_a_format_gives_back_what_it_holds(tmp_path, form, holds, dtype):
    for axes in dict.fromkeys((holds.axes if holds.channels else "YX", holds.axes)):
        image = image_of(axes, dtype)
        path = tmp_path / f"{axes}{form.suffixes[0]}"
        write(path, image)
        same(read(path), image)
        assert [part.name for part in tmp_path.iterdir() if f".{path.stem}." in f".{part.name}"] == [path.name]


@pytest.mark.parametrize(("form", "suffix"), SUFFIXES, ids=[suffix for _, suffix in SUFFIXES])
def test_every_suffix_is_that_of_one_format(tmp_path, form, suffix):
    assert format_of(f"cells{suffix.upper()}") is form
    assert [other for other in FORMATS.values() if f"a{suffix}".endswith(other.suffixes)] == [form]
    assert plain_name(tmp_path / f"day.2.ome{suffix}") == "day.2"
    assert form.result in [end for other in WRITTEN for end in other.suffixes]


@pytest.mark.parametrize("form", WRITTEN, ids=lambda form: form.name)
def test_a_format_is_written_and_read_by_region(tmp_path, form):
    path, image = tmp_path / f"a{form.suffixes[0]}", image_of("YX", "uint16")
    with create(path, shape=(20, 30), dtype="uint16", axes="YX", spacing=image.spacing, chunks=(10, 10)) as output:
        assert (output.shape, output.axes) == ((20, 30), "YX")
        for box in (Box((0, 0), (10, 30)), Box((10, 0), (20, 20)), Box((10, 20), (20, 30))):
            output.write(box, image.array[box.slices])
    same(read(path), image)
    with open_lazily(path) as lazy:
        assert (lazy.shape, lazy.dtype) == ((20, 30), "uint16")
        np.testing.assert_array_equal(lazy.read(Box((3, 4), (9, 30))), image.array[3:9, 4:])
    with pytest.raises(OutputError, match="exists"):
        write(path, image)


@pytest.mark.parametrize("form", WRITTEN, ids=lambda form: form.name)
def test_only_what_can_be_resumed_stays_after_a_stop(tmp_path, form):
    path, whole = tmp_path / f"a{form.suffixes[0]}", Box((0, 0), (4, 4))
    pixels = np.full(whole.shape, 7, np.uint8)
    with suppress(ZeroDivisionError), create(path, shape=(4, 4), dtype="uint8", axes="YX") as output:
        output.write(whole, pixels)
        _ = 1 / 0
    assert path.exists() == form.resumable
    if form.resumable:
        with pytest.raises(ImageError, match="not complete"):
            read(path)
        assert attach(path).holds(whole)
        with create(path, shape=(4, 4), dtype="uint8", axes="YX", resume=True):
            pass
        np.testing.assert_array_equal(read(path).array, pixels)
    else:
        with pytest.raises(OutputError, match="written by one process"):
            attach(path)


@pytest.mark.parametrize("form", FORMATS.values(), ids=lambda form: form.name)
def test_what_a_format_cannot_hold_is_refused_before_anything_is_written(tmp_path, form):
    path = tmp_path / f"a{form.suffixes[0]}"
    images = [(axes, dtype) for axes in ("YX", "CYX", "ZYX", AXES) for dtype in ("uint8", "float32", "complex64")]
    for axes, dtype in images:
        shape = tuple(SIZES[axis] for axis in axes)
        if any(holds.fits(axes, shape, np.dtype(dtype)) for holds in form.holds):
            continue
        said = f"a{form.suffixes[0]}: {form.name} .*; (save|convert) it"
        with pytest.raises(OutputError, match=said):
            write(path, Image(np.zeros(shape, dtype), axes))
        with pytest.raises(OutputError, match=said):
            create(path, shape=shape, dtype=dtype, axes=axes)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("form", "suffix"), SUFFIXES, ids=[suffix for _, suffix in SUFFIXES])
def test_a_torn_file_is_an_error(tmp_path, form, suffix):
    path, pixels = tmp_path / f"a{suffix}", np.random.default_rng(0).integers(0, 255, (64, 48)).astype(np.uint8)
    if form.write is None:
        READ_ONLY[form.name](path, pixels)
    else:
        write(path, Image(pixels, "YX"))
    assert read(path).array.size > 0
    if form.is_folder:
        shutil.rmtree(path / "0")
    else:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 10])
    with pytest.raises(ImageError, match=rf"a\{suffix}"):
        read(path)


@pytest.mark.parametrize("form", WRITTEN, ids=lambda form: form.name)
def test_numbers_that_a_format_lacks_are_converted_or_refused(tmp_path, form):
    path, half = tmp_path / f"a{form.suffixes[0]}", np.array([[0.5, 2.0]], np.float16)
    if form.knows(np.dtype(np.float32)):
        write(path, Image(half, "YX"))
        assert read(path).array.tolist() == half.tolist()
    whole = Image(np.array([[3, 70]], np.int64), "YX")
    write(path, whole, overwrite=True)
    assert read(path).array.tolist() == [[3, 70]]
    if form.create is not None and not form.knows(np.dtype(np.int64)):
        with pytest.raises(OutputError, match=r"cannot hold YX .* of int64; convert it to one of uint8"):
            create(path, shape=(1, 2), dtype=np.int64, axes="YX", overwrite=True)


def test_numbers_that_turn_out_too_large_are_refused_at_the_end(tmp_path):
    with create(tmp_path / "a.png", shape=(1, 2), dtype="uint32", axes="YX") as output:
        output.write(Box((0, 0), (1, 2)), np.array([[0, 65_535]]))
    assert read(tmp_path / "a.png").array.tolist() == [[0, 65_535]]
    output = create(tmp_path / "b.png", shape=(1, 2), dtype="uint32", axes="YX")
    with pytest.raises(OutputError, match=r"b\.png: PNG cannot hold .* of uint32"), output:
        output.write(Box((0, 0), (1, 2)), np.array([[0, 65_536]]))
    assert not (tmp_path / "b.png").exists()


def test_an_unknown_suffix_and_a_missing_file_are_errors(tmp_path):
    with pytest.raises(ImageError, match=r"cells\.vsi: the suffix must be one of .*\.tif"):
        read(tmp_path / "cells.vsi")
    with pytest.raises(ImageError, match=r"cells\.tif: there is no such file"):
        read(tmp_path / "cells.tif")
    with pytest.raises(OutputError, match=r"cells\.bmp: "):
        write(tmp_path / "cells.bmp", Image(np.zeros((2, 2)), "YX"))


def test_names_inside_a_folder_that_is_an_image_need_no_suffix(tmp_path):
    inside = tmp_path / "a.zarr" / "labels" / "cells"
    inside.mkdir(parents=True)
    assert format_of(inside) is FORMATS["OME-Zarr"]
    assert root_of(inside) == tmp_path / "a.zarr"
    assert is_image(inside)
    assert not is_image(inside.parent), "a folder inside is no image of its own"
    assert [is_folder_of_images(path) for path in (inside, tmp_path / "a.zarr", tmp_path)] == [False, False, True]


def test_images_are_listed_by_name_without_hidden_files(tmp_path):
    for name in ("b.tif", "a.PNG", ".c.tif", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in image_files(tmp_path)] == ["a.PNG", "b.tif"]


def test_images_have_one_name_each(tmp_path):
    for name in ("a.PNG", "b.2.ome.tif"):
        (tmp_path / name).touch()
    assert images_by_name(tmp_path) == {"a": tmp_path / "a.PNG", "b.2": tmp_path / "b.2.ome.tif"}
    (tmp_path / "a.ome.zarr").mkdir()
    with pytest.raises(DatasetError, match=r"a\.ome\.zarr and a\.PNG have one name"):
        images_by_name(tmp_path)
