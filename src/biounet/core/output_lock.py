"""One holder per output: a command that writes to a place keeps others away until it ends, however it ends."""

import os
import re
import secrets
import socket
import sys
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from errno import ENOLCK, ENOTSUP, EOPNOTSUPP
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from biounet.core.atomic_files import sayable
from biounet.core.errors import OutputError

__all__ = ["holding", "is_lock"]


GUARD = ".biounet-guard"
"""File in a folder that is locked for the moment in which a command looks at the claims of others and adds its own."""

CLAIM = re.compile(r"\.biounet-\d+-[0-9a-f]+\.(claim|lock)")
"""Names of a claim, which says who writes what in the folder, and of the lock that its process holds meanwhile."""

WHOLE = b"."
"""Name that stands for everything in the folder."""

NO_LOCKS = {ENOLCK, ENOTSUP, EOPNOTSUPP}
"""Errors of folders whose system has no locks; filelock itself knows ENOSYS."""

PATIENCE = 20.0
"""Seconds to wait for the guard, which others hold for a moment."""

COMMAND = 160
"""Most letters of a command that are shown."""


@contextmanager
def holding(files: Iterable[Path], *, folder: Path | None = None) -> Iterator[None]:
    """Outputs that nobody else writes while the block runs, in this process or another.

    A hidden file in the folder of the outputs names them and the process. The system frees them when the process ends,
    so that a killed process is never in the way. In a folder whose system has no locks, the file tells the number, the
    start and the computer of the process: there, what a process left that was killed on another computer has to be
    removed by hand. Several commands may write different files into one folder.

    Parameters
    ----------
    files : files, or folders that are one result
        Folders that they lie in are made if they are missing.
    folder : Path
        All that is written into this folder; it is made if it is missing.

    Raises
    ------
    OutputError
        If another command writes one of them; the message says which one does. Or if the folder cannot be written to.

    Examples
    --------
    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp())
    >>> with holding([place / "a.tif"]), holding([place / "b.tif"]):
    ...     sorted({path.suffix for path in place.iterdir()})
    ['.claim', '.lock']
    >>> list(place.iterdir())
    []
    """
    wanted: dict[Path, set[bytes]] = {}
    if folder is not None:
        wanted[Path(os.path.realpath(folder))] = {WHOLE}
    for place, name in _places(files):
        wanted.setdefault(place, set()).add(name)
    with ExitStack() as stack:
        for place in sorted(wanted):  # in one order for all commands
            stack.enter_context(_claiming(place, wanted[place]))
        yield


def is_lock(path: Path) -> bool:
    """Whether a file is one of those that `holding` makes.

    >>> is_lock(Path("run/.biounet-guard")), is_lock(Path("run/.biounet-12-af.claim")), is_lock(Path("run/log.csv"))
    (True, True, False)
    """
    of_0_1 = path.name == ".lock"  # of a run that was begun by version 0.1
    return of_0_1 or path.name == GUARD or CLAIM.fullmatch(path.name) is not None


def _places(files: Iterable[Path]) -> Iterator[tuple[Path, bytes]]:
    """The true folder and the name of each output: one, however it is spelled."""
    known: dict[Path, Path] = {}
    for path in files:
        if path.is_symlink():
            path = Path(os.path.realpath(path))
        if path.parent not in known:
            known[path.parent] = Path(os.path.realpath(path.parent))
        yield known[path.parent], os.fsencode(path.name)


@contextmanager
def _claiming(folder: Path, names: set[bytes]) -> Iterator[None]:
    """Claim names in a folder for the time of the block."""
    with sayable(folder), ExitStack() as stack:
        stack.callback(_remove_empty, _make(folder))
        claim = folder / f".biounet-{os.getpid()}-{secrets.token_hex(4)}.claim"
        lock = _acquire(claim.with_suffix(".lock"), FileLock)
        stack.callback(_release, lock)
        stack.callback(claim.unlink, missing_ok=True)
        guard = _acquire(folder / GUARD, type(lock))
        try:
            _check_free(folder, names, claim, kind=type(lock))
            claim.write_bytes(b"\0".join([os.fsencode(_this_command()), *sorted(names)]))
        finally:
            _release(guard)
        kept = stack.pop_all()
    with kept:
        yield


