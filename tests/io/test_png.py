"""PNG and JPEG: grey, colours, palettes, pixel size, torn files."""

import numpy as np
import PIL.Image
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from biounet.core.boxes import Box
from biounet.core.errors import ImageError, OutputError
from biounet.io import Image, Meaning, create, read, write

LAWS = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SIZES = st.tuples(st.integers(1, 30), st.integers(1, 30))


def numbered(shape, dtype="uint8"):
    return (np.arange(np.prod(shape)) % 251).reshape(shape).astype(dtype)


@LAWS
@given(SIZES, st.sampled_from(["uint8", "uint16", "rgb"]), st.data())
def test_what_is_written_is_read(tmp_path, size, kind, data):
    shape, axes, dtype = ((3, *size), "CYX", "uint8") if kind == "rgb" else (size, "YX", kind)
    spacing = data.draw(st.none() | st.tuples(st.floats(0.001, 10), st.floats(0.001, 10)))
    image = Image(data.draw(hnp.arrays(dtype, shape)), axes, spacing)
    write(tmp_path / "a.png", image, overwrite=True)
    back = read(tmp_path / "a.png")
    assert back.axes == axes
    assert back.array.dtype == dtype
    np.testing.assert_array_equal(back.array, image.array)
    assert back.spacing == (None if spacing is None else pytest.approx(spacing, rel=1e-4))


def test_grey_of_16_bits_as_others_write_it(tmp_path):
    array = numbered((20, 30), "uint16") * 200
    PIL.Image.fromarray(array).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read(tmp_path / "a.png").array, array)


def test_colours_are_channels_and_opaque_alpha_is_dropped(tmp_path):
    colours = numbered((20, 30, 4))
    colours[..., 3] = 255
    PIL.Image.fromarray(colours).save(tmp_path / "a.png")
    image = read(tmp_path / "a.png")
    assert image.axes == "CYX"
    np.testing.assert_array_equal(image.array, np.moveaxis(colours[..., :3], -1, 0))
    colours[3, 4, 3] = 0
    PIL.Image.fromarray(colours).save(tmp_path / "b.png")
    with pytest.raises(ImageError, match=r"b\.png.*transparent"):
        read(tmp_path / "b.png")


def test_a_palette_is_colours_for_images_and_numbers_for_labels(tmp_path):
    numbers = np.array([[0, 1], [2, 1]], np.uint8)
    picture = PIL.Image.new("P", (2, 2))
    picture.putdata(numbers.ravel().tolist())
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
    picture.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read(tmp_path / "a.png", labels=True).array, numbers)
    assert read(tmp_path / "a.png").array[:, 0, 1].tolist() == [255, 0, 0]


def test_a_mask_of_single_bits_is_zero_and_one(tmp_path):
    mask = numbered((9, 11)) % 2 == 1
    PIL.Image.fromarray(mask).save(tmp_path / "a.png")
    back = read(tmp_path / "a.png").array
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, mask)


def test_jpeg_is_read_and_never_written(tmp_path):
    PIL.Image.fromarray(np.full((16, 16), 77, np.uint8)).save(tmp_path / "a.jpg")
    assert (read(tmp_path / "a.jpg").array == 77).all()
    with pytest.raises(OutputError, match="JPEG changes pixel values"):
        write(tmp_path / "b.jpg", Image(numbered((8, 8)), "YX"))


def test_the_resolution_of_a_screen_is_no_pixel_size(tmp_path):
    PIL.Image.fromarray(numbered((8, 9))).save(tmp_path / "a.png", dpi=(72, 72))
    assert read(tmp_path / "a.png").spacing is None


@pytest.mark.parametrize(
    ("array", "axes"),
    [(np.zeros((8, 9), np.float32), "YX"), (np.full((8, 9), 70_000), "YX"), (np.zeros((2, 8, 9), np.uint8), "ZYX")],
)
def test_what_png_cannot_hold_is_refused(tmp_path, array, axes):
    with pytest.raises(OutputError, match=r"a\.png: PNG cannot hold .* save it as \.tif"):
        write(tmp_path / "a.png", Image(array, axes))
    assert list(tmp_path.iterdir()) == []


def test_a_file_written_by_regions_is_complete_or_absent(tmp_path):
    with create(tmp_path / "a.png", shape=(4, 5), dtype="uint16", axes="YX", spacing=(0.5, 0.5)) as output:
        output.write(Box((1, 2), (2, 4)), np.array([[7, 900]]))
    image = read(tmp_path / "a.png")
    assert image.array[1].tolist() == [0, 0, 7, 900, 0]
    assert image.spacing == pytest.approx((0.5, 0.5))
    with pytest.raises(ZeroDivisionError), create(tmp_path / "b.png", shape=(4, 5), dtype="uint8", axes="YX"):
        _ = 1 / 0
    with pytest.raises(OutputError, match=r"a\.png exists"):
        create(tmp_path / "a.png", shape=(4, 5), dtype="uint8", axes="YX")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@LAWS
@given(st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_an_error_or_lost_nothing(tmp_path, share):
    array = np.random.default_rng(0).integers(0, 255, (20, 30)).astype(np.uint8)
    path = tmp_path / "a.png"
    PIL.Image.fromarray(array).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    try:
        back = read(path)
    except ImageError as error:
        said = str(error)
    else:
        said = "nothing of a.png was lost" if np.array_equal(back.array, array) else "\n"
    assert "a.png" in said
    assert "\n" not in said


def test_colours_of_16_bits_are_refused_not_rounded(tmp_path):
    imagecodecs = pytest.importorskip("imagecodecs")
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(numbered((8, 9, 3), "uint16") * 200))
    with pytest.raises(ImageError, match=r"a\.png.*16 bits"):
        read(tmp_path / "a.png")


def test_other_axes_than_those_of_the_file_are_refused(tmp_path):
    write(tmp_path / "a.png", Image(numbered((8, 9)), "YX"))
    with pytest.raises(ImageError, match=r"a\.png: its axes are YX, not ZYX"):
        read(tmp_path / "a.png", axes="ZYX")


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_labels_are_the_numbers_in_the_file(tmp_path, bits):
    numbers = (np.arange(48).reshape(6, 8) % min(2**bits, 16)).astype(np.uint8)
    path = tmp_path / "labels.png"
    if bits == 1:
        PIL.Image.fromarray(numbers.astype(bool)).save(path)
    else:
        factor = {2: 85, 4: 17, 8: 1}[bits]  # Pillow divides again when it writes few bits
        PIL.Image.fromarray(numbers * np.uint8(factor)).save(path, bits=bits)
    np.testing.assert_array_equal(read(path, labels=True).array, numbers)


@pytest.mark.parametrize(
    ("dtype", "meaning", "most", "stored"),
    [
        ("uint32", None, 255, "uint8"),
        ("int64", None, 256, "uint16"),
        ("uint16", None, 255, "uint16"),
        ("uint16", Meaning(kind="objects"), 255, "uint8"),
        ("uint16", Meaning(kind="objects"), 256, "uint16"),
    ],
)
def test_labels_have_8_bits_where_they_fit(tmp_path, dtype, meaning, most, stored):
    labels = np.array([[0, 1], [2, most]], dtype)
    write(tmp_path / "a.png", Image(labels, "YX", None, meaning))
    found = np.asarray(PIL.Image.open(tmp_path / "a.png"))
    assert (found == labels).all()
    assert found.dtype == stored or (stored == "uint16" and found.dtype == "int32")
