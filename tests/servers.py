"""Servers of the page of a folder: in a process of their own, or in a thread of this one."""

import re
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from unittest.mock import patch

from processes import process_of

__all__ = ["TOKEN", "serving", "serving_here"]


TOKEN = "a-token-for-tests"


@contextmanager
def serving(folder, *, port=0, token=TOKEN):
    """Serve a folder in a process of its own; give the address that it prints, and the process."""
    words = [sys.executable, "-m", "biounet", "serve", str(folder), f"--port={port}", f"--token={token}"]
    with process_of(words, stderr=subprocess.PIPE, text=True) as process:
        said = [process.stderr.readline() for _ in range(2)]
        yield _address(said), process
        process.terminate()
        process.wait(30)


@contextmanager
def serving_here(folder):
    """Serve a folder in a thread, where a test can replace what the server calls; give the address. Nothing learns."""
    from biounet.web import server

    lines, made, run = [], [], server.uvicorn.Server.run
    options = {"port": 0, "token": TOKEN, "say": lines.append, "learn": False}
    thread = threading.Thread(target=server.serve, args=(folder,), kwargs=options)
    with patch.object(server.uvicorn.Server, "run", lambda self, sockets: (made.append(self), run(self, sockets))):
        thread.start()
        end = time.monotonic() + 30
        while not (made and made[0].started):
            assert thread.is_alive()
            assert time.monotonic() < end
            time.sleep(0.02)
    try:
        yield _address(lines)
    finally:
        made[0].should_exit = True
        thread.join(20)
    assert not thread.is_alive()


def _address(lines):
    """The address in what a server says."""
    return re.search(r"http://\S+", lines[1])[0]
