"""TIFF: axes, pixel sizes, types, regions, torn files."""

import errno
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from biounet.core.boxes import Box
from biounet.core.errors import ImageError, LabelError, OutputError, ShapeError
from biounet.io import Image, Meaning, create, open_lazily, read, write

LAWS = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
AXES = ["YX", "ZYX", "CYX", "TYX", "CZYX", "TCYX", "TZYX", "TCZYX"]
DTYPES = ["uint8", "int8", "uint16", "int16", "float32", "float64"]


def numbered(shape, dtype="uint16"):
    return (np.arange(np.prod(shape)) % 251).reshape(shape).astype(dtype)


@st.composite
def images(draw):
    axes = draw(st.sampled_from(AXES))
    # TIFF does not record axes of length 1 other than Y and X.
    shape = [draw(st.integers(2, 4)) for _ in axes[:-2]] + [draw(st.integers(1, 40)) for _ in "YX"]
    dtype = draw(st.sampled_from(DTYPES))
    array = draw(
        hnp.arrays(dtype, shape, elements={"allow_nan": False, "allow_infinity": False} if "f" in dtype else None)
    )
    spatial = axes.replace("T", "").replace("C", "")
    spacing = draw(st.none() | st.tuples(*[st.floats(0.001, 100) for _ in spatial]))
    return Image(array, axes, spacing)


@st.composite
def boxes(draw, shape):
    ends = [sorted(draw(st.lists(st.integers(0, n), min_size=2, max_size=2, unique=True))) for n in shape]
    return Box(tuple(a for a, _ in ends), tuple(b for _, b in ends))


@LAWS
@given(images())
def test_what_is_written_is_read_with_axes_type_and_pixel_size(tmp_path, image):
    write(tmp_path / "a.tif", image, overwrite=True)
    back = read(tmp_path / "a.tif")
    assert back.axes == image.axes
    assert back.array.dtype == image.array.dtype
    np.testing.assert_array_equal(back.array, image.array)
    assert (back.spacing is None) == (image.spacing is None)
    if image.spacing is not None:
        assert back.spacing == pytest.approx(image.spacing, rel=1e-6)


@LAWS
@given(images(), st.data())
def test_a_file_written_by_regions_holds_them(tmp_path, image, data):
    box = data.draw(boxes(image.array.shape))
    path = tmp_path / "a.tif"
    array = image.array
    with create(
        path, shape=array.shape, dtype=array.dtype, axes=image.axes, spacing=image.spacing, overwrite=True
    ) as output:
        output.write(box, array[box.slices])
    expected = np.zeros_like(array)
    expected[box.slices] = array[box.slices]
    back = read(path)
    np.testing.assert_array_equal(back.array, expected)
    assert back.axes == image.axes
    assert back.spacing == (None if image.spacing is None else pytest.approx(image.spacing))


def test_an_output_has_its_name_only_when_it_is_complete(tmp_path):
    with create(tmp_path / "a.tif", shape=(8, 9), dtype="uint8", axes="YX"):
        assert not (tmp_path / "a.tif").exists()
    np.testing.assert_array_equal(read(tmp_path / "a.tif").array, np.zeros((8, 9)))


STORED = {
    "plain": {},
    "big-endian": {"byteorder": ">"},
    "deflate": {"compression": "zlib", "rowsperstrip": 7},
    "LZW": {"compression": "lzw", "predictor": 2, "rowsperstrip": 16},
    "strips": {"rowsperstrip": 5, "contiguous": False},
    "tiles": {"tile": (16, 32), "compression": "zlib"},
    "plain tiles": {"tile": (32, 16)},
    "BigTIFF": {"bigtiff": True},
}


@pytest.mark.parametrize("how", STORED)
@pytest.mark.parametrize(("shape", "photometric"), [((3, 50, 70), "minisblack"), ((2, 50, 70, 3), "rgb")])
@LAWS
@given(data=st.data())
def test_a_region_is_what_the_whole_file_holds_there(tmp_path, how, shape, photometric, data):
    path = tmp_path / "a.tif"
    if not path.exists():
        tifffile.imwrite(path, numbered(shape), photometric=photometric, **STORED[how])
    whole = tifffile.imread(path)  # not our reader
    if photometric == "rgb":
        whole = np.moveaxis(whole, -1, 0)
    with open_lazily(path) as lazy:
        assert lazy.axes == ("CZYX" if photometric == "rgb" else "ZYX")
        assert lazy.shape == whole.shape
        box = data.draw(boxes(whole.shape))
        region = lazy.read(box)
    assert region.dtype == np.uint16
    np.testing.assert_array_equal(region, whole[box.slices])


