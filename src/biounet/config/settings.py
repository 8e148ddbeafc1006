"""The groups of settings: model, augmentation, training, tiles."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationInfo, field_validator, model_validator

from biounet.config.tasks import TARGETS_OF_TASKS

__all__ = ["ARCHITECTURES", "AugmentConfig", "ModelConfig", "Settings", "TileConfig", "TrainConfig"]


Chosen = Literal[
    "model.width",
    "model.depth",
    "model.pooling",
    "model.coarse",
    "train.patch",
    "train.patch_z",
    "train.batch",
    "train.class_balance",
    "train.oversample",
    "train.border_weight",
    "train.loss",
    "train.normalization",
    "augment.brightness",
    "augment.contrast",
    "augment.gamma",
    "augment.noise",
    "augment.blur",
]
"""Names of settings that training can choose: by the images, see `biounet.training.auto_settings` and
`biounet.config.tasks.TASKS`, or by its minutes, see `biounet.training.auto_width`."""

ARCHITECTURES = (
    *("unet", "unet++", "attention-unet", "residual-unet", "recurrent-residual-unet", "dense-unet", "inception-unet"),
    *("unet3d", "cascade-unet", "pix2pix", "ternausnet", "sliding-window", "fcn-32s", "fcn-16s", "fcn-8s"),
)
"""The keys of `biounet.models.MODELS`, known here so that the command line refuses others before torch is imported."""

UNPADDED = frozenset({"unet", "unet3d", "sliding-window"})
"""Architectures whose papers have unpadded convolutions."""

MOST = 1e6
"""No number of the settings that has a unit is larger: pixels, degrees, minutes, weights of a loss."""

Fraction = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(ge=1, le=100)]
NonNegativeFloat = Annotated[float, Field(ge=0, le=MOST)]
PositiveFloat = Annotated[float, Field(gt=0, le=MOST)]
Channels = Annotated[int, Field(gt=0, le=2**16)]
Count = Annotated[int, Field(gt=0, le=2**40)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Index = Annotated[int, Field(ge=0, le=2**31)]


class Settings(BaseModel):
    """Base of all groups of settings: frozen, validated, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False)


