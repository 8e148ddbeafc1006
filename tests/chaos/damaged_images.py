"""Damaged images: TIFF, PNG and others, damaged by their structure, are read or refused in words, and soon."""

import io
import logging
import resource
import struct
import traceback
import warnings
import zlib
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import PIL.Image
import tifffile

from biounet.core.boxes import Box
from biounet.core.errors import BiounetError
from biounet.io import open_lazily, read

from .outcome import Outcome
from .within import within

MEMORY = 6 * 2**30
"""Address space that reading may take: a header may promise a tenth of the machine, see `DecodingRoom`."""

NUMBERS = (0, 1, 2, 3, 7, 255, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
"""Values that damage puts in the place of others."""

Random = np.random.Generator


@cache
def bases() -> dict[str, bytes]:
    """Whole files, by their names."""
    rng = np.random.default_rng(7)
    grey = rng.integers(0, 255, (96, 80)).astype(np.uint8)
    deep = rng.integers(0, 2**16, (96, 80)).astype(np.uint16)
    colours = rng.integers(0, 255, (96, 80, 3)).astype(np.uint8)
    stack = rng.integers(0, 255, (5, 48, 40)).astype(np.uint16)
    ways = {
        "raw": (grey, {}),
        "strips": (deep, {"compression": "zlib", "rowsperstrip": 16, "predictor": True}),
        "one": (grey, {"compression": "lzw", "rowsperstrip": 96}),
        "tiles": (grey, {"compression": "zlib", "tile": (32, 32)}),
        "colours": (colours, {"compression": "packbits", "rowsperstrip": 7}),
        "planes": (np.moveaxis(colours, -1, 0), {"planarconfig": "separate", "photometric": "rgb", "tile": (16, 16)}),
        "jpeg": (colours, {"compression": "jpeg", "tile": (32, 32)}),
        "imagej": (stack, {"imagej": True, "metadata": {"axes": "ZYX"}}),
        "ome": (stack, {"ome": True, "metadata": {"axes": "TYX"}, "compression": "zlib"}),
        "big": (deep, {"bigtiff": True, "compression": "zlib", "rowsperstrip": 8}),
        "motorola": (deep, {"byteorder": ">", "compression": "zlib", "rowsperstrip": 8}),
        "palette": (grey, {"photometric": "palette", "colormap": rng.integers(0, 2**16, (3, 256)).astype(np.uint16)}),
    }
    files = {}
    for name, (array, options) in ways.items():
        stream = io.BytesIO()
        tifffile.imwrite(stream, array, **({"photometric": "minisblack"} if array.shape[-1] != 3 else {}) | options)
        files[f"{name}.tif"] = stream.getvalue()
    pictures = {"grey.png": grey, "deep.png": deep, "colours.png": colours, "grey.bmp": grey, "colours.jpg": colours}
    for name, array in pictures.items():
        stream = io.BytesIO()
        PIL.Image.fromarray(array).save(stream, format={"jpg": "JPEG"}.get(name[-3:], name[-3:].upper()))
        files[name] = stream.getvalue()
    for name, kind in (("palette.png", "PNG"), ("palette.gif", "GIF")):
        stream = io.BytesIO()
        PIL.Image.fromarray(colours).quantize(64).save(stream, format=kind)
        files[name] = stream.getvalue()
    return files


def cut(rng: Random, data: bytes) -> bytes:
    """End too early."""
    return data[: int(rng.integers(0, len(data)))]


def repeat(rng: Random, data: bytes) -> bytes:
    """Have some bytes twice, as a copy that was resumed at the wrong place."""
    first, last = sorted(rng.integers(0, len(data), 2).tolist())
    return data[:last] + data[first:]


def blank(rng: Random, data: bytes) -> bytes:
    """Have zeros in the place of some bytes, as a disk with a bad sector."""
    first = int(rng.integers(0, len(data)))
    last = min(len(data), first + int(rng.integers(1, 512)))
    return data[:first] + bytes(last - first) + data[last:]


def scratch(rng: Random, data: bytes) -> bytes:
    """Have a few other bytes, most of them near the beginning."""
    other = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        other[int(rng.integers(0, min(len(data), int(rng.choice([64, 512, len(data)])))))] = int(rng.integers(0, 256))
    return bytes(other)


def directory(rng: Random, data: bytes) -> bytes:
    """Change tag, type, count or value of an entry of a TIFF directory, or where the next directory is."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        order, big = file.byteorder, file.is_bigtiff
        page = file.pages[int(rng.integers(0, len(file.pages)))]
        if not isinstance(page, tifffile.TiffPage):
            page = file.pages.first
        tag = list(page.tags.values())[int(rng.integers(0, len(page.tags)))]
        offset = tag.offset
    other = bytearray(data)
    for _ in range(int(rng.integers(1, 3))):
        number = int(rng.choice([*NUMBERS, int(rng.integers(0, 2**16)), len(data)]))
        part = rng.choice(["tag", "type", "count", "value", "value", "value"])
        if part in ("tag", "type"):
            struct.pack_into(
                f"{order}H", other, offset + 2 * (part == "type"), number % (20 if part == "type" else 2**16)
            )
        else:
            at, wide = offset + 4 + (8 if big else 4) * (part == "value"), "Q" if big else "I"
            if part == "value" and tag.dtype == 3 and tag.count == 1:
                wide, number = "H", number % 2**16
            struct.pack_into(f"{order}{wide}", other, at, number)
    return bytes(other)


def chunks(rng: Random, data: bytes) -> bytes:
    """Change the header of a PNG, with the right checksum, or lose, repeat, swap or empty its chunks."""
    found, at = [], 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        found.append([data[at + 4 : at + 8], data[at + 8 : at + 8 + length]])
        at += 12 + length
    number, how = int(rng.integers(0, len(found))), rng.choice(["header", "header", "lose", "repeat", "swap", "empty"])
    if how == "header":
        header = bytearray(found[0][1])
        if rng.random() < 0.7:
            struct.pack_into(">I", header, 4 * int(rng.integers(0, 2)), int(rng.choice(NUMBERS)))
        else:
            header[8 + int(rng.integers(0, 5))] = int(rng.integers(0, 17))
        found[0][1] = bytes(header)
    elif how == "lose":
        del found[number]
    elif how == "repeat":
        found.insert(number, found[number])
    elif how == "swap":
        other = int(rng.integers(0, len(found)))
        found[number], found[other] = found[other], found[number]
    else:
        found[number][1] = found[number][1][: int(rng.integers(0, len(found[number][1]) + 1))]
    return data[:8] + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in found
    )


ANY: tuple[Callable[[Random, bytes], bytes], ...] = (cut, repeat, blank, scratch)


CASES = tuple(bases())


def run(case: str, seed: int, folder: Path) -> Outcome:
    """Damage a file and read it in all ways."""
    rng = np.random.default_rng((CASES.index(case), seed))
    ways = (*ANY, *{".tif": (directory,) * 6, ".png": (chunks,) * 6}.get(case[-4:], ()))
    way = ways[int(rng.integers(0, len(ways)))]
    path = folder / f"{way.__name__}-{case}"
    path.write_bytes(way(rng, bases()[case]))
    logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what it logs is for nobody here
    refused, before = 0, resource.getrlimit(resource.RLIMIT_AS)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        resource.setrlimit(resource.RLIMIT_AS, (address_space() + MEMORY, before[1]))
        try:
            for labels in (False, True):
                with within():
                    refused += attempt(path, labels=labels)
        except BiounetError as error:
            return Outcome(f"{way.__name__}: words {error}")
        except BaseException as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            return Outcome(
                f"{way.__name__}: {type(error).__name__}: {error} ({Path(frame.filename).name}, {frame.lineno})"
            )
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)
    told = [str(each.message) for each in caught if not issubclass(each.category, ResourceWarning)]
    return Outcome(
        f"{way.__name__}: warns {told[0]}" if told else "", Counter({"refused": refused > 0, "read": not refused})
    )


def attempt(path: Path, *, labels: bool) -> bool:
    """Read a file by region and whole; whether it is refused in words that name it."""
    try:
        with open_lazily(path, labels=labels) as image:
            image.read(Box((0,) * len(image.shape), tuple(min(16, size) for size in image.shape)))
        read(path, labels=labels)
    except BiounetError as error:
        if "\n" in str(error) or path.name not in str(error):
            raise
        return True
    return False


def address_space() -> int:
    """Address space of this process now, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
