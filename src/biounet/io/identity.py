"""Identity of the files of an image: size, time of change, and a digest, by which a change is noticed.

A result is of one image only if its files did not change between the first pixel that was read and the last.
"""

import hashlib
import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from biounet.core.errors import ImageError
from biounet.io.inner_path import split_inner
from biounet.io.nrrd import data_files
from biounet.io.ome_tiff import files_beside

__all__ = ["FileIdentity", "check_unchanged", "unchanged"]


WHOLE = 2**24
"""Bytes of a file that is digested whole; of a larger one, evenly spread blocks are."""

BLOCK, BLOCKS = 2**16, 256

TICK, COARSE_TICK = 12_000_000, 2_000_000_000
"""Nanoseconds within which two changes may have one time: on most disks, and on those that count whole seconds."""

DEEPEST = 32
"""Folders within each other in an image that is a folder."""


@dataclass(frozen=True)
class FileIdentity:
    """Identity of a file, or of all files of an image that is a folder; a few numbers, whatever the size.

    Parameters
    ----------
    files : number of files; 0 if there is nothing
    size : bytes of all files
    changed : nanoseconds since 1970, of the last change of any file
    digest : SHA-256 of the bytes of a file, or of evenly spread blocks of a large one; of a folder, and of the files
        beside an OME-TIFF or NHDR that hold pixels of it, of names, sizes and times

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.tif"
    >>> _ = path.write_text("one")
    >>> before = FileIdentity.of(path)
    >>> _ = path.write_text("three")
    >>> before.difference(FileIdentity.of(path))
    'it had 3 bytes and has 5'
    """

    files: int
    size: int
    changed: int
    digest: str

    @classmethod
    def of(cls, path: Path, *, labels: bool = False, without: str = "") -> Self:
        """The identity of an image as it is now.

        Parameters
        ----------
        path : a file, or a folder such as OME-Zarr
        labels : bool
            Count the labels that lie inside of an image, too; else they may be written meanwhile.
        without : name of a file within a folder that is left out

        Raises
        ------
        ImageError
            If folders lie deeper than those of an image.

        Notes
        -----
        A file that was written a moment ago is looked at again a moment later: a change that has the same time as the
        one before would not be noticed.
        """
        for _ in range(10):
            found = cls._now(path, labels, without=without)
            tick = TICK if found.changed % 1_000_000_000 else COARSE_TICK
            age = time.time_ns() - found.changed
            if not 0 <= age < tick or not found.files:
                break
            time.sleep((tick - age) / 1e9)
        return found

    @classmethod
    def of_times(cls, path: Path, *, labels: bool = False) -> Self:
        """The identity without the bytes of a file, and without looking again: quick, for what is read in a moment."""
        return cls._now(path, labels, sample=False)

    @classmethod
    def _now(cls, path: Path, labels: bool, *, sample: bool = True, without: str = "") -> Self:
        path = _outermost(path)
        try:
            status = path.stat()
        except OSError:  # whoever opens it says why it cannot be read
            return cls(0, 0, 0, "")
        if stat.S_ISDIR(status.st_mode):
            found = _files(path, labels=labels, above=((status.st_dev, status.st_ino),))
            return cls._joined((name, entry) for name, entry in found if name != without)
        if not stat.S_ISREG(status.st_mode):
            return cls(1, status.st_size, status.st_mtime_ns, "")
        digest = _digest(path, status.st_size) if sample else ""
        name = path.name.lower()
        others = files_beside(path) if ".ome" in name else data_files(path) if name.endswith(".nhdr") else []
        if not others:
            return cls(1, status.st_size, status.st_mtime_ns, digest)
        whole = cls._joined((file.name, file.stat()) for file in (path, *others))
        return replace(whole, digest=digest and f"{digest}{whole.digest}")

    @classmethod
    def _joined(cls, files: Iterable[tuple[str, os.stat_result]]) -> Self:
        """The identity of several files, of which nothing but sums is kept."""
        count = size = changed = total = 0
        for name, entry in files:
            count, size, changed = count + 1, size + entry.st_size, max(changed, entry.st_mtime_ns)
            one = hashlib.sha256(os.fsencode(f"{name}\0{entry.st_size}\0{entry.st_mtime_ns}")).digest()
            total = (total + int.from_bytes(one)) % 2**256  # a sum, since folders have no order
        return cls(count, size, changed, f"{total:064x}")

    def difference(self, now: Self) -> str:
        """What has changed since, in words; empty if nothing has."""
        if self == now:
            return ""
        if not now.files:
            return "it is gone"
        for before, after, what in ((self.files, now.files, "files"), (self.size, now.size, "bytes")):
            if before != after:
                return f"it had {before:,} {what} and has {after:,}"
        if self.changed != now.changed:
            return f"it was written at {_clock(self.changed)}, and again at {_clock(now.changed)}"
        return "it has another content" if self.digest and now.digest else ""


