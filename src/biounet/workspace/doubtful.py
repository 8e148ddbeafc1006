"""The region that is most worth a look, and the part of a view that is predicted."""

from collections.abc import Iterable, Sequence

from biounet.core.boxes import Box
from biounet.core.errors import DatasetError
from biounet.workspace.edit import Plane, Region
from biounet.workspace.predictions import Predictions
from biounet.workspace.project import ProjectImage

__all__ = ["VIEW", "Spot", "most_doubtful"]


VIEW = 1024
"""Pixels along a side of what is predicted of a view, at most."""

STAY = 0.7
"""Share of the largest doubt from which a region of the image on the screen comes before others."""

Spot = tuple[int, Plane, Box]
"""Number of an image, plane, and region."""


def most_doubtful(
    predictions: Iterable[tuple[ProjectImage, Plane, Predictions]], *, shown: Sequence[Spot], current: int
) -> tuple[Spot, float]:
    """The region in which a network is least sure, and its mean entropy, in [0, 1].

    Parameters
    ----------
    predictions : of all planes that were predicted
    shown : regions that are not shown again
    current : number of the image on the screen
        It is left only for much more doubt.

    Raises
    ------
    DatasetError
        If nothing is predicted yet, or nothing is left to look at.
    """
    found = [
        ((image.number, plane, box), doubt)
        for image, plane, each in predictions
        for box, doubt in each.doubtful
        if (image.number, plane, box) not in shown and not _inside(box, plane, image.store.finished)
    ]
    if not found:
        raise DatasetError("there is no doubtful region; wait for the next prediction")
    best = max(found, key=lambda each: each[1])
    here = max((each for each in found if each[0][0] == current), key=lambda each: each[1], default=best)
    return here if here[1] > STAY * best[1] else best


def _inside(box: Box, plane: Plane, regions: Sequence[Region]) -> bool:
    """Whether a region lies in one of those that are finished."""
    (top, left), (bottom, right) = box.start, box.stop
    return any(
        plane == (t, z) and a <= top and b <= left and bottom <= c and right <= d for t, z, a, b, c, d in regions
    )
