"""Objects in several pieces, each of which is scored as one object, and the note about them."""

from dataclasses import dataclass, field

from biounet.core.components import in_pieces
from biounet.evaluation.reading import Case

__all__ = ["Fragments"]


@dataclass
class Fragments:
    """Objects in several pieces, image by image.

    Attributes
    ----------
    found : "truth" or "result" -> name of file and frame -> label of an object in several pieces -> how many pieces

    Examples
    --------
    >>> import numpy as np
    >>> fragments = Fragments()
    >>> truth, result = np.array([[3, 0, 3, 7]]), np.array([[3, 3, 3, 7]])
    >>> fragments.add(Case("a.tif", "truth.tif", truth, result, "YX", 0, (1.0, 1.0), ()))
    >>> fragments.notes()
    ('1 object of the truth is in several pieces (3 of truth.tif in 2); each is scored as one',)
    """

    found: dict[str, dict[str, dict[int, int]]] = field(default_factory=lambda: {"truth": {}, "result": {}})

    def add(self, case: Case) -> None:
        """Search the frames of a pair of label files."""
        for name, truth, result in case.images(case.result, planar=False):
            frame = name.removeprefix(case.name)
            for what, file, labels in (("truth", case.truth_name, truth), ("result", case.name, result)):
                if broken := in_pieces(labels):
                    self.found[what][file + frame] = broken

    def notes(self) -> tuple[str, ...]:
        """A note each for truth and result: how many such objects, and one of them by name."""
        said = []
        for what, images in self.found.items():
            count = sum(map(len, images.values()))
            if count:
                name, broken = next(iter(images.items()))
                label, pieces = next(iter(broken.items()))
                many = f"{count} object{'s' * (count > 1)} of the {what} {'are' if count > 1 else 'is'}"
                said.append(f"{many} in several pieces ({label} of {name} in {pieces}); each is scored as one")
        return tuple(said)