def check_unchanged(
    path: Path,
    before: FileIdentity,
    *,
    verb: str,
    remedy: str = "run again",
    labels: bool = False,
    quick: bool = False,
) -> None:
    """Refusal to go on with an image whose files changed.

    Parameters
    ----------
    path : Path
    before : identity from before it was opened
    verb : what was done with it meanwhile, such as ``predicted``
    remedy : what to do then
    labels : as for `FileIdentity.of`
    quick : look at sizes and times only, as `FileIdentity.of_times`

    Raises
    ------
    ImageError
        It says what changed.
    """
    identity = FileIdentity.of_times if quick else FileIdentity.of
    if found := before.difference(identity(path, labels=labels)):
        raise ImageError(
            f"{path.name} changed while it was {verb} ({found}); wait until nothing writes to it, and {remedy}"
        )


@contextmanager
def unchanged(
    *paths: Path | None, verb: str, remedy: str = "run again", labels: bool = False, quick: bool = False
) -> Iterator[None]:
    """Context in which files are read, and must not change.

    Parameters
    ----------
    paths : None is left out
    verb, remedy, labels, quick : as for `check_unchanged`

    Raises
    ------
    ImageError
        At the end, also in place of one that says that a file cannot be read.
    """
    identity = FileIdentity.of_times if quick else FileIdentity.of
    before = {path: identity(path, labels=labels) for path in paths if path is not None}

    def check() -> None:
        for path, known in before.items():
            check_unchanged(path, known, verb=verb, remedy=remedy, labels=labels, quick=quick)

    try:
        yield
    except ImageError:  # most likely because of the change
        check()
        raise
    check()


def _outermost(path: Path) -> Path:
    """The file that a path leads into, as in ``a.h5:/raw`` and ``a.zarr.zip/0``; else the path itself."""
    path = split_inner(path)[0]
    if path.exists():
        return path
    return next((parent for parent in path.parents if parent.is_file()), path)


def _digest(path: Path, size: int) -> str:
    """SHA-256 of the bytes of a file, or of blocks of it."""
    digest = hashlib.sha256()
    step = BLOCK if size <= WHOLE else (size - BLOCK) // (BLOCKS - 1)
    try:
        with path.open("rb", buffering=0) as stream:
            for place in range(0, max(size - BLOCK, 0) + step, step):
                stream.seek(place)
                digest.update(stream.read(BLOCK))
    except OSError:  # whoever opens it says why it cannot be read
        return ""
    return digest.hexdigest()


def _files(
    folder: Path, *, labels: bool, within: str = "", above: tuple[tuple[int, int], ...] = ()
) -> Iterator[tuple[str, os.stat_result]]:
    """Names and status of the files in a folder and below it, one by one in no order.

    Hidden files are left out, but for the metadata of Zarr: viewers and systems put some beside. Links that lead to a
    folder above are not followed.
    """
    if len(above) > DEEPEST:
        raise ImageError(f"{folder}: folders lie more than {DEEPEST} deep, as in no image; check the path")
    try:
        entries = os.scandir(folder)
    except FileNotFoundError:  # gone meanwhile
        return
    except OSError as error:
        raise ImageError(f"{folder} cannot be read ({error.strerror}); check its permissions") from error
    with entries:
        for entry in entries:
            if entry.name.startswith(".") and not entry.name.startswith(".z"):
                continue
            try:
                status = entry.stat()
            except OSError:  # gone meanwhile, or a link to nothing
                continue
            key = status.st_dev, status.st_ino
            if not stat.S_ISDIR(status.st_mode):
                yield within + entry.name, status
            elif key not in above and (labels or entry.name != "labels"):
                inner = f"{within}{entry.name}/"
                yield from _files(Path(entry.path), labels=labels, within=inner, above=(*above, key))


def _clock(nanoseconds: int) -> str:
    """A time in words, to the millisecond."""
    return str(np.datetime64(min(max(nanoseconds, 0), 2**63 - 1), "ns"))[:23].replace("T", " ") + " UTC"
