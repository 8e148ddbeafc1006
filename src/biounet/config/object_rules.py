"""How objects are made of probabilities: a few numbers that are tuned on validation and kept in the model file."""

from typing import Annotated

from pydantic import Field, field_validator

from biounet.config.settings import Settings
from biounet.config.tasks import TASKS

__all__ = ["ObjectRules"]


Probability = Annotated[float, Field(ge=0, le=1)]


class ObjectRules(Settings):
    """How objects are made of probabilities.

    Examples
    --------
    >>> ObjectRules(target="border", seed=0.6).grow
    True
    """

    target: str = "foreground"
    """What the classes mean. ``foreground``: background, object. ``border``: background, interior, border.
    ``distance``: background, then levels of distance from the rim of an object inwards."""
    foreground: Probability = 0.5
    """Pixels are of some object where background is less probable than 1 minus this."""
    seed: Probability = 0.5
    """Objects begin where the interior (its probability, or the mean level of distance, in 0..1) reaches this."""
    least_seed: Annotated[int, Field(ge=0)] = 0
    """Smaller seeds, in pixels, are none."""
    peak: Probability = 0.0
    """Seeds that nowhere reach this, higher one, are none: what is doubtful all over is no object."""
    grow: bool = True
    """Seeds grow to fill the foreground; else they are the objects."""
    second_seed: Probability | None = None
    """Where there is no such seed, objects begin where the interior reaches this, lower one; 0: every piece of the
    foreground is an object at least. ``None``: what has no seed is no object."""
    least_pixels: Annotated[int, Field(ge=0)] = 0
    """Smaller objects are dropped."""
    largest_hole: Annotated[int, Field(ge=0)] | None = None
    """Holes in an object of up to this many pixels are filled; ``None``: all holes, 0: none."""

    @field_validator("target")
    @classmethod
    def _target_of_objects(cls, given: str) -> str:
        if given not in TASKS["objects"].targets:
            raise ValueError(f"target must be one of {', '.join(TASKS['objects'].targets)}, got {given!r}")
        return given

    @property
    def choosy(self) -> bool:
        """Whether some of what reaches `seed` is no seed."""
        return self.least_seed > 1 or self.peak > self.seed
