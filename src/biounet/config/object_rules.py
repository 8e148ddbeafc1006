"""Rules that make objects of probabilities: a few numbers, tuned on validation images and kept in the model file."""

from typing import Annotated

from pydantic import Field, field_validator

from biounet.config.settings import Settings
from biounet.config.tasks import TASKS

__all__ = ["ObjectRules"]


Probability = Annotated[float, Field(ge=0, le=1)]
Pixels = Annotated[int, Field(ge=0, le=2**40)]


class ObjectRules(Settings):
    """Thresholds and sizes that make objects of probabilities.

    Examples
    --------
    >>> ObjectRules(target="border", seed=0.6).grow
    True
    """

    target: str = "foreground"
    """What the classes mean. ``foreground``: background, object. ``border``: background, interior, border.
    ``distance``: background, then levels of distance from the rim of an object inwards."""
    foreground: Probability = 0.5
    """A pixel is foreground where the background is less probable than 1 minus this."""
    seed: Probability = 0.5
    """Threshold of seeds, on the probability of the interior, or on the mean level of distance, in [0, 1]."""
    least_seed: Pixels = 0
    """Smallest number of pixels of a seed."""
    largest_seed: Annotated[int, Field(ge=1, le=2**40)] | None = None
    """Largest number of pixels of a seed of one object; a larger seed is split where parts of it are higher than what
    joins them. ``None``: no seed is."""
    peak: Probability = 0.0
    """Threshold, above `seed`, that a seed must reach somewhere, so that uncertain regions give no objects."""
    grow: bool = True
    """Whether seeds grow to fill the foreground. Without it the seeds are the objects."""
    second_seed: Probability | None = None
    """Lower threshold of seeds for components of the foreground without any, for dim objects. With 0 every component
    has an object; with ``None`` components without a seed have none."""
    least_pixels: Pixels = 0
    """Smallest number of pixels of an object."""
    largest_hole: Pixels | None = None
    """Largest number of pixels of a hole that is filled. ``None``: all holes, 0: none."""

    @field_validator("target")
    @classmethod
    def _target_of_objects(cls, given: str) -> str:
        known = [target for task in TASKS.values() if task.numbered for target in task.targets]
        if given not in known:
            raise ValueError(f"target must be one of {', '.join(known)}, got {given!r}")
        return given

    def scaled(self, factor: float) -> "ObjectRules":
        """Rules for an image in which objects have `factor` times as many pixels; probabilities stay.

        >>> ObjectRules(least_seed=10, least_pixels=40).scaled(0.25).least_pixels
        10
        """
        sizes = {name: getattr(self, name) for name in ("least_seed", "least_pixels", "largest_hole")}
        scaled = {name: size and round(size * factor) for name, size in sizes.items()}
        largest = self.largest_seed and max(1, round(self.largest_seed * factor))
        return self.model_copy(update={**scaled, "largest_seed": largest})

    @property
    def choosy(self) -> bool:
        """Whether some components above `seed` are no seeds."""
        return self.least_seed > 1 or self.peak > self.seed
