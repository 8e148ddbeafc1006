"""Settings: frozen, checked at birth, unknown keys refused; read from and written to TOML.

A run is described by one `RunConfig` with a section for each concern. ``--set train.loss=dice``
on the command line, a ``config.toml`` and Python code all go through the same checks.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self, TypeVar

import tomlkit
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError, model_validator

from biounet.errors import ConfigError

__all__ = [
    "IGNORE",
    "PRESETS",
    "AugmentConfig",
    "ModelConfig",
    "RunConfig",
    "TileConfig",
    "TrainConfig",
    "toml_value",
]

IGNORE = -1
"""The label of pixels nobody knows: never trained on, never scored. Any negative label means the same."""

Fraction = Annotated[float, Field(ge=0, le=1)]
NonNegativeFloat = Annotated[float, Field(ge=0)]
NonNegativeInt = Annotated[int, Field(ge=0)]


class Settings(BaseModel):
    """What all sections share: frozen, checked, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


S = TypeVar("S", bound=Settings)


class ModelConfig(Settings):
    """What network: enough to build it without its weights.

    Examples
    --------
    >>> ModelConfig(width=64, depth=4, padding="valid").name
    'unet'
    """

    name: str = "unet"
    """A key of `biounet.models.MODELS`."""
    dims: Literal[2, 3] = 2
    """2 for images (Y, X), 3 for volumes (Z, Y, X)."""
    in_channels: PositiveInt = 1
    classes: Annotated[int, Field(ge=2)] = 2
    width: PositiveInt = 64
    """Channels after the first convolution; each pooling doubles them."""
    max_width: PositiveInt = 1024
    """No level has more channels than this."""
    depth: Annotated[int, Field(ge=1, le=8)] = 4
    """Number of poolings."""
    padding: Literal["valid", "same"] = "valid"
    """``valid``: unpadded convolutions, as in the paper; ``same``: the output has the size of the input."""
    norm: Literal["none", "batch"] = "none"
    """``batch``: batch normalisation, frozen in prediction, so that it never depends on the tile."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of channels dropped at the end of the contracting path while training."""
    pooling: tuple[tuple[PositiveInt, ...], ...] | None = None
    """Pooling factors per level and axis, for stacks with thick slices; ``None`` means 2 everywhere."""

    @model_validator(mode="after")
    def _pooling_fits(self) -> Self:
        if self.pooling is not None:
            if len(self.pooling) != self.depth or any(len(factors) != self.dims for factors in self.pooling):
                raise ValueError(f"pooling needs {self.depth} rows of {self.dims} factors, got {self.pooling}")
            if any(factor not in (1, 2) for factors in self.pooling for factor in factors):
                raise ValueError(f"pooling factors are 1 or 2, got {self.pooling}")
        return self

    @property
    def poolings(self) -> tuple[tuple[int, ...], ...]:
        """Pooling factors per level and axis, outermost level first."""
        return self.pooling or ((2,) * self.dims,) * self.depth

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels per level, outermost first, bottom last.

        >>> ModelConfig().channels
        (64, 128, 256, 512, 1024)
        """
        return tuple(min(self.width * 2**level, self.max_width) for level in range(self.depth + 1))


class AugmentConfig(Settings):
    """How training images are bent and relit. Probabilities are per sample; lengths are in pixels."""

    elastic: Fraction = 1.0
    """Probability of an elastic deformation."""
    elastic_grid: Annotated[int, Field(ge=2)] = 3
    """Displacement vectors per axis of the coarse grid."""
    elastic_sigma: NonNegativeFloat = 10.0
    """Standard deviation of the displacement vectors; on small patches at most an eighth of their distance."""
    rotate: NonNegativeFloat = 180.0
    """Largest rotation in the plane YX, in degrees."""
    mirror: bool = True
    """Mirror along Y, along X, and in volumes along Z, each with probability 1/2."""
    scale: Annotated[float, Field(ge=1)] = 1.0
    """Largest magnification; drawn between 1/scale and scale, log-uniform."""
    shift: NonNegativeFloat = 0.0
    """Largest shift along each axis."""
    labels_outside: Literal["mirror", "ignore"] = "mirror"
    """What labels hold where a deformation reaches outside the image."""
    brightness: NonNegativeFloat = 0.0
    """Largest offset, in standard deviations of the normalised image."""
    contrast: Annotated[float, Field(ge=1)] = 1.0
    """Largest contrast factor; drawn between 1/contrast and contrast, log-uniform."""
    gamma: Annotated[float, Field(ge=1)] = 1.0
    """Largest exponent on intensities brought to [0, 1]; drawn between 1/gamma and gamma, log-uniform."""
    noise: NonNegativeFloat = 0.0
    """Largest standard deviation of Gaussian noise, in standard deviations of the normalised image."""
    blur: NonNegativeFloat = 0.0
    """Largest sigma of a Gaussian blur, in pixels."""
    intensity_probability: Fraction = 0.5
    """Probability of each of the intensity changes; how strong, each channel draws for itself."""


class TrainConfig(Settings):
    """How to train: data sampling, loss, optimiser, schedule and budget."""

    steps: PositiveInt | None = None
    """Number of updates. Either this or `minutes`."""
    minutes: PositiveFloat | None = None
    """Wall-clock budget; the number of updates follows from a short measurement."""
    seed: NonNegativeInt = 0
    batch: PositiveInt = 1
    patch: PositiveInt = 572
    """Pixels per axis of the network's input, brought to the nearest size that the network takes."""
    patch_z: PositiveInt | None = None
    """The same along Z, for volumes; ``None`` means `patch`."""
    auto_width: bool = False
    """Choose `model.width` by what the minutes pay for on this machine."""
    loss: str = "cross-entropy"
    """A key of `biounet.losses.LOSSES`."""
    border_weight: NonNegativeFloat = 10.0
    """w0 of the border weight map (Ronneberger et al. 2015, equation 2); 0 turns it off."""
    border_sigma: PositiveFloat = 5.0
    """sigma of the border weight map, in pixels."""
    class_balance: bool = True
    """Weigh classes by the inverse of their frequency."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: PositiveFloat = 1e-3
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.99
    weight_decay: NonNegativeFloat = 0.0
    schedule: Literal["constant", "one-cycle", "cosine"] = "constant"
    warmup: Fraction = 0.1
    """Share of the steps in which the learning rate rises."""
    clip: PositiveFloat | None = None
    """Largest norm of the gradient."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay per step of the running average of the weights that is validated and saved; 0 turns it off."""
    validation: Fraction | str = 1 / 6
    """Share of the images held out for validation, or the path of another dataset."""
    reports: PositiveInt = 10
    """How often to validate and report in a run."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    target: Literal["auto", "classes", "foreground"] = "auto"
    """What labels mean: class numbers, or objects of one foreground class. ``auto`` decides by the layout."""

    @model_validator(mode="after")
    def _one_budget(self) -> Self:
        if self.steps is not None and self.minutes is not None:
            raise ValueError(f"give either steps or minutes, not both ({self.steps} and {self.minutes})")
        return self


class TileConfig(Settings):
    """How prediction cuts an image: pixels delivered per tile and axis, tiles per batch."""

    output: tuple[PositiveInt, ...] | None = None
    batch: PositiveInt = 1
    memory: PositiveInt = 4 * 2**30
    """Bytes that prediction may use altogether."""


class RunConfig(Settings):
    """Everything that a training run needs to know, as written to ``config.toml``."""

    model: ModelConfig = ModelConfig()
    augment: AugmentConfig = AugmentConfig()
    train: TrainConfig = TrainConfig()

    @classmethod
    def preset(cls, name: str) -> Self:
        """One of `PRESETS`.

        >>> RunConfig.preset("paper").model.channels
        (64, 128, 256, 512, 1024)
        """
        if name not in PRESETS:
            raise ConfigError(f"preset must be one of {', '.join(PRESETS)}, got {name!r}")
        return parse(cls, PRESETS[name], "preset")

    def updated(self, changes: Mapping[str, Any]) -> Self:
        """Return a copy with ``{"train.loss": "dice", ...}`` changed, checked as at birth.

        >>> RunConfig().updated({"train.batch": 4}).train.batch
        4
        """
        data = self.model_dump(exclude_unset=True)
        for key, value in changes.items():
            section, _, field = key.partition(".")
            if section not in type(self).model_fields or not field:
                raise ConfigError(f"unknown setting {key!r}; {_known(type(self))}")
            data.setdefault(section, {})[field] = value
        return parse(type(self), data, "settings")

    def differences(self, other: Self) -> list[str]:
        """Names of the settings that differ.

        >>> RunConfig().differences(RunConfig().updated({"train.batch": 4}))
        ['train.batch']
        """
        return [
            f"{section}.{field}"
            for section, settings in self
            for field, value in settings
            if value != getattr(getattr(other, section), field)
        ]

    def to_toml(self, *, reasons: Mapping[str, str] | None = None) -> str:
        """Return the settings as TOML, with a reason beside those that have one.

        >>> print(RunConfig().to_toml(reasons={"train.batch": "one large tile"}).splitlines()[-1])
        target = "auto"
        """
        document = tomlkit.document()
        for section, settings in self:
            table = tomlkit.table()
            for field, value in settings.model_dump(mode="json", exclude_none=True).items():
                table.add(field, value)
                reason = (reasons or {}).get(f"{section}.{field}")
                if reason:
                    table[field].comment(reason)
            document.add(section, table)
        return tomlkit.dumps(document)

    @classmethod
    def from_toml(cls, text: str, *, source: str = "config.toml") -> Self:
        r"""Read what `to_toml` wrote, or any part of it.

        >>> RunConfig.from_toml("[train]\nbatch = 4").train.batch
        4
        """
        return parse(cls, _load_toml(text, source), source)


def parse(kind: type[S], data: Mapping[str, Any], source: str) -> S:
    """Build settings, turning the checker's report into one line."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise ConfigError(f"{source}: unknown setting {key!r}; {_known(kind, first['loc'][:-1])}") from error
        given = "" if first["type"] == "value_error" else f", got {first['input']!r}"
        raise ConfigError(f"{source}: {key}: {first['msg']}{given}") from error


