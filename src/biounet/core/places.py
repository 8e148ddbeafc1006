"""Places that a person names, files to read and outputs to write: what cannot work is said before any work is done."""

import errno
import os
import stat
from pathlib import Path

from biounet.core.errors import BiounetError, OutputError
from biounet.core.words import shortened

__all__ = ["LONGEST_NAME", "check_input", "check_output", "check_working_folder", "explained", "path_of", "real_path"]


LONGEST_NAME = 223
"""Bytes of the name of an output: of 255 that disks take, the others are for the names of temporary files."""

LONGEST_PATH = 4000
"""Bytes of a path with all folders, of 4096 that Linux takes."""

KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

WORDS = {
    errno.EACCES: "you have no permission for it; ask its owner, or take another place",
    errno.EPERM: "you have no permission for it; ask its owner, or take another place",
    errno.EROFS: "the disk can only be read; take another place",
    errno.ENOSPC: "the disk is full; free some room and try again",
    errno.EDQUOT: "your share of the disk is full; free some room and try again",
    errno.EFBIG: "the disk takes no file of this size; take another disk",
    errno.ENAMETOOLONG: "the name is too long for the disk; take a shorter one",
    errno.ELOOP: "it is a link that leads back to itself; give the file that is meant",
    errno.ENOTDIR: "a folder on the way to it is a file; check the name",
    errno.EIO: "the disk does not answer; check it, and copy its files",
    errno.ESTALE: "the folder on the network has gone; connect it again",
    errno.EMFILE: "too many files are open; raise the limit by ulimit -n",
    errno.ENFILE: "too many files are open on this machine; run again later",
}
"""Errors of the system that are no fault of a program, in words."""


def explained(error: OSError) -> str | None:
    """An error of the system in words, with what can be done; None if it may be a fault of ours.

    >>> explained(OSError(errno.ENOSPC, "No space left on device"))
    'the disk is full; free some room and try again'
    """
    return WORDS.get(error.errno or 0)


def check_working_folder() -> None:
    """Refuse to work in a folder that was removed: relative names mean nothing there, and torch crashes.

    Raises
    ------
    OutputError
    """
    try:
        os.getcwd()
    except FileNotFoundError as error:
        raise OutputError("the folder that you are in was removed; change to another by cd, and run again") from error


def path_of(given: object, error: type[BiounetError], *, what: str) -> Path:
    """A path that was given in Python, as text or as a path.

    Raises
    ------
    error
        If it is neither, or empty.

    Examples
    --------
    >>> from biounet.core.errors import ModelFileError
    >>> path_of(None, ModelFileError, what="a model file")
    Traceback (most recent call last):
    biounet.core.errors.ModelFileError: the path of a model file is wanted, got None
    """
    if not isinstance(given, str | os.PathLike) or not isinstance(name := os.fspath(given), str) or not name:
        raise error(f"the path of {what} is wanted, got {shortened(given)}")
    return Path(name)


def check_input(path: Path, error: type[BiounetError], *, what: str = "file") -> None:
    """Refuse what cannot be read: what is missing, no file or folder, a link to itself, or not allowed.

    Parameters
    ----------
    path : Path
    error : type of the error
    what : what should be there

    Raises
    ------
    error

    Examples
    --------
    >>> from biounet.core.errors import ImageError
    >>> check_input(Path("no.tif"), ImageError)
    Traceback (most recent call last):
    biounet.core.errors.ImageError: no.tif: there is no such file; check the name
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError) as missing:
        why = f"it is a link to {os.readlink(path)}, which is missing" if _is_link(path) else f"there is no such {what}"
        raise error(f"{path}: {why}; check the name") from missing
    except OSError as failure:
        raise error(f"{path}: {explained(failure) or failure.strerror}") from failure
    kind = KINDS.get(stat.S_IFMT(mode))
    if kind is not None:
        raise error(f"{path}: it is {kind}, which is no {what}; save what comes from it first")
    if not os.access(path, os.R_OK | (os.X_OK if stat.S_ISDIR(mode) else 0)):
        raise error(f"{path}: {WORDS[errno.EACCES]}")


def check_output(path: Path, *, file: bool = False) -> None:
    """Refuse an output that nobody can have meant or that cannot be written; nothing is written.

    Parameters
    ----------
    path : Path
        A file or folder, there or not.
    file : bool
        Whether it is a file, whose name is more than a suffix.

    Raises
    ------
    OutputError

    Examples
    --------
    >>> check_output(Path(""))
    Traceback (most recent call last):
    biounet.core.errors.OutputError: the output is '.', which is no name of its own; give a name, such as results
    """
    name = path.name
    if name in ("", "..") or (file and name.startswith(".") and "." not in name[1:]):
        wanted = f"results{name}" if file and name.strip(".") else "results"
        raise OutputError(f"the output is '{path}', which is no name of its own; give a name, such as {wanted}")
    long = max(len(os.fsencode(part)) for part in path.parts)
    if long > LONGEST_NAME:
        raise OutputError(
            f"{path}: a name of {long} bytes is too long, at most {LONGEST_NAME} work; choose a shorter one"
        )
    if len(os.fsencode(path.absolute())) > LONGEST_PATH:
        raise OutputError(f"{path}: {WORDS[errno.ENAMETOOLONG]}")
    try:
        there = next(each for each in (path, *path.absolute().parents) if os.path.lexists(each))
        mode = there.stat().st_mode
    except (OSError, ValueError) as error:
        raise OutputError(f"{path}: {(isinstance(error, OSError) and explained(error)) or error}") from error
    if there != path and not stat.S_ISDIR(mode):
        raise OutputError(f"{there} is a file, and no folder; choose another --out")
    if stat.S_IFMT(mode) in KINDS:
        raise OutputError(f"{path} is {KINDS[stat.S_IFMT(mode)]}, and no place for a result; choose another --out")
    if stat.S_ISDIR(mode) and not os.access(there, os.W_OK | os.X_OK):
        raise OutputError(f"{there} cannot be written to: {WORDS[errno.EACCES]}")


def real_path(path: Path) -> Path:
    """A path without links and dots, to compare it with others; a link to itself stays as it is."""
    return Path(os.path.realpath(path))


def _is_link(path: Path) -> bool:
    try:
        return path.is_symlink()
    except (OSError, ValueError):
        return False
