"""Damage TIFF and image files by structure, and read each: it is read, or refused in words, in time and memory.

python tests/chaos/damaged_images.py --count 1000 --seed 0
python tests/chaos/damaged_images.py --only 137 --seed 0        one of them again; its file is left in --keep DIR
"""

import argparse
import io
import logging
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import tifffile

from biounet.core.boxes import Box
from biounet.core.errors import BiounetError
from biounet.io import open_lazily, read

SECONDS = 10
"""Time in which a file must be read or refused."""

MEMORY = 6 * 2**30
"""Address space of the process."""

NUMBERS = (0, 1, 2, 3, 7, 255, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
"""Values that damage puts in the place of others."""

Random = np.random.Generator


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


def damaged(seed: int, number: int, files: dict[str, bytes]) -> tuple[str, str, bytes]:
    """Name, kind of damage and contents of a damaged file, the same for the same numbers."""
    rng = np.random.default_rng((seed, number))
    name = list(files)[int(rng.integers(0, len(files)))]
    own = {"tif": (directory,) * 6, "png": (chunks,) * 6}.get(name[-3:], ())
    ways = (*ANY, *own)
    way = ways[int(rng.integers(0, len(ways)))]
    return name, way.__name__, way(rng, files[name])


def attempt(path: Path) -> str:
    """Read a file in all ways; what came is ``read`` or ``refused``, else what is wrong."""
    outcome = "read"
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    began = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for labels in (False, True):
            try:
                with open_lazily(path, labels=labels) as image:
                    image.read(Box((0,) * len(image.shape), tuple(min(16, size) for size in image.shape)))
                read(path, labels=labels)
            except BiounetError as error:
                outcome = "refused"
                if "\n" in str(error) or path.name not in str(error):
                    outcome = f"words: {error}"
            except BaseException as error:
                frame = traceback.extract_tb(error.__traceback__)[-1]
                outcome = f"{type(error).__name__}: {error} ({Path(frame.filename).name}, {frame.lineno})"
    signal.setitimer(signal.ITIMER_REAL, 0)
    if time.perf_counter() - began > SECONDS:
        outcome = f"took {time.perf_counter() - began:.0f} s, {outcome}"
    told = [str(each.message) for each in caught if not issubclass(each.category, ResourceWarning)]
    return f"warns: {told[0]}" if told and outcome in ("read", "refused") else outcome


def main() -> int:
    """Run, print what is wrong and how often what came, and return the exit status."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--count", type=int, default=1000)
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--only", type=int)
    words.add_argument("--keep", type=Path)
    given = words.parse_args()

    def stop(*_: object) -> None:
        raise TimeoutError(f"more than {SECONDS} s")

    logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what it logs is for nobody here
    logging.lastResort = None
    signal.signal(signal.SIGALRM, stop)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    files, outcomes, wrong = bases(), Counter[str](), 0
    with tempfile.TemporaryDirectory() as folder:
        place = given.keep or Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        for number in range(given.count) if given.only is None else [given.only]:
            name, way, data = damaged(given.seed, number, files)
            path = place / f"{number}-{name}"
            path.write_bytes(data)
            outcome = attempt(path)
            if given.keep is None:
                path.unlink()
            outcomes[outcome if outcome in ("read", "refused") else "WRONG"] += 1
            if outcome not in ("read", "refused"):
                wrong += 1
                print(f"--seed {given.seed} --only {number}: {name}, {way}: {outcome}", flush=True)
    print(
        f"seed {given.seed}: {dict(outcomes)}, peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 2**10} MiB"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
