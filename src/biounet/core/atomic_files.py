"""Atomic writing of files and folders: under a temporary name in the same folder, then renamed."""

import ctypes
import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from errno import ENOENT
from pathlib import Path

from biounet.core.errors import OutputError
from biounet.core.places import explained

__all__ = ["check_absent", "hidden_name", "is_part", "put_folder", "remove_parts", "replacing", "sayable"]


PART = re.compile(r"\.(?P<stem>.+)\.\d+(-[0-9a-f]+)?\.(?P<kind>part|old)(?P<suffix>\.[^.]*)?", re.DOTALL)
"""Names of what is written, and of a folder that is about to be removed: both stand beside the result."""


def check_absent(path: Path, *, overwrite: bool = False, file: bool = False) -> None:
    """Refuse a path that exists already, unless it may be overwritten.

    Parameters
    ----------
    path : Path
    overwrite : bool
        Whether a file or folder at `path` may be replaced.
    file : bool
        Whether a file will be written, which never replaces a folder.

    Raises
    ------
    OutputError
        If `path` exists, unless `overwrite`; or if it is a folder, and `file`.
    """
    if file and path.is_dir():
        raise OutputError(f"{path} is a folder, which a file does not replace; choose another name")
    if os.path.lexists(path) and not overwrite:
        raise OutputError(f"{path} exists already; choose another name or give --overwrite")


@contextmanager
def sayable(path: Path) -> Iterator[None]:
    """Turn the system error of a failed write into an `OutputError` of one line about `path`.

    Raises
    ------
    OutputError
        Instead of any other OSError.
    """
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        why = explained(error) or f"{error.strerror or error}"
        if error.errno == ENOENT:  # folders are made before anything is written
            why = "its folder was removed meanwhile; run again"
        raise OutputError(f"{path} could not be written: {why}") from error


@contextmanager
def replacing(
    path: Path,
    *,
    overwrite: bool = False,
    check_folder: Callable[[Path], None] | None = None,
    durable: bool = True,
) -> Iterator[Path]:
    """Context with a temporary name next to `path`; the file or folder written there replaces `path` at the end.

    Until then, what stood there stays as it is.

    Parameters
    ----------
    path : Path
        The folder that it lies in is made if it is missing.
    overwrite : bool
        Whether a file or folder at `path` may be replaced.
    check_folder : function
        Refuses a folder that may not be replaced. Without it, none may be.
    durable : bool
        Whether a file is whole even after a loss of power; else after any death of the process.

    Raises
    ------
    OutputError
        If `path` exists and may not be replaced, or writing fails, or a file was written and `path` is a folder.
        Then nothing is left behind.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "note.txt"
    >>> with replacing(target) as temporary:
    ...     _ = temporary.write_text("whole")
    >>> target.read_text()
    'whole'
    """

    def check(*, file: bool) -> None:
        check_absent(path, overwrite=overwrite, file=file or check_folder is None)
        if check_folder is not None and path.is_dir():
            check_folder(path)

    check(file=False)
    temporary = hidden_name(path)
    with sayable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            check(file=temporary.is_file())
            if temporary.is_dir():
                put_folder(temporary, path)
            else:
                if durable:
                    with temporary.open("rb") as stream:
                        os.fsync(stream.fileno())
                temporary.replace(path)
        finally:
            if temporary.is_dir():
                shutil.rmtree(temporary)
            temporary.unlink(missing_ok=True)


def put_folder(new: Path, path: Path) -> None:
    """Put a folder in place of another, or where there is nothing, and remove the other one.

    One of them stands there at any time, whenever the process is killed, where the system can exchange two names
    (Linux and macOS, on local disks). Elsewhere there may be none for a moment: `remove_parts` then puts back the old.
    """
    if not path.is_dir():
        new.replace(path)
    elif _exchange(new, path):
        shutil.rmtree(new)
    else:
        old = hidden_name(path, kind="old")
        path.replace(old)
        new.replace(path)
        shutil.rmtree(old)


def is_part(path: Path) -> bool:
    """Whether a file or folder was being written by `replacing`.

    >>> is_part(Path("out/.note.4711-af.part.txt")), is_part(Path("out/note.txt"))
    (True, False)
    """
    return PART.fullmatch(path.name) is not None


def remove_parts(files: Iterable[Path], *, folder: Path | None = None) -> None:
    """Remove what killed processes left of files that they were writing; no process may be writing them now.

    Parameters
    ----------
    files : as `replacing` takes them
    folder : Path
        Of any file in it.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in (".note.4711.part.txt", ".other.4711.part.txt", "note.txt"):
    ...     (folder / name).touch()
    >>> remove_parts([folder / "note.txt"])
    >>> sorted(path.name for path in folder.iterdir())
    ['.other.4711.part.txt', 'note.txt']
    """
    wanted: dict[Path, set[str]] = {} if folder is None else {folder: set()}
    for path in files:
        # The second is the name of a folder that is written to replace another, see `biounet.io.zarr_replace`.
        wanted.setdefault(path.parent, set()).update((path.name, f".{path.stem}.part{path.suffix}"))
    for place, names in wanted.items():
        found = [PART.fullmatch(name) for name in os.listdir(place)] if place.is_dir() else []
        for match in filter(None, found):
            name = match["stem"] + (match["suffix"] or "")
            if place == folder or name in names:
                _clear(place / match[0], place / name, old=match["kind"] == "old")


def _clear(part: Path, path: Path, *, old: bool) -> None:
    """Remove a part, or put it back if it is all that there is of a folder."""
    with sayable(part):
        if old and not path.exists():
            part.replace(path)
        elif part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink()


def hidden_name(path: Path, *, kind: str = "part") -> Path:
    """A hidden name beside a path that no other process has, and that `remove_parts` knows.

    The suffix stays last: writers tell formats by it.
    """
    return path.with_name(f".{path.stem}.{os.getpid()}-{secrets.token_hex(4)}.{kind}{path.suffix}")


def _exchange(one: Path, other: Path) -> bool:
    """Exchange the names of two folders in one step, where the system can do that; return whether it did."""
    if sys.platform == "win32":
        return False
    names, library, swap, here = (os.fsencode(one), os.fsencode(other)), ctypes.CDLL(None), 2, -100  # AT_FDCWD
    if hasattr(library, "renameat2"):  # of Linux
        return bool(library.renameat2(here, names[0], here, names[1], swap) == 0)
    return hasattr(library, "renamex_np") and bool(library.renamex_np(*names, swap) == 0)  # of macOS