class ModelConfig(Settings):
    """Architecture of a network, complete enough to build it without its weights.

    Examples
    --------
    >>> ModelConfig(width=64, depth=4).name
    'unet'
    >>> ModelConfig().padding, ModelConfig(name="unet++").padding
    ('valid', 'same')
    """

    name: str = "unet"
    """A key of `biounet.models.MODELS`."""
    dims: Literal[2, 3] = 2
    """2 for images (Y, X), 3 for volumes (Z, Y, X)."""
    in_channels: Channels = 1
    """Channels of the input image; taken from the images."""
    classes: Channels = 2
    """Channels of the output: logits of two or more classes, or the channels of a target image."""
    width: Channels = 64
    """Channels after the first convolution; each pooling doubles them."""
    max_width: Channels = 1024
    """No level has more channels than this."""
    depth: Annotated[int, Field(ge=1, le=8)] = 4
    """Number of poolings."""
    padding: Literal["valid", "same"] = Field(default=None, validate_default=True)
    """``valid``: unpadded convolutions; ``same``: the output has the size of the input. The default is that of
    the paper of the architecture."""
    norm: Literal["none", "batch"] = "none"
    """``batch``: batch normalisation, frozen in prediction, so that it never depends on the tile."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of the values of feature maps that training sets to 0 at the end of the contracting path; drop-out
    acts on single values, not on channels."""
    pooling: tuple[tuple[PositiveInt, ...], ...] | None = None
    """Pooling factors per level and axis, for stacks with thick slices; ``None`` means 2 everywhere."""
    coarse: Literal[1, 2, 4, 8] = 1
    """Side of the squares of pixels that are averaged to one before the network, see `biounet.models.downsampled`."""
    deep_supervision: bool = True
    """Train every output of a network that has several (``unet++``, ``cascade-unet``), not only the last."""
    window: Literal[65, 95] = 95
    """Side of the window of ``sliding-window``, in pixels."""
    foveation: Literal["none", "blur", "sampling", "both"] = "none"
    """How windows of 65 px become coarser away from their middle; see `biounet.models.foveation`."""
    pretrained: str | None = None
    """A file of `biounet download` with the weights that training of ``ternausnet`` or an FCN begins with."""

    @field_validator("padding", mode="before")
    @classmethod
    def _padding_of_the_paper(cls, given: Any, info: ValidationInfo) -> Any:
        if given is not None:
            return given
        return "valid" if info.data.get("name") in UNPADDED else "same"

    @model_validator(mode="after")
    def _pooling_fits(self) -> Self:
        if self.coarse > 1 and self.dims == 3:
            raise ValueError("coarse is for images (Y, X); of volumes choose the pooling")
        if self.pooling is not None:
            if len(self.pooling) != self.depth or any(len(factors) != self.dims for factors in self.pooling):
                raise ValueError(f"pooling needs {self.depth} rows of {self.dims} factors, got {self.pooling}")
            if any(factor not in (1, 2) for factors in self.pooling for factor in factors):
                raise ValueError(f"pooling factors are 1 or 2, got {self.pooling}")
        return self

    @model_validator(mode="after")
    def _foveation_fits(self) -> Self:
        given = self.name, self.window, self.padding, self.norm
        if self.foveation != "none" and given != ("sliding-window", 65, "valid", "none"):
            raise ValueError(
                "foveation is for single windows of 65 px: set model.name to 'sliding-window', model.window to 65, "
                f"model.padding to 'valid' and model.norm to 'none', got {given}"
            )
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
    """Augmentation of training images. Probabilities are per sample; lengths are in pixels."""

    elastic: Fraction = 1.0
    """Probability of an elastic deformation."""
    elastic_grid: Annotated[int, Field(ge=2, le=1000)] = 3
    """Displacement vectors per axis of the coarse grid."""
    elastic_sigma: NonNegativeFloat = 10.0
    """Standard deviation of the displacement vectors; on small patches at most an eighth of the grid spacing."""
    rotate: NonNegativeFloat = 180.0
    """Largest rotation in the plane YX, in degrees."""
    mirror: bool = True
    """Mirror along Y, along X, and in volumes along Z, each with probability 1/2."""
    scale: Factor = 1.0
    """Largest magnification; drawn between 1/scale and scale, log-uniform."""
    shift: NonNegativeFloat = 0.0
    """Largest shift along each axis."""
    labels_outside: Literal["mirror", "ignore"] = "mirror"
    """Labels where a deformation reaches beyond the edge of the image: mirrored, or ignored."""
    brightness: NonNegativeFloat = 0.0
    """Largest offset, in standard deviations of the normalised image."""
    contrast: Factor = 1.0
    """Largest contrast factor; drawn between 1/contrast and contrast, log-uniform."""
    gamma: Factor = 1.0
    """Largest exponent on intensities brought to [0, 1]; drawn between 1/gamma and gamma, log-uniform."""
    noise: NonNegativeFloat = 0.0
    """Largest standard deviation of Gaussian noise, in standard deviations of the normalised image."""
    blur: NonNegativeFloat = 0.0
    """Largest sigma of a Gaussian blur, in pixels."""
    intensity_probability: Fraction = 0.5
    """Probability of each of the intensity changes; its strength is drawn for every channel separately."""


