"""Memory of the machine and of the process, and the notation of sizes, such as 4GiB."""

import ctypes
import math
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from biounet.core.errors import MemoryBudgetError

__all__ = ["format_bytes", "freed_memory_kept", "machine_bytes", "parse_bytes", "resident_bytes"]


UNITS = {"b": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12}

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of malloc.h


def parse_bytes(text: str) -> int:
    """Number of bytes of a size such as ``4GiB``.

    Raises
    ------
    MemoryBudgetError
        If it is none.

    Examples
    --------
    >>> parse_bytes("4GiB"), parse_bytes("1.5 GB"), parse_bytes("2000000")
    (4294967296, 1500000000, 2000000)
    """
    number = text.strip().rstrip("bBiIkKmMgGtT").strip()
    unit = text.strip()[len(number) :].strip().lower() or "b"
    unit = unit if unit.endswith("b") else f"{unit}ib"
    try:
        size = float(number) * UNITS[unit]
    except (ValueError, KeyError):
        size = 0.0
    if not 0 < size < math.inf:
        raise MemoryBudgetError(f"memory must be a size such as 4GiB or 500MB, got {text!r}")
    return int(size)


def format_bytes(size: float) -> str:
    """Text for a number of bytes, in KiB, MiB or GiB.

    >>> format_bytes(2 * 2**30), format_bytes(300 * 2**20), format_bytes(5000)
    ('2.00 GiB', '300 MiB', '5 KiB')
    """
    if size < 2**20:
        return f"{size / 2**10:.0f} KiB"
    return f"{size / 2**30:.2f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"


def machine_bytes(*, root: Path = Path("/")) -> int:
    """Total memory of this machine in bytes, or the limit of the container in which this process runs.

    Parameters
    ----------
    root : Path
        Where ``proc`` and ``sys`` of Linux are.
    """
    return min([int(psutil.virtual_memory().total), *_limits(root)])


def _limits(root: Path) -> Iterator[int]:
    """Memory limits, in bytes, of the control groups of this process and of their parents (version 2, then 1)."""
    try:
        groups = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # no Linux
        return
    for _, controllers, path in (line.split(":", 2) for line in groups):
        if controllers == "":
            place, name = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            place, name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        group = place / path.lstrip("/")
        for around in (around for around in (group, *group.parents) if around.is_relative_to(place)):
            most = "max"
            with suppress(OSError):  # inside of a container, groups of the host are not to be seen
                most = (around / name).read_text().strip()
            if most.isdigit():
                yield int(most)


def resident_bytes() -> int:
    """Resident memory of this process in bytes."""
    return int(psutil.Process().memory_info().rss)


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Context in which freed memory stays with the process, for the feature maps of the next training step.

    Otherwise the C library gives large blocks back to the system at once, and gets pages that were filled with zeros
    when they are wanted again. That takes a twentieth of a training step in bfloat16, and a fifth in float32. Up to 2
    GiB stay, until the end of the context. Only glibc has these settings; elsewhere nothing changes.
    """
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    library = ctypes.CDLL(None)
    library.mallopt(M_MMAP_MAX, 0)
    library.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield
    finally:
        library.mallopt(M_MMAP_MAX, 2**16)
        library.mallopt(M_TRIM_THRESHOLD, 2**26)  # both as glibc has them
        library.malloc_trim(0)
