"""Two commands at a time that write to one place: one result is whole, and who comes second is told.

Whatever the two do, the files in the end are those of one of them, of the last one that has ended well; nothing is
left beside them; and a command that did not do its work says why.
"""

import random
import time
from collections import Counter
from pathlib import Path

from .commands import Command
from .jobs import JOBS, NOT_BEGUN, Job, contents, difference, lay_out, undisturbed
from .outcome import Outcome

CASES = tuple(JOBS)
SAID = ("is being written by", "exists already", "was begun with", "is locked by", "is not empty", NOT_BEGUN,
        "--overwrite")  # fmt: skip
"""Words by which a command says that another one was there."""


def run(case: str, seed: int, folder: Path) -> Outcome:
    """Start two commands, of one model or of two; one is held up at a change to the disk, or they only start apart."""
    rng, job = random.Random(f"{case} {seed}"), JOBS[case]
    lay_out(folder)
    if rng.random() < 0.3 and job.anew:  # there is a result that both replace
        Command(job.words, place=folder).end()
    before = contents(folder)
    kinds = [options(job, rng) for _ in range(2)]
    words = [(*(job.others if other else job.words), *more) for other, more in kinds]
    held, no_locks = rng.random() < 0.6, rng.random() < 0.25
    changes = undisturbed(case).changes
    first = Command(words[0], place=folder, hold_at=rng.randint(1, changes) if held else 0, no_locks=no_locks)
    if held:
        stands = first.wait()
        second = Command(words[1], place=folder, no_locks=no_locks)
        second.end()
        if stands:
            first.go_on()
    else:
        time.sleep(rng.uniform(0, undisturbed(case).seconds))
        second = Command(words[1], place=folder, no_locks=no_locks)
    first.end()
    second.end()
    counts = Counter({"both done": not first.status and not second.status, "one told": first.status != second.status})
    for command, given in zip((first, second), words, strict=True):
        if command.fault:
            return Outcome(f"{' '.join(given)}: {command.fault}", counts)
        if command.status == 2 and not any(said in command.said for said in SAID):
            return Outcome(f"it is not told of the other: {command.said.strip().splitlines()[-1:]}", counts)
    done = [other for command, (other, _) in zip((first, second), kinds, strict=True) if command.status == 0]
    found = contents(folder)
    possible = [undisturbed(case, other=other).files for other in done] or [before]
    wrong = [difference(found, files) for files in possible]
    return Outcome("" if "" in wrong else f"neither of the two: {wrong[0]}", counts)


def options(job: Job, rng: random.Random) -> tuple[bool, tuple[str, ...]]:
    """Whether a command has the other result, and what is added to its words."""
    return rng.random() < 0.5, rng.choice(((), job.again, job.anew))
