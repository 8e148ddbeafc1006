"""A server that forks a process for each command: libraries are imported once, and 1,000 commands take minutes.

It is run as a script. Each connection to its socket carries one request, a line of JSON, see `commands.Command`. The
answers are lines: the process, each stop of it, and its end as the system tells it. The server runs no operation of
torch and starts no thread, so that a forked process is like one that was started anew.
"""

import ctypes
import errno
import fcntl
import importlib
import json
import os
import signal
import socket
import sys
import traceback

import numba

LIBRARIES = (
    "biounet.cli.predict", "biounet.cli.train", "biounet.cli.measure_files", "biounet.training.prepare",
    "biounet.report.prediction_report", "biounet.report.run_report", "biounet.io.ome_zarr", "zarr", "tifffile",
    "imagecodecs", "imagecodecs._deflate", "PIL.Image", "PIL.PngImagePlugin", "scipy.ndimage", "biounet.cli.early",
    "biounet.cli.setting_options", "biounet.cli.label_options",
)  # fmt: skip

CHANGES = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "shutil.rmtree")
"""Events of the interpreter that change the disk; `open` only for writing."""

NEED_ROOM = ("open", "os.mkdir")
"""Changes that a full disk refuses."""


def main(address: str) -> None:
    """Fork a process for each connection, for as long as the parent lives."""
    die_with_parent()
    for name in LIBRARIES:
        importlib.import_module(name)
    numba.njit(lambda number: number + 1)(1)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(8)
        print("ready", flush=True)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that look after commands
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                die_with_parent()
                listener.close()
                look_after(connection)
                os._exit(0)
            connection.close()


def look_after(connection: socket.socket) -> None:
    """Fork the command of a request, and tell of its stops and its end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    connection.settimeout(None)
    stream = connection.makefile("rw")
    request = json.loads(stream.readline())
    child = os.fork()
    if child == 0:
        die_with_parent()
        os.setpgid(0, 0)
        connection.detach()
        work(request)
    print(child, file=stream, flush=True)
    status = 0x7F
    while os.WIFSTOPPED(status):
        _, status, usage = os.wait4(child, os.WUNTRACED)
        print(status, usage.ru_maxrss, file=stream, flush=True)
    connection.shutdown(socket.SHUT_RDWR)


def work(request: dict) -> None:
    """Be the command, in a process group of its own."""
    for number, path in ((1, request["out"]), (2, request["err"])):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.chdir(request["place"])
    if request["no_locks"]:
        fcntl.flock = without_locks
    sys.argv = [os.path.join(os.path.dirname(sys.modules["biounet"].__file__), "__main__.py"), *request["words"]]
    attack(request)
    status = 0
    try:
        sys.modules["biounet.cli"].main()
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def attack(request: dict) -> None:
    """Die, stop, or find the disk full at the n-th change below the place; write down how many changes there were."""
    count, place, main_process = 0, request["place"] + os.sep, os.getpid()
    counter = os.open(request["changes"], os.O_WRONLY | os.O_CREAT)

    def watch(event: str, details: tuple) -> None:
        nonlocal count
        if event not in CHANGES or os.getpid() != main_process or not isinstance(details[0], str | bytes | os.PathLike):
            return
        if not os.path.join(place, os.fsdecode(details[0])).startswith(place):
            return
        if event == "open" and not (isinstance(details[2], int) and details[2] & (os.O_WRONLY | os.O_RDWR)):
            return
        count += 1
        os.pwrite(counter, b"%d" % count, 0)
        if count == request["kill_at"]:
            os.kill(main_process, signal.SIGKILL)
        if count == request["hold_at"]:
            os.kill(main_process, signal.SIGSTOP)
        if 0 < request["full_at"] <= count and event in NEED_ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), details[0])

    sys.addaudithook(watch)


def die_with_parent() -> None:
    """Have the system kill this process when its parent ends, where it can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def without_locks(*_: object) -> None:
    """Be a folder whose system has no locks."""
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


if __name__ == "__main__":
    main(sys.argv[1])
