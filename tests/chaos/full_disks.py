"""Disks that fill up at random points: it is said in words, and once there is room, the same bytes come out.

Half of the time a small disk in memory is mounted where the results go, which needs the rights of root; else, and where
that is not allowed, files and folders cannot be made from a random point on.
"""

import random
import subprocess
from collections import Counter
from contextlib import suppress
from functools import cache
from pathlib import Path

from .commands import Command
from .jobs import JOBS, OUT, contents, difference, finish, lay_out, undisturbed
from .outcome import Outcome

CASES = tuple(JOBS)
SAID = ("the disk is full", "MiB left")
ROOM = 2**26


def run(case: str, seed: int, folder: Path) -> Outcome:
    """Fill the disk under a command, make room, and go on."""
    rng, job, usual = random.Random(f"{case} {seed}"), JOBS[case], undisturbed(case)
    lay_out(folder)
    mounts = rng.random() < 0.6 and can_mount()
    if mounts:
        needed = sum(len(content) + 4096 for name, content in usual.files.items() if name.startswith(OUT))
        mount(folder / OUT, rng.randrange(4096, max(needed, 65536)))
    try:
        command = Command(job.words, place=folder, full_at=0 if mounts else rng.randint(1, usual.changes))
        command.end()
        counts = Counter({"full": command.status == 2, "had room": command.status == 0, "mounted": mounts})
        if command.fault:
            return Outcome(command.fault, counts)
        if command.status and not any(said in command.said for said in SAID):
            return Outcome(f"it does not say that the disk is full: {command.said.strip().splitlines()[-1:]}", counts)
        if mounts:
            mount(folder / OUT, ROOM, "remount,")
        last = finish(job, folder) if command.status else command
        if last.status:
            return Outcome(f"it cannot go on: {last.said.strip().splitlines()[-1:]}", counts)
        return Outcome(difference(contents(folder), usual.files), counts)
    finally:
        if mounts:
            subprocess.run(["umount", "-l", folder / OUT], check=True)


def mount(folder: Path, size: int, how: str = "") -> None:
    """Mount a disk in memory of so many bytes."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"{how}size={size}", "none", folder], check=True, capture_output=True)


@cache
def can_mount() -> bool:
    """Whether this process may mount disks."""
    place = Path("/mnt")
    with suppress(OSError, subprocess.CalledProcessError):
        mount(place, 4096)
        subprocess.run(["umount", place], check=True)
        return True
    return False