def _check_free(folder: Path, names: set[bytes], mine: Path, *, kind: type[BaseFileLock]) -> None:
    """Refuse names that a living process has claimed, and remove what dead ones have left; the guard must be held."""
    for path in sorted(folder.iterdir()):
        if CLAIM.fullmatch(path.name) is None or path.stem == mine.stem:
            continue
        if _is_dead(path.with_suffix(".lock"), kind):
            path.with_suffix(".claim").unlink(missing_ok=True)
        elif path.suffix == ".claim":
            with suppress(FileNotFoundError):  # its process has just come to its end
                who, *claimed = path.read_bytes().split(b"\0")
                common = names if WHOLE in claimed else {*claimed} if WHOLE in names else names & {*claimed}
                if common:
                    name = os.fsdecode(min(common))
                    raise OutputError(
                        f"{folder if name == '.' else folder / name} is being written by {_shown(who)}; wait for its "
                        "end, stop it, or choose another name"
                    )
    _remove_breaks(folder)


def _remove_breaks(folder: Path) -> None:
    """Remove what is left of a process that was killed while it removed a dead lock; the guard must be held.

    Such a file may hold the mark of a living process as long as a claim's lock is there, and for a moment of the guard.
    """
    held = (folder / GUARD).stat().st_mtime  # by the clock of the disk
    for left in folder.glob(".biounet-*.break.*"):
        lock = left.with_name(left.name.partition(".break.")[0])
        with suppress(FileNotFoundError):
            dead = left.stat().st_mtime < held - PATIENCE if lock.name == GUARD else not lock.exists()
            if dead:
                left.unlink()


def _is_dead(path: Path, kind: type[BaseFileLock]) -> bool:
    """Whether no process holds a lock; then its file is removed.

    Where the system has no locks, a living process is known by its file, which another kind of lock would empty.
    """
    if not path.exists():
        return True
    try:
        _release(_acquire(path, kind, patience=0))
    except (Timeout, PermissionError):
        return False
    return True


def _acquire(path: Path, kind: type[BaseFileLock], *, patience: float = PATIENCE) -> BaseFileLock:
    """Lock of a file, by the system, or where it has no locks by the existence of the file."""
    lock = kind(path, timeout=patience, poll_interval=0.01, mode=0o666)  # others must find out whether it is held
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # filelock warns of such systems
            lock.acquire()
    except Timeout:
        if patience:
            raise OutputError(f"{path} is locked by another command; wait for its end, or remove the file") from None
        raise
    except OSError as error:
        if error.errno not in NO_LOCKS or kind is SoftFileLock:
            raise
        path.unlink(missing_ok=True)
        return _acquire(path, SoftFileLock, patience=patience)
    return lock


def _release(lock: BaseFileLock) -> None:
    """Remove the file of a lock and free it, in this order: nobody may hold a file that has no name."""
    if not isinstance(lock, SoftFileLock):
        with suppress(OSError):
            Path(lock.lock_file).unlink()
    lock.release()


def _make(folder: Path) -> list[Path]:
    """Make a folder; return the folders that were missing, from the innermost to the outermost."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders in which nothing was written."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


def _this_command() -> str:
    """Words on this process for another person."""
    program, *words = sys.argv or [""]
    command = " ".join(["biounet" if program.endswith("__main__.py") else Path(program).name, *words])
    when = time.strftime("%Y-%m-%d %H:%M:%S")
    return f"process {os.getpid()} on {socket.gethostname()} since {when} ({command[:COMMAND]})"


def _shown(who: bytes) -> str:
    """Words on another process, all of which can be printed."""
    return os.fsdecode(who).encode("utf-8", "backslashreplace").decode()