def test_separate_colour_planes_are_channels(tmp_path):
    array = numbered((3, 20, 30), "uint8")
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="rgb", planarconfig="separate", compression="zlib")
    image = read(tmp_path / "a.tif")
    assert image.axes == "CYX"
    np.testing.assert_array_equal(image.array, array)


def test_only_the_strips_of_a_region_are_read(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, numbered((64, 64)), compression="zlib", rowsperstrip=8)
    with tifffile.TiffFile(path) as file:
        offset, count = file.pages[0].dataoffsets[7], file.pages[0].databytecounts[7]
    data = bytearray(path.read_bytes())
    data[offset : offset + count] = b"\xff" * count  # the last strip is garbage
    path.write_bytes(data)
    with open_lazily(path) as lazy:
        np.testing.assert_array_equal(lazy.read(Box((10, 0), (56, 64))), numbered((64, 64))[10:56])
        with pytest.raises(ImageError, match=r"a\.tif"):
            lazy.read(Box((50, 0), (57, 64)))


def test_imagej_axes_and_pixel_size(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif",
        numbered((2, 5, 3, 8, 9)),
        imagej=True,
        resolution=(4, 2),
        metadata={"axes": "TZCYX", "unit": "nm", "spacing": 500},
    )
    image = read(tmp_path / "a.tif")
    assert image.axes == "TCZYX"
    np.testing.assert_array_equal(image.array, numbered((2, 5, 3, 8, 9)).swapaxes(1, 2))
    assert image.spacing == pytest.approx((0.5, 0.0005, 0.00025))  # 2 and 4 pixels per nm


def test_ome_axes_and_pixel_size(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.ome.tif",
        numbered((5, 3, 8, 9)),
        metadata={
            "axes": "ZCYX",
            "PhysicalSizeX": 65,
            "PhysicalSizeXUnit": "nm",
            "PhysicalSizeY": 0.13,
            "PhysicalSizeZ": 1,
        },
    )
    image = read(tmp_path / "a.ome.tif")
    assert image.axes == "CZYX"
    assert image.spacing == pytest.approx((1, 0.13, 0.065))


@pytest.mark.parametrize(
    ("resolution", "unit", "spacing"),
    [((72, 72), "inch", None), ((40_000, 50_000), "centimeter", (0.2, 0.25)), ((2, 2), None, None)],
)
def test_the_resolution_of_a_plain_file_is_a_pixel_size_only_in_a_microscope(tmp_path, resolution, unit, spacing):
    tifffile.imwrite(tmp_path / "a.tif", numbered((8, 9)), resolution=resolution, resolutionunit=unit)
    assert read(tmp_path / "a.tif").spacing == (None if spacing is None else pytest.approx(spacing))


def test_our_files_are_hyperstacks_for_imagej(tmp_path):
    write(tmp_path / "a.tif", Image(numbered((2, 3, 8, 9)), "CZYX", (0.3, 0.1, 0.2)))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:  # not our reader
        assert file.is_imagej
        assert file.series[0].axes == "ZCYX"
        assert file.imagej_metadata["unit"] == "um"
        assert file.imagej_metadata["spacing"] == 0.3
        assert file.pages[0].tags["XResolution"].value == (5, 1)
        assert file.pages[0].compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        np.testing.assert_array_equal(file.asarray(), numbered((2, 3, 8, 9)).swapaxes(0, 1))


@pytest.mark.parametrize(
    ("values", "dtype"),
    [([0, 65_535], "uint16"), ([0, 65_536], "uint32"), ([-1, 3], "int32"), ([0, 2**32 - 1], "uint32")],
)
def test_labels_lose_nothing(tmp_path, values, dtype):
    write(tmp_path / "a.tif", Image(np.array([values]), "YX"))
    back = tifffile.imread(tmp_path / "a.tif")
    assert back.dtype == dtype
    assert back.ravel().tolist() == values


def test_labels_of_more_than_32_bits_are_refused(tmp_path):
    with pytest.raises(OutputError, match="renumber"):
        write(tmp_path / "a.tif", Image(np.array([[0, 2**32]]), "YX"))
    assert list(tmp_path.iterdir()) == []


