"""Commands of biounet in processes of their own, which are killed, held, or find the disk full at the n-th change."""

import atexit
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

SECONDS = 120
"""Longest time of a command."""

UUID = re.compile(rb"urn:uuid:[-0-9a-f]{36}")
WRITTEN = re.compile(rb"written \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \w+")


class Command:
    """A command ``biounet WORDS`` that was started.

    Parameters
    ----------
    words : of the command
    place : folder below which changes to the disk count; it is the working folder
    kill_at, hold_at : number of the change before which it kills or stops itself
    full_at : number of the change from which on the disk is full
    no_locks : the disk has no locks
    """

    def __init__(self, words, *, place: Path, kill_at=0, hold_at=0, full_at=0, no_locks=False) -> None:
        self.place = Path(tempfile.mkdtemp(prefix="command-", dir=server().parent))
        files = {name: str(self.place / name) for name in ("out", "err", "changes")}
        request = {"words": [str(word) for word in words], "place": str(place), **files}
        request |= {"kill_at": kill_at, "hold_at": hold_at, "full_at": full_at, "no_locks": no_locks}
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.settimeout(SECONDS)
        self._connection.connect(str(server()))
        self._stream = self._connection.makefile("rw")
        print(json.dumps(request), file=self._stream, flush=True)
        self.pid = int(self._stream.readline())
        self.began = time.monotonic()
        self.status: int | None = None
        self.peak = 0
        """Most memory of the process, in bytes."""

    def wait(self) -> bool:
        """Wait until it has ended, or stands still; return whether it stands still."""
        if self.status is not None:
            return False
        try:
            status, peak = map(int, self._stream.readline().split())
        except TimeoutError:
            self.kill()
            raise TimeoutError(f"no end in {SECONDS} s: {self.said}") from None
        if os.WIFSTOPPED(status):
            return True
        self.status, self.peak = os.waitstatus_to_exitcode(status), 1024 * peak
        self.seconds = time.monotonic() - self.began
        self._stream.close()
        self._connection.close()
        return False

    def go_on(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self, *, group: bool = True) -> None:
        """Kill it, and with `group` all processes that it has started."""
        with suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.pid, signal.SIGKILL)

    def end(self, *, kill_after: float | None = None) -> int:
        """Wait for its end, or kill it after so many seconds; return its status, negative if a signal ended it."""
        if kill_after is not None and self.status is None:
            self._connection.settimeout(kill_after)
            with suppress(TimeoutError):
                self._connection.recv(1, socket.MSG_PEEK)
            self.kill()
            self._connection.settimeout(SECONDS)
        while self.wait():
            self.go_on()
        assert self.status is not None
        return self.status

    @property
    def said(self) -> str:
        """All that it has printed."""
        return "".join((self.place / name).read_text(errors="replace") for name in ("out", "err"))

    @property
    def changes(self) -> int:
        """How many changes it has made below its place."""
        file = self.place / "changes"
        return int(file.read_text() or 0) if file.exists() else 0

    @property
    def fault(self) -> str:
        """What is wrong with the way in which it ended, if it was not killed; a refusal in words is well."""
        last = self.said.strip().splitlines()[-1:] or [""]
        if self.status not in (0, 2, -signal.SIGKILL) or "Traceback" in self.said:
            return f"status {self.status}: {last[0][:300]}"
        if self.status == 2 and not re.match(r"biounet: .{10,}", last[0]):
            return f"refused without words: {last[0][:300]!r}"
        return ""


@cache
def server() -> Path:
    """The address of a server of commands, which lives as long as this process."""
    folder = Path(tempfile.mkdtemp(prefix="biounet-chaos-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    address = folder / "socket"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    program = [sys.executable, "-W", "ignore", "-P", str(Path(__file__).with_name("fork_server.py")), str(address)]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, env=environment)
    atexit.register(process.wait)
    atexit.register(process.kill)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return address


def files(folder: Path) -> dict[str, bytes]:
    """Contents of all files below a folder, hidden ones too; of folders none.

    Left out is what is another one in each run: the number of an OME-TIFF, and the time and the folder on a page.
    """
    contents = {path: path.read_bytes() if path.is_file() else b"" for path in sorted(folder.rglob("*"))}
    for path, content in contents.items():
        contents[path] = UUID.sub(b"", content)
        if path.suffix == ".html":
            page = WRITTEN.sub(b"", content).replace(bytes(folder), b"FOLDER")
            contents[path] = page.replace(f"Objects in {folder.name}".encode(), b"Objects in FOLDER")
    return {path.relative_to(folder).as_posix(): content for path, content in contents.items()}