class TrainConfig(Settings):
    """Training: sampling of patches, loss, optimiser, schedule and budget."""

    axes: str | None = None
    """Axes of the images in the order of their files, such as ``TYX``; it overrules what the files say."""
    series: Index | str | None = None
    """Number, from 0, or name of the image that is learnt from, in files of several."""
    channel: Annotated[tuple[Index, ...], Field(min_length=1)] | None = None
    """Numbers, from 0, of the channels that are learnt from; prediction takes the same."""
    level: Index = 0
    """Level of a pyramid that is learnt from; 0 has all pixels."""
    steps: Count | None = None
    """Number of updates. Either this or `minutes`."""
    minutes: PositiveFloat | None = None
    """Wall-clock budget; the number of updates follows from a short measurement."""
    seed: Seed = 0
    """Seed of every random number of the run."""
    batch: Count = 1
    """Patches per update, of all devices together."""
    patch: Count = 572
    """Pixels per axis of the network's input, brought to the nearest size that the network takes."""
    patch_z: Count | None = None
    """The same along Z, for volumes; ``None`` means `patch`."""
    auto: tuple[Chosen, ...] = ()
    """Names of settings that training chooses by the images and the speed of the machine; those given are removed."""
    loss: str = "cross-entropy"
    """A key of `LOSSES` in `biounet.training.losses` that the task allows."""
    adversarial: NonNegativeFloat = 0.0
    """Weight of the generator loss against a discriminator, added to the loss; 0 turns it off, see
    `biounet.training.adversarial`."""
    border_weight: NonNegativeFloat = 10.0
    """w0 of the border weight map (Ronneberger et al. 2015, equation 2); 0 turns it off."""
    border_sigma: PositiveFloat = 5.0
    """sigma of the border weight map, in pixels."""
    class_balance: bool = True
    """Weigh classes by the inverse of their frequency."""
    by_size: Fraction = 0.0
    """Exponent p: an image of n pixels gives patches in proportion to n^p; 0 is by image, 1 is by pixel."""
    oversample: Fraction = 0.0
    """Share of the patches that are centred on a pixel of a class drawn uniformly, so that rare classes are learnt."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """Stochastic gradient descent with momentum, or AdamW."""
    learning_rate: PositiveFloat = 1e-3
    """Learning rate, at its highest where the schedule changes it."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """Momentum of ``sgd``."""
    weight_decay: NonNegativeFloat = 0.0
    """Weight decay of the optimiser."""
    schedule: Literal["constant", "one-cycle", "cosine"] = "constant"
    """How the learning rate changes: not at all, up and down, or down along a cosine."""
    warmup: Fraction = 0.1
    """Share of the steps in which the learning rate rises."""
    clip: PositiveFloat | None = None
    """Largest norm of the gradient, to which longer gradients are scaled."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay per step of the running average of the weights that is validated and saved; 0 turns it off."""
    validation: Fraction | str = 1 / 6
    """Share of the images held out for validation, or the path of another dataset."""
    validation_pixels: Count = 2**26
    """Largest number of held-out pixels to validate on; of larger sets, evenly spread images are taken."""
    memory: Fraction = 0.5
    """Share of the memory of the machine, and of a GPU, that images may take. If they need more, patches are cut from
    files, or by the CPU."""
    reports: Count = 10
    """Number of times that a run validates and reports."""
    silver: bool = True
    """Learn also from the silver truth of a Cell Tracking Challenge set, computed annotations, where there is no gold
    truth."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Type of numbers in the network; ``auto`` is bfloat16 where the device multiplies it faster."""
    normalization: Literal["z-score", "percentile"] = "z-score"
    """How intensities are brought to one scale, see `biounet.data.normalize.NORMALIZATIONS`."""
    finalise: bool = True
    """Fit smoothing, temperature, threshold, rules of objects and statistics of batch normalisation to the held-out
    images once the last step is made, and see whether closing gaps in membranes pays there. Without it a model has no
    smoothing, temperature 1 and threshold 1/2, and closes no gaps."""
    target: str = "auto"
    """What the network learns: ``classes``; of numbered objects one of `biounet.data.targets.TARGETS`; or ``image``, a
    target image, as for denoising. ``auto`` decides by the layout and the labels, and takes ``distance`` for objects,
    see docs/recipes.md; ``paper`` takes ``foreground``."""
    class_names: tuple[str, ...] = ()
    """Names of the classes, background included, as results and reports call them; kept in the model file."""
    init: str | None = None
    """Model that training begins with, see `biounet.training.starting_model`: a model file, the folder of a run, or the
    name of a shipped model. None: random weights."""
    init_sha256: str | None = None
    """SHA-256 of that file; a file with another one is refused."""
    also: str | None = None
    """Another dataset to learn from as well, such as that of the model to begin with, so that it is not forgotten."""
    also_share: Fraction = 0.5
    """Share of the patches that are cut from `also` and, once its labels are guessed, from `unlabelled`, together."""
    unlabelled: str | None = None
    """A folder of images without labels, or a stack; the run guesses labels for some of them and learns from them, see
    `biounet.training.guessed_labels`."""
    unlabelled_after: Annotated[float, Field(ge=0, lt=1)] = 0.4
    """Share of the run after which labels are guessed."""
    ignore_value: int | None = None
    """Number in label files that means unknown, such as 255; such pixels are neither trained on nor scored."""

    @field_validator("target")
    @classmethod
    def _known_target(cls, given: str) -> str:
        known = ("auto", "paper", *TARGETS_OF_TASKS)
        if given not in known:
            raise ValueError(f"target must be one of {', '.join(known)}, got {given!r}")
        return given

    @model_validator(mode="after")
    def _one_budget(self) -> Self:
        if self.steps is not None and self.minutes is not None:
            raise ValueError(f"give either steps or minutes, not both ({self.steps} and {self.minutes})")
        return self


class TileConfig(Settings):
    """Tiling in prediction."""

    output: tuple[PositiveInt, ...] | None = None
    """Pixels per axis of the output of a tile."""
    batch: PositiveInt = 1
    """Tiles that the network takes at once."""
    memory: PositiveInt = 4 * 2**30
    """Bytes that prediction may use altogether."""
