"""Atomic writing of files and folders: under a temporary name in the same folder, then renamed."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from biounet.core.errors import OutputError
from biounet.core.places import explained

__all__ = ["check_absent", "remove_parts", "replacing", "sayable"]


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
    if path.exists() and not overwrite:
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
        raise OutputError(f"{path} could not be written: {why}") from error


@contextmanager
def replacing(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Context with a temporary name next to `path`; the file or folder written there replaces `path` at the end.

    Parameters
    ----------
    path : Path
        The folder that it lies in is made if it is missing.
    overwrite : bool
        Whether a file or folder at `path` may be replaced.

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
    check_absent(path, overwrite=overwrite)
    # The suffix stays last: writers tell formats by it.
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    with sayable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            if temporary.is_file():
                check_absent(path, overwrite=overwrite, file=True)
                with temporary.open("rb") as stream:
                    os.fsync(stream.fileno())
            if path.is_dir():
                shutil.rmtree(path)
            temporary.replace(path)
        finally:
            if temporary.is_dir():
                shutil.rmtree(temporary)
            temporary.unlink(missing_ok=True)


def remove_parts(path: Path) -> None:
    """Remove temporary files that killed processes left next to `path`; no process may be writing it now.

    Parameters
    ----------
    path : Path
        As `replacing` takes it; its name may be a pattern of several, as in ``step-*.safetensors``.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in (".note.4711.part.txt", ".other.4711.part.txt", "note.txt"):
    ...     (folder / name).touch()
    >>> remove_parts(folder / "note.txt")
    >>> sorted(path.name for path in folder.iterdir())
    ['.other.4711.part.txt', 'note.txt']
    """
    for part in path.parent.glob(f".{path.stem}.*.part{path.suffix}"):
        with sayable(part):
            part.unlink()
