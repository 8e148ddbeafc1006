"""Several processes for one command on this machine: started together, ended together, watched by this one."""

import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import IO

from biounet.cli.progress import say
from biounet.cli.signals import handling

__all__ = ["devices", "run_processes", "started"]


PATIENCE = 10.0  # seconds that the first process has to say itself why another has ended
PARENT = "BIOUNET_PARENT"  # in the environment of processes that end when whoever started them is gone


def run_processes(count: int, command: Sequence[str]) -> int:
    """Run a command in several processes, and wait for all of them.

    The first process writes to the terminal, and gets Ctrl-C and SIGTERM. The output of another process is shown only
    if this process ends the run.

    Parameters
    ----------
    count : int
    command : program and words

    Returns
    -------
    int
        Exit status: 0 if all have ended well. If one has not, all are ended.
    """
    port = str(free_port())
    with tempfile.TemporaryFile() as said:
        ranks = [
            subprocess.Popen(
                command,
                env={**os.environ, **environment(rank, count), "MASTER_PORT": port},
                stdin=subprocess.PIPE,  # closes when this process is gone, however it went
                stdout=said if rank else None,
                stderr=said if rank else None,
                start_new_session=True,  # Ctrl-C comes here only, and is handed on to the first
            )
            for rank in range(count)
        ]
        try:
            with passing_on(ranks[0]) as come:
                return watch(ranks, said, come)
        finally:
            for process in ranks:
                process.kill()
                process.wait()
                assert process.stdin is not None
                process.stdin.close()


def environment(rank: int, count: int) -> dict[str, str]:
    """Environment variables of a process: its rank in the words of torchrun, and an even share of the processors."""
    threads = max(1, (os.cpu_count() or 1) // count)
    return {
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads)),
        "TORCHELASTIC_RUN_ID": "biounet",
        "MASTER_ADDR": "127.0.0.1",
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        PARENT: str(os.getpid()),
    }


def free_port() -> int:
    """A port of this machine that is free."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def passing_on(first: subprocess.Popen[bytes]) -> Iterator[list[int]]:
    """Pass signals that stop a command on to a process while the block runs; give the signals that came."""
    come: list[int] = []

    def hand_on(number: int, _: FrameType | None) -> None:
        come.append(number)
        first.send_signal(number)

    with handling(hand_on, signal.SIGINT, signal.SIGTERM):
        yield come


def watch(ranks: Sequence[subprocess.Popen[bytes]], said: IO[bytes], come: Sequence[int]) -> int:
    """Wait until all processes have ended, or one has failed; return the status. `come` grows by signals."""
    failed = None
    while failed is None:
        time.sleep(0.05)
        statuses = [process.poll() for process in ranks]
        if not any(status is None or status for status in statuses):
            return 0
        # Others first: if one of them is gone, the first ends too, since it has lost the connection.
        failed = next((rank for rank in (*range(1, len(ranks)), 0) if statuses[rank]), None)
    status: int = ranks[failed].wait()
    with suppress(subprocess.TimeoutExpired):
        first = ranks[0].wait(PATIENCE)
        if first > 0 and status > 0:  # it has said why: bad input, for instance, is the same for all
            return first
    if -status in come:  # before it could take note: it was loading its libraries
        return 128 - status
    why = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
    said.seek(0)
    for line in said.read().decode(errors="replace").splitlines()[-1:]:
        say(f"the other processes said last: {line}")
    say(f"biounet: process {failed + 1} of {len(ranks)} {why}; the run is stopped, go on with --resume")
    return 1


def started() -> bool:
    """Whether this process is one of several; if `run_processes` started it, it ends with its parent."""

    def listen() -> None:
        os.read(0, 1)  # nothing is ever written: this ends when the other side is closed
        os._exit(1)

    if PARENT in os.environ:
        threading.Thread(target=listen, daemon=True).start()
    return "TORCHELASTIC_RUN_ID" in os.environ


def devices() -> int:
    """Number of processes that `run_processes` has started together with this one; 1 if it was started otherwise."""
    return int(os.environ["WORLD_SIZE"]) if PARENT in os.environ else 1
