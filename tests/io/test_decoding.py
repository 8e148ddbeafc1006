"""Files that take much memory when they are decoded: refused by name before that, with what helps."""

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as Picture

from biounet.core.boxes import Box
from biounet.core.errors import ImageError
from biounet.evaluation import evaluate
from biounet.io import ArrayImage, DecodingRoom, Image, open_lazily, png, read, tiff_pages
from biounet.io import decoding as module


def png_of(width, height, data=b""):
    """A PNG of 8 bits, with the right checksums."""
    header = struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    chunks = (struct.pack(">I", len(d)) + kind + d + struct.pack(">I", zlib.crc32(kind + d)) for kind, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_what_memory_gives_room_for_is_said():
    image = ArrayImage(Image(np.zeros((2, 2)), "YX"))
    DecodingRoom(0).check(image, Path("a.tif"))  # needs nothing
    assert DecodingRoom(2**28, 2**29).advice(2**33) == "save it as a tiled TIFF or OME-Zarr"
    assert DecodingRoom(2**28, 2**29, "--memory").advice(2**33).startswith("give --memory 9GiB, or")


def test_a_strip_that_is_too_large_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, np.zeros((9000, 9000), np.uint8), compression="zlib", rowsperstrip=9000)
    monkeypatch.setattr(tiff_pages.PageReader, "_decode", lambda *_: pytest.fail("was decoded"))
    with pytest.raises(ImageError, match=r"slide\.tif: a part of it .* give --memory 1GiB, or save it as a tiled TIFF"):
        open_lazily(path, room=DecodingRoom(2**20, 2**29, "--memory"))
    with open_lazily(path) as image:  # the default has room for it
        assert 81_000_000 <= image.decoding_bytes < 1.2 * 81_000_000 + 2**26


def test_rows_and_tiles_that_are_small_take_little(tmp_path):
    tifffile.imwrite(tmp_path / "raw.tif", np.zeros((500, 400), np.uint8))
    tifffile.imwrite(tmp_path / "tiles.tif", np.zeros((500, 400), np.uint8), compression="zlib", tile=(64, 64))
    with open_lazily(tmp_path / "raw.tif") as raw, open_lazily(tmp_path / "tiles.tif") as tiles:
        assert raw.decoding_bytes == 0
        assert tiles.decoding_bytes < 500 * 400 + 2 * 64 * 64 + 4096


def test_a_picture_counts_as_a_whole_and_is_refused_by_its_header(tmp_path, monkeypatch):
    (tmp_path / "claims.png").write_bytes(png_of(2**31 - 1, 2**31 - 1))
    (tmp_path / "large.png").write_bytes(png_of(40_000, 40_000))
    monkeypatch.setattr(png, "_pixels", lambda *_, **__: pytest.fail("was decoded"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of Pillow, which would take slides for an attack
        for name in ("claims.png", "large.png"):
            with pytest.raises(ImageError, match=rf"{name}: a part of it"):
                open_lazily(tmp_path / name, room=DecodingRoom(2**30))


@pytest.mark.parametrize("mode", ["1", "L", "I;16", "LA", "RGB", "RGBA", "P"])
def test_pictures_are_copied_block_by_block(tmp_path, monkeypatch, mode):
    pixels = np.random.default_rng(0).integers(0, 255, (70, 50, 3)).astype(np.uint8)
    if mode == "I;16":
        picture = Picture.fromarray(pixels[..., 0].astype(np.uint16) * 250)
    else:
        picture = Picture.fromarray(pixels).convert(mode)
    picture.save(tmp_path / "a.png")
    whole = read(tmp_path / "a.png")
    monkeypatch.setattr(png, "BLOCK", 16)
    monkeypatch.setattr(png, "SMALL", 0)
    with open_lazily(tmp_path / "a.png") as image:
        assert (image.axes, image.shape, image.dtype) == (whole.axes, whole.array.shape, whole.array.dtype)
        np.testing.assert_array_equal(image.read(Box((0,) * len(image.shape), image.shape)), whole.array)
    wanted = np.asarray(picture.convert("RGB") if mode in ("P", "RGBA") else picture)
    wanted = wanted[..., 0] if mode == "LA" else np.moveaxis(wanted, -1, 0) if wanted.ndim == 3 else wanted
    np.testing.assert_array_equal(whole.array, wanted)


def test_a_whole_image_that_memory_does_not_hold_is_not_read(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((500, 400), np.uint8))
    monkeypatch.setattr(module, "_half_of_machine", lambda: 100_000)
    with pytest.raises(ImageError, match=r"a\.tif: its 500 x 400 pixels take"):
        read(tmp_path / "a.tif")
    monkeypatch.setattr(module, "_half_of_machine", lambda: 500 * 400 * 10)
    read(tmp_path / "a.tif")
    with pytest.raises(ImageError, match=r"a\.tif: its 500 x 400 pixels take"):
        evaluate(tmp_path / "a.tif", tmp_path / "a.tif")


def test_a_strip_outside_of_the_file_is_refused_before_room_is_made_for_it(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((64, 64), np.uint8), compression="zlib", rowsperstrip=64)
    with tifffile.TiffFile(path) as file:
        place = file.pages.first.tags["StripByteCounts"].valueoffset
    data = bytearray(path.read_bytes())
    data[place : place + 4] = b"\xff\xff\xff\x7f"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r"a\.tif"):
        read(path)