def toml_value(text: str) -> Any:
    """Read a value as TOML writes it; what is no TOML is text.

    >>> toml_value("[1, 2]"), toml_value("dice")
    ([1, 2], 'dice')
    """
    try:
        return tomlkit.parse(f"value = {text}").unwrap()["value"]
    except tomlkit.exceptions.ParseError:
        return text


def _load_toml(text: str, source: str) -> dict[str, Any]:
    try:
        return tomlkit.parse(text).unwrap()
    except tomlkit.exceptions.ParseError as error:
        raise ConfigError(f"{source} is not TOML: {error}") from error


def _known(kind: type[Settings], path: tuple[int | str, ...] = ()) -> str:
    for part in path:
        kind = kind.model_fields[str(part)].annotation  # type: ignore[assignment]
    return f"known are {', '.join(sorted(kind.model_fields))}"


PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        # Ronneberger et al. 2015 to the letter. Where the paper is silent (learning rate, number of
        # steps, strength of the drop-out) the values are those of the authors' published Caffe solver
        # or the customary ones; docs/recipes.md says which.
        "paper": {
            "augment": {"labels_outside": "mirror"},
        },
        # The best result for few images in little time, as measured in docs/recipes.md.
        "default": {
            "model": {"width": 16, "max_width": 512, "depth": 4, "padding": "same", "norm": "batch", "dropout": 0.0},
            "augment": {
                "scale": 1.2,
                "brightness": 0.3,
                "contrast": 1.3,
                "gamma": 1.3,
                "noise": 0.1,
                "blur": 1.0,
            },
            "train": {
                "batch": 2,
                "patch": 256,
                "auto_width": True,
                "loss": "cross-entropy+dice",
                "border_weight": 0.0,
                "class_balance": False,
                "optimizer": "adamw",
                "learning_rate": 3e-3,
                "weight_decay": 1e-2,
                "schedule": "one-cycle",
                "clip": 1.0,
                "ema": 0.99,
            },
        },
    }
)
"""Starting points of a run: what differs from the field defaults, which are those of the paper."""
