"""Kills at any moment: the same bytes after any number of them, nothing left behind, and the old result until then.

Each case kills one to ten times in a row, before a change to the disk or at a moment, and gives the command again.
The cases called ``...-anew`` replace the result of another command, which must be whole until the new one is complete.
"""

import random
import signal
from collections import Counter
from pathlib import Path

from .commands import Command
from .jobs import JOBS, OUT, contents, difference, finish, lay_out, undisturbed
from .outcome import Outcome

ANEW = "-anew"
CASES = (*JOBS, *(name + ANEW for name, job in JOBS.items() if job.anew))


def run(case: str, seed: int, folder: Path) -> Outcome:
    """Kill the command of a case, and those that go on with it; the last one comes to its end."""
    rng, name = random.Random(f"{case} {seed}"), case.removesuffix(ANEW)
    job, wanted, counts = JOBS[name], undisturbed(name), Counter[str]()
    lay_out(folder)
    more: tuple[str, ...] = ()
    if case != name:
        before = Command(job.others, place=folder)
        if before.end():
            return Outcome(f"the old result: {before.fault or before.said}")
        old, more = contents(folder), job.anew
    no_locks = rng.random() < 0.1
    for kill in range(rng.choice((1, 3, 6, 10))):
        words = (*job.words, *more, *(job.again if kill and job.again != more else ()))
        command = hit(words, rng, folder, wanted.changes, wanted.seconds, no_locks=no_locks)
        counts["kills"] += command.status == -signal.SIGKILL
        if command.status != -signal.SIGKILL and command.fault:
            return Outcome(command.fault, counts)
        if case != name and (wrong := neither(contents(folder), old, wanted.files)):
            return Outcome(wrong, counts)
    last = finish(job, folder, *(more if job.again != more else ()))
    if last.status == 2 and case != name:  # nothing of the new result was there yet, or all of it
        last = Command((*job.words, *more), place=folder)
        last.end()
    if last.status:
        return Outcome(f"it cannot go on: {last.said.strip().splitlines()[-1:]}", counts)
    return Outcome(difference(contents(folder), wanted.files), counts)


def hit(words, rng: random.Random, folder: Path, changes: int, seconds: float, *, no_locks: bool = False) -> Command:
    """Start a command, and kill it before a change to the disk, or at a moment of its usual time."""
    if rng.random() < 0.6:
        command = Command(words, place=folder, kill_at=rng.randint(1, changes), no_locks=no_locks)
        command.end()
    else:
        command = Command(words, place=folder, no_locks=no_locks)
        command.end(kill_after=rng.uniform(0, seconds))
    return command


def neither(found: dict[str, bytes], old: dict[str, bytes], new: dict[str, bytes]) -> str:
    """What is neither the old result nor the new one, in words; hidden parts of dead commands do not count yet."""
    found = {name: content for name, content in found.items() if ".part." not in name}
    for root in sorted({result(name) for name in old} - {""}):
        now, before, after = (
            {name: content for name, content in files.items() if result(name) == root} for files in (found, old, new)
        )
        if now not in (before, after):
            return f"{root} is neither the old result nor the new one: {difference(now, before)}"
    return ""


def result(name: str) -> str:
    """The file or folder that is one result, to which a file belongs; empty for what is no result."""
    parts = name.split("/")
    return "/".join(parts[:2]) if parts[0] == OUT and len(parts) > 1 and not parts[1].startswith(".") else ""