def test_a_mask_of_single_bits_is_zero_and_one(tmp_path):
    mask = numbered((9, 11)) % 2 == 1
    tifffile.imwrite(tmp_path / "a.tif", mask)
    back = read(tmp_path / "a.tif").array
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, mask)


def test_opaque_alpha_is_dropped_and_transparency_refused(tmp_path):
    colours = numbered((20, 30, 4), "uint8")
    colours[..., 3] = 255
    tifffile.imwrite(tmp_path / "a.tif", colours, photometric="rgb", extrasamples=["unassalpha"])
    image = read(tmp_path / "a.tif")
    assert image.axes == "CYX"
    np.testing.assert_array_equal(image.array, np.moveaxis(colours, -1, 0)[:3])
    colours[5, 5, 3] = 0
    tifffile.imwrite(tmp_path / "b.tif", colours, photometric="rgb", extrasamples=["unassalpha"])
    with pytest.raises(ImageError, match=r"b\.tif.*transparent"):
        read(tmp_path / "b.tif")


def test_unknown_axes_are_asked_for_and_taken_from_the_user(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, numbered((2, 3, 8, 9)), photometric="minisblack")
    with pytest.raises(ImageError, match=r"a\.tif.*--axes"):
        read(path)
    image = read(path, axes="ZCYX")
    assert image.axes == "CZYX"
    np.testing.assert_array_equal(image.array, numbered((2, 3, 8, 9)).swapaxes(0, 1))
    with pytest.raises(ImageError, match="4 axes"):
        read(path, axes="ZYX")


