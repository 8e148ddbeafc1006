"""Commands in processes of their own that kill themselves at the n-th change that they make to the disk."""

import contextlib
import io
import multiprocessing
import os
import re
import signal
import sys
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["biounet.cli.predict", "biounet.io.ome_zarr", "zarr", "scipy.ndimage", "numba"])
UUID = re.compile(rb"urn:uuid:[-0-9a-f]{36}")
WRITTEN = re.compile(rb"written \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \w+")
CHANGES = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree")


def run(words, *, place: Path, kill_at: int = 0, hold_at: int = 0) -> "Command":
    """Start ``biounet WORDS``; it kills itself, or waits to be told, before its n-th change to a file below `place`."""
    return Command(words, place, kill_at, hold_at)


class Command:
    """A command that was started."""

    def __init__(self, words, place, kill_at, hold_at):
        self.here, there = CONTEXT.Pipe()
        arguments = ([str(word) for word in words], str(place), kill_at, hold_at, there)
        self.process = CONTEXT.Process(target=_work, args=arguments)
        self.process.start()
        there.close()
        self.said = ""

    def wait_until_held(self) -> bool:
        """Wait until it stands still; False if it came to its end before."""
        try:
            return self.here.recv() == "held"
        except EOFError:
            return False

    def go_on(self):
        """Let it go on."""
        self.here.send("go on")

    def end(self) -> int:
        """Wait for its end; return its status: negative, if a signal has ended it."""
        with contextlib.suppress(EOFError):
            while True:
                self.said = self.here.recv()
        self.process.join()
        return self.process.exitcode


def changes(words, *, place: Path) -> int:
    """Run a command to its end, and return how many changes it made below `place`."""
    command = run(words, place=place, kill_at=-1)
    assert command.end() == 0, command.said
    count, _, _ = command.said.partition(" ")
    return int(count)


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


def _work(words, place, kill_at, hold_at, connection):
    """Run a command; its last message is the number of changes and what it said."""
    count = 0

    def watch(event, details):
        nonlocal count
        if event not in CHANGES or not str(details[0]).startswith(place):
            return
        if event == "open" and not (isinstance(details[2], int) and details[2] & (os.O_WRONLY | os.O_RDWR)):
            return
        count += 1
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if count == hold_at:
            connection.send("held")
            connection.recv()

    said = io.StringIO()
    sys.addaudithook(watch)
    sys.argv = ["biounet", *words]
    from biounet.cli import main

    status = 0
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            main()
        except SystemExit as stop:
            status = stop.code or 0
    connection.send(f"{count} {said.getvalue()}")
    connection.close()
    sys.stdout.flush()
    os._exit(status)
