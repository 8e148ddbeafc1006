"""Play attacks: ``python -m tests.chaos [ATTACK] [--case CASE] [--seed SEED] [--count COUNT]``."""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from . import changed_inputs, damaged_images, full_disks, kills, memory_plans, pairs, records

ATTACKS: Mapping[str, tuple[object, int]] = MappingProxyType({
    "records": (records, 1500),
    "images": (damaged_images, 500),
    "kills": (kills, 25),
    "pairs": (pairs, 17),
    "changed-inputs": (changed_inputs, 10),
    "full-disks": (full_disks, 17),
    "memory-plans": (memory_plans, 100),
})  # fmt: skip
"""Name of an attack -> its module, and how many seeds of each case `make chaos` plays."""


def main() -> int:
    """Play what was asked for; print each finding as the command that plays it again."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("attack", nargs="?", choices=ATTACKS)
    parser.add_argument("--case", action="append", help="a case of the attack, repeat at will; all, if not given")
    parser.add_argument("--seed", type=int, help="one seed, or the first of --count")
    parser.add_argument("--count", type=int, help="how many seeds of each case")
    options = parser.parse_args()
    found = 0
    for name in [options.attack] if options.attack else ATTACKS:
        module, many = ATTACKS[name]
        first = options.seed or 0
        count = options.count or (many if options.seed is None else 1)
        for case in options.case or module.CASES:
            found += play(name, module, case, range(first, first + count))
    return int(found > 0)


def play(name: str, module, case: str, seeds: range) -> int:
    """Play seeds of a case; return the number of findings."""
    findings, counts = 0, Counter[str]()
    for seed in seeds:
        with tempfile.TemporaryDirectory(prefix="biounet-chaos-") as folder:
            outcome = module.run(case, seed, Path(folder))
        again = f"python -m tests.chaos {name} --case {case} --seed {seed}"
        if outcome.wrong or outcome.note:
            print(f"{again}    # {outcome.wrong or outcome.note}", flush=True)
        findings += bool(outcome.wrong)
        counts += outcome.counts
    told = "".join(f", {number:,} {what}" for what, number in sorted(counts.items()))
    print(f"{name}, {case}: {findings} findings in {len(seeds):,} seeds{told}", flush=True)
    return findings


if __name__ == "__main__":
    sys.exit(main())
