"""What came of one attack."""

from collections import Counter
from dataclasses import dataclass, field

__all__ = ["Outcome"]


@dataclass(frozen=True)
class Outcome:
    """What came of one attack.

    wrong : what went wrong, as a line; empty if nothing did
    counts : what happened, to be added up over seeds, such as kills
    note : a line that is printed in any case, such as a figure
    """

    wrong: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    note: str = ""