def test_axes_may_lie_across_the_pages(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", numbered((4, 8, 9)), photometric="minisblack")
    image = read(tmp_path / "a.tif", axes="YXZ")
    np.testing.assert_array_equal(image.array, numbered((4, 8, 9)).transpose(2, 0, 1))


@LAWS
@example("plain tiles", 0.02)
@given(st.sampled_from(list(STORED)), st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_an_error_or_lost_nothing(tmp_path, how, share):
    path = tmp_path / "a.tif"
    array = numbered((4, 20, 30))
    tifffile.imwrite(path, array, photometric="minisblack", metadata=None, **STORED[how])
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    try:
        back = read(path)
    except ImageError as error:
        said = str(error)
    else:
        said = "nothing of a.tif was lost" if np.array_equal(back.array, array) else "\n"
    assert "a.tif" in said
    assert "\n" not in said


@pytest.mark.parametrize("content", [b"", b"GIF89a nonsense", b"II*\0"])
def test_a_file_that_is_no_tiff_is_an_error(tmp_path, content):
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(ImageError, match=r"a\.tif cannot be read as TIFF \(.*\); "):
        read(tmp_path / "a.tif")


def test_nan_is_counted(tmp_path):
    array = np.zeros((8, 9), np.float32)
    array[2, 3], array[4, 5] = np.nan, np.inf
    tifffile.imwrite(tmp_path / "a.tif", array)
    with pytest.raises(ImageError, match=r"a\.tif: 2 of 72 pixels are NaN or infinite, the first at \(2, 3\)"):
        read(tmp_path / "a.tif")
    with open_lazily(tmp_path / "a.tif") as lazy:
        assert lazy.read(Box((0, 0), (2, 9))).sum() == 0


def test_two_images_in_one_file_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(numbered((8, 9)))
        file.write(numbered((9, 8)))
    with pytest.raises(ImageError, match="holds 2 images"):
        read(tmp_path / "a.tif")


def test_nothing_is_overwritten_and_nothing_half_written(tmp_path):
    path = tmp_path / "a.tif"
    write(path, Image(numbered((8, 9)), "YX"))
    with pytest.raises(OutputError, match=r"a\.tif exists"):
        write(path, Image(numbered((8, 9)), "YX"))
    with pytest.raises(OutputError, match=r"a\.tif exists"), create(path, shape=(8, 9), dtype="uint8", axes="YX"):
        pass
    with pytest.raises(ZeroDivisionError), create(path, shape=(8, 9), dtype="uint8", axes="YX", overwrite=True):
        _ = 1 / 0
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]
    np.testing.assert_array_equal(read(path).array, numbered((8, 9)))


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*args, **options):
        Path(args[0]).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tifffile, "imwrite", full)
    with pytest.raises(OutputError, match=r"a\.tif could not be written: the disk is full"):
        write(tmp_path / "a.tif", Image(numbered((8, 9)), "YX"))
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_the_disk_cannot_hold_is_refused_at_once(tmp_path):
    with (
        pytest.raises(OutputError, match=r"big\.tif needs [0-9,]+ MiB, but the disk has"),
        create(tmp_path / "big.tif", shape=(10**9, 10**6), dtype="uint8", axes="YX"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_region_of_another_shape_is_refused(tmp_path):
    with (
        pytest.raises(ShapeError, match=r"\(2, 2\)"),
        create(tmp_path / "a.tif", shape=(8, 9), dtype="uint8", axes="YX") as output,
    ):
        output.write(Box((0, 0), (2, 2)), np.zeros((2, 3)))


@pytest.mark.parametrize("sections", [3, 4])
def test_few_sections_that_a_writer_took_for_planes_of_colour_are_read_whole(tmp_path, sections):
    stack = np.arange(sections * 6 * 5, dtype=np.uint8).reshape(sections, 6, 5)
    tifffile.imwrite(tmp_path / "stack.tif", stack, photometric="rgb", planarconfig="separate")
    image = read(tmp_path / "stack.tif", axes="ZYX")
    assert image.axes == "ZYX"
    np.testing.assert_array_equal(image.array, stack)
    np.testing.assert_array_equal(read(tmp_path / "stack.tif").array, stack)


@pytest.mark.parametrize(
    ("axes", "shape", "read_as"),
    [
        ("CYX", (3, 48, 56), "CYX"),
        ("ZYX", (3, 48, 56), "ZYX"),
        ("TYX", (4, 48, 56), "TYX"),
        ("TCYX", (2, 3, 48, 56), "TCYX"),
        ("YXC", (48, 56, 3), "CYX"),
        ("YXC", (48, 56, 2), "CYX"),
        ("ZYXC", (2, 48, 56, 3), "CZYX"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*are stored as RGB:DeprecationWarning")
def test_axes_that_tifffile_writes_are_those_that_are_read(tmp_path, axes, shape, read_as):
    pixels = numbered(shape, "uint8")
    tifffile.imwrite(tmp_path / "a.tif", pixels, metadata={"axes": axes})
    image = read(tmp_path / "a.tif")
    assert image.axes == read_as
    np.testing.assert_array_equal(image.array, pixels.transpose([axes.index(axis) for axis in read_as]))
    other = read(tmp_path / "a.tif", axes=axes.replace("C", "Z") if "Z" not in axes else axes)
    assert other.array.size == pixels.size, "the option overrules the file"


def test_a_last_axis_of_few_pixels_is_asked_about(tmp_path):
    pixels = numbered((64, 64, 2), "uint8")
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    with pytest.raises(ImageError, match=r"an image of 2 columns; if the last axis is channels give --axes YXC"):
        read(tmp_path / "a.tif")
    np.testing.assert_array_equal(read(tmp_path / "a.tif", axes="YXC").array, np.moveaxis(pixels, -1, 0))


def test_whoever_names_four_channels_has_no_transparency(tmp_path):
    pixels = numbered((20, 30, 4), "uint8")
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=["unassalpha"])
    np.testing.assert_array_equal(read(tmp_path / "a.tif", axes="YXC").array, np.moveaxis(pixels, -1, 0))


def test_palettes_are_colours_in_images_and_numbers_in_labels(tmp_path):
    numbers = numbered((20, 30), "uint8") % 64
    table = np.random.default_rng(0).integers(0, 256, (3, 256)).astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "a.tif", numbers, photometric="palette", colormap=table)
    image = read(tmp_path / "a.tif")
    assert (image.axes, image.array.dtype) == ("CYX", np.uint8)
    np.testing.assert_array_equal(image.array, (table // 257)[:, numbers])
    np.testing.assert_array_equal(read(tmp_path / "a.tif", labels=True).array, numbers)
    with open_lazily(tmp_path / "a.tif") as file:
        part = file.read(Box((1, 2, 3), (3, 9, 11)))
    np.testing.assert_array_equal(part, image.array[1:3, 2:9, 3:11])


def test_white_is_the_highest_value(tmp_path):
    pixels = numbered((20, 30), "uint8")
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="miniswhite")
    np.testing.assert_array_equal(read(tmp_path / "a.tif").array, 255 - pixels)
    np.testing.assert_array_equal(read(tmp_path / "a.tif", labels=True).array, pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_upright_whole_and_by_region(tmp_path, orientation):
    upright = numbered((21, 30), "uint8")
    turned = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.T, 6: np.rot90(upright), 7: upright[::-1, ::-1].T, 8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    extra = [(274, "H", 1, orientation, True)]
    tifffile.imwrite(tmp_path / "a.tif", np.ascontiguousarray(turned), extratags=extra, metadata=None)
    np.testing.assert_array_equal(read(tmp_path / "a.tif").array, upright)
    with open_lazily(tmp_path / "a.tif") as file:
        np.testing.assert_array_equal(file.read(Box((3, 5), (9, 28))), upright[3:9, 5:28])


def test_each_axis_has_its_unit_in_imagej_files(tmp_path):
    metadata = {"axes": "ZYX", "unit": "micron", "yunit": "nm", "zunit": r"\u03BCm", "spacing": 0.5}
    tifffile.imwrite(
        tmp_path / "a.tif", numbered((3, 20, 30), "uint8"), imagej=True, resolution=(10, 0.01), metadata=metadata
    )
    assert read(tmp_path / "a.tif").spacing == pytest.approx((0.5, 0.1, 0.1))


def test_a_slide_of_aperio_tells_its_pixel_size(tmp_path):
    text = "Aperio Image Library v11.2.1\r\n2220x2967 -> 574x768|AppMag = 20|MPP = 0.4990"
    tifffile.imwrite(tmp_path / "a.svs", numbered((20, 30), "uint8"), description=text, metadata=None)
    assert read(tmp_path / "a.svs").spacing == (0.499, 0.499)


def test_results_tell_their_pixel_size_in_tags_too(tmp_path):
    with create(tmp_path / "a.tif", shape=(20, 30), dtype="uint16", axes="YX", spacing=(0.1, 0.2)):
        pass
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        tags = file.pages.first.tags
        assert tags["XResolution"].value[0] / tags["XResolution"].value[1] == pytest.approx(50_000)
        assert tags["ResolutionUnit"].value == 3


def test_labels_that_went_through_jpeg_are_refused(tmp_path):
    path, pixels = tmp_path / "a.tif", np.zeros((64, 64), np.uint8)
    tifffile.imwrite(path, pixels, compression="jpeg")
    np.testing.assert_array_equal(read(path).array, pixels)
    with pytest.raises(LabelError, match=r"a\.tif: its JPEG compression changes label numbers"):
        read(path, labels=True)


OBJECTS = Meaning(kind="objects")


@pytest.mark.parametrize(("most", "dtype"), [(20, "uint16"), (65_535, "uint16"), (65_536, "uint32")])
@pytest.mark.parametrize("copied", [1, 5, 2**20])
def test_numbers_of_objects_have_16_bits_where_they_fit(tmp_path, monkeypatch, most, dtype, copied):
    monkeypatch.setattr("biounet.io.tiff_output.COPIED", copied)
    numbers = np.arange(24, dtype=np.uint32).reshape(2, 3, 4)
    numbers[1, 2, 3] = most
    path, spacing = tmp_path / "a.tif", (2.0, 0.5, 0.5)
    with create(path, shape=(2, 3, 4), dtype="uint32", axes="ZYX", spacing=spacing, meaning=OBJECTS) as output:
        for z in (1, 0):
            output.write(Box((z, 0, 0), (z + 1, 3, 4)), numbers[z : z + 1])
    found = read(path)
    assert (found.array.dtype, found.axes, found.spacing, found.meaning) == (dtype, "ZYX", spacing, OBJECTS)
    assert (found.array == numbers).all()
    assert (tifffile.imread(path) == numbers).all()
    assert [each.name for each in tmp_path.iterdir()] == ["a.tif"]


def test_other_numbers_keep_their_type(tmp_path):
    with create(tmp_path / "a.tif", shape=(2, 2), dtype="uint32", axes="YX") as output:
        output.write(Box((0, 0), (2, 2)), np.ones((2, 2), np.uint32))
    assert read(tmp_path / "a.tif").array.dtype == np.uint32


def test_a_result_that_fails_while_it_is_narrowed_leaves_nothing(tmp_path, monkeypatch):
    def full(stream, data):
        if data.nbytes == 8:  # the numbers in 16 bits
            raise OSError(28, "No space left on device")
        stream.write(data)

    monkeypatch.setattr("biounet.io.tiff_output._write_all", full)
    output = create(tmp_path / "a.tif", shape=(2, 2), dtype="uint32", axes="YX", meaning=OBJECTS)
    with pytest.raises(OutputError, match=r"a\.tif"), output:
        output.write(Box((0, 0), (2, 2)), np.ones((2, 2), np.uint32))
    assert not list(tmp_path.iterdir())
