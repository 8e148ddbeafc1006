"""Objects whose pixels do not hang together: each is scored as one, and that is said."""

from dataclasses import dataclass, field

from biounet.core.components import in_pieces
from biounet.evaluation.reading import Case

__all__ = ["Pieces"]


@dataclass
class Pieces:
    """Which images have objects in several pieces.

    Attributes
    ----------
    found : truth or result -> name of the file, and frame -> label of such an object -> number of its pieces

    Examples
    --------
    >>> import numpy as np
    >>> pieces = Pieces()
    >>> truth, result = np.array([[3, 0, 3, 7]]), np.array([[3, 3, 3, 7]])
    >>> pieces.look(Case("a.tif", "truth.tif", truth, result, "YX", 0, (1.0, 1.0), ()))
    >>> pieces.notes()
    ('1 object of the truth is in several pieces (3 of truth.tif in 2); each is scored as one',)
    """

    found: dict[str, dict[str, dict[int, int]]] = field(default_factory=lambda: {"truth": {}, "result": {}})

    def look(self, case: Case) -> None:
        """Look at the frames of a pair of label files."""
        for name, truth, result in case.images(case.result, planar=False):
            frame = name.removeprefix(case.name)
            for what, file, labels in (("truth", case.truth_name, truth), ("result", case.name, result)):
                if broken := in_pieces(labels):
                    self.found[what][file + frame] = broken

    def notes(self) -> tuple[str, ...]:
        """Say how many there are, and name one."""
        said = []
        for what, images in self.found.items():
            count = sum(map(len, images.values()))
            if count:
                name, broken = next(iter(images.items()))
                label, pieces = next(iter(broken.items()))
                many = f"{count} object{'s' * (count > 1)} of the {what} {'are' if count > 1 else 'is'}"
                said.append(f"{many} in several pieces ({label} of {name} in {pieces}); each is scored as one")
        return tuple(said)
