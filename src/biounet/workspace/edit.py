"""Edits of labels as they come from a person: what was done, where, and on which version."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from biounet.config.settings import Settings
from biounet.core.labels import IGNORE

__all__ = ["Edit", "Plane", "Region", "regions_after"]


Plane = tuple[int, int]
"""Time point and z-slice, from 0."""

Region = tuple[int, int, int, int, int, int]
"""Time point, z-slice, top, left, bottom, right."""

MOST_POINTS = 20_000
LARGEST_RADIUS = 500.0

Coordinate = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Point = tuple[Coordinate, Coordinate]


class Edit(Settings):
    """One thing that a person did to the labels of one plane.

    Examples
    --------
    >>> Edit(kind="paint", points=[(3, 4)], radius=2, label=1).label
    1
    """

    kind: Literal["paint", "outline", "delete", "merge", "split", "right", "accept", "finish", "reopen"]
    """``paint``: a stroke. ``outline``: all that a closed line goes round. ``delete``: the object at a point is none.
    ``merge``: the objects at two points or more are one. ``split``: an object is cut along a line. ``right``: the
    predicted object at a point is right. ``accept``: all that is predicted in a region is right, where nothing was
    drawn. ``finish``: all objects of a region are drawn, the rest is background. ``reopen``: not so after all."""
    plane: Plane = (0, 0)
    version: Annotated[int, Field(ge=0)] = 0
    """Version of the labels that the person saw."""
    points: tuple[Point, ...] = Field(default=(), max_length=MOST_POINTS)
    """(y, x) in pixels of the image; the centre of the first pixel is (0.5, 0.5)."""
    radius: Annotated[float, Field(gt=0, le=LARGEST_RADIUS)] = 0.5
    """Of the brush, in pixels."""
    label: Annotated[int, Field(ge=IGNORE, lt=2**31 - 1)] | Literal["new", "under"] = "new"
    """What is painted: a class, an object, 0 for background, -1 for unknown, ``new`` for an object of its own,
    ``under`` for the object at the first point, or a new one where there is none."""
    over: bool = False
    """Whether paint covers other objects, too."""
    id: Annotated[str, Field(max_length=40)] = ""
    """By which an edit is known that is sent again because no answer came."""
    box: tuple[int, int, int, int] | None = None
    """Top, left, bottom and right of a region; None: the whole plane."""

    @model_validator(mode="after")
    def _points_are_there(self) -> "Edit":
        least = {"paint": 1, "outline": 3, "delete": 1, "merge": 2, "split": 2, "right": 1}.get(self.kind, 0)
        if len(self.points) < least:
            raise ValueError(f"{self.kind} needs {least} points, got {len(self.points)}")
        if self.box is not None and not (self.box[0] < self.box[2] and self.box[1] < self.box[3]):
            raise ValueError(f"a region needs top < bottom and left < right, got {self.box}")
        return self


def regions_after(finished: list[Region], edit: Edit, size: tuple[int, int]) -> list[Region]:
    """Finished regions of an image after an edit: ``finish`` adds one, ``reopen`` removes those that it touches.

    Parameters
    ----------
    finished : list of Region
    edit : Edit
    size : (Y, X) pixels of a plane

    Examples
    --------
    >>> regions_after([(0, 0, 0, 0, 4, 4)], Edit(kind="finish", box=(0, 0, 90, 90)), (8, 8))
    [(0, 0, 0, 0, 8, 8)]
    """
    if edit.kind not in ("finish", "reopen"):
        return finished
    top, left, bottom, right = edit.box or (0, 0, *size)
    box = (max(top, 0), max(left, 0), min(bottom, size[0]), min(right, size[1]))

    def inside(region: Region) -> bool:
        return region[:2] == edit.plane and (
            box[0] <= region[2] and box[1] <= region[3] and region[4] <= box[2] and region[5] <= box[3]
        )

    def touched(region: Region) -> bool:
        return region[:2] == edit.plane and (
            region[2] < box[2] and box[0] < region[4] and region[3] < box[3] and box[1] < region[5]
        )

    if edit.kind == "finish":
        return [*(region for region in finished if not inside(region)), (*edit.plane, *box)]
    return [region for region in finished if not touched(region)]
