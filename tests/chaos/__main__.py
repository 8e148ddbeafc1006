"""Play attacks: ``python -m tests.chaos [ATTACK] [--case CASE] [--seed SEED] [--count COUNT]``."""

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from . import records

ATTACKS: Mapping[str, tuple[object, int]] = MappingProxyType({"records": (records, 1500)})
"""Name of an attack -> its module, and how many seeds of each case `make chaos` plays."""


def main() -> int:
    """Play what was asked for; print each finding as the command that plays it again."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("attack", nargs="?", choices=ATTACKS)
    parser.add_argument("--case", help="one case of the attack; all, if not given")
    parser.add_argument("--seed", type=int, help="one seed, or the first of --count")
    parser.add_argument("--count", type=int, help="how many seeds of each case")
    options = parser.parse_args()
    found = 0
    for name in [options.attack] if options.attack else ATTACKS:
        module, many = ATTACKS[name]
        first = options.seed or 0
        count = options.count or (many if options.seed is None else 1)
        for case in [options.case] if options.case else module.CASES:
            findings = 0
            for seed in range(first, first + count):
                with tempfile.TemporaryDirectory() as folder:
                    wrong = module.run(case, seed, Path(folder))
                if wrong:
                    findings += 1
                    print(f"python -m tests.chaos {name} --case {case} --seed {seed}    # {wrong}", flush=True)
            print(f"{name}, {case}: {findings} findings in {count} seeds", flush=True)
            found += findings
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
