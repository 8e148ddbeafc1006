"""Model files: safetensors weights, and the whole configuration as JSON in the header; nothing executable.

Whoever opens such a file with any safetensors reader sees the weights; the key ``biounet`` of the
header's metadata holds the `ModelCard`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field, field_validator
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

import biounet
from biounet.config import ModelConfig, Settings
from biounet.config.object_rules import ObjectRules
from biounet.config.shipped import model_file
from biounet.config.tasks import TARGETS_OF_TASKS, Task, name_classes, task_of
from biounet.core.atomic_files import replacing
from biounet.core.errors import ConfigError, ModelFileError
from biounet.core.json_file import parse_json
from biounet.core.text_file import Record, TextFile
from biounet.data.learnt_images import LearntImages
from biounet.data.normalize import Normalization
from biounet.models import build
from biounet.models.weights import check_numbers, check_shapes

__all__ = ["FORMAT", "ModelCard", "load_network", "read_card", "save_network"]


FORMAT = 1
"""Version of the file format; a reader refuses files of a later one."""


class ModelCard(Settings):
    """Configuration of a trained network, how it was trained, and how its outputs become results."""

    format: int = FORMAT
    biounet: str = biounet.__version__
    """Version of the software that wrote the file."""
    model: ModelConfig
    normalization: Normalization
    """How images are brought to the range the network was trained on."""
    target: str = "classes"
    """What the network learnt: class numbers, of objects one of `biounet.data.targets.TARGETS`, or to draw images."""
    target_normalization: Normalization | None = None
    """How target images were brought to the range that the network was trained on; ``None`` where it learnt labels."""
    rules: ObjectRules | None = None
    """Rules that make objects of probabilities, tuned on validation images."""
    learnt: LearntImages | None = None
    """Size of the objects and looks of the images learnt from; ``None`` in files of versions that did not keep them."""
    spacing: tuple[Annotated[float, Field(ge=1e-9, le=1e9)], ...] | None = None
    """Micrometres per pixel of the training images, per spatial axis."""
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Probability above which a pixel is foreground, where there are two classes."""
    temperature: Annotated[float, Field(ge=0.01, le=1000)] = 1.0
    """Divisor of the logits before the soft-max, see `biounet.inference.calibration`. Threshold and rules apply to the
    probabilities after it."""
    smoothing: Annotated[int, Field(ge=0, le=64)] = 0
    """Number of smoothing passes over the logits before that, see `biounet.inference.smoothing`."""
    close_gaps: bool = False
    """Whether gaps in membranes (class 0) between cells (class 1) are closed, see `biounet.segmentation.close_gaps`.
    The threshold applies to the probabilities after it."""
    training: Mapping[str, Any] = Field(default_factory=dict)
    """Settings, data and scores of the run that made the weights."""

    @field_validator("target")
    @classmethod
    def _known_target(cls, given: str) -> str:
        if given not in TARGETS_OF_TASKS:
            raise ValueError(f"target must be one of {', '.join(TARGETS_OF_TASKS)}, got {given!r}")
        return given

    @property
    def task(self) -> Task:
        """What the network was trained for."""
        return task_of(self.target)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, background first; none where the network learnt objects or images."""
        given = self.training.get("settings", {}).get("train", {}).get("class_names", ())
        return name_classes(given, self.model.classes) if self.task.has_classes else ()

    @property
    def is_binary(self) -> bool:
        """Whether the network tells foreground from background, such as cells from membranes."""
        return self.task.has_classes and self.model.classes == 2

    @property
    def output_options(self) -> dict[str, Any]:
        """Temperature, smoothing and units of the outputs, as options of `biounet.inference.overlap_tile.TileNet`."""
        return {"temperature": self.temperature, "smoothing": self.smoothing, "units": self.target_normalization}

    def scaled(self, factor: float) -> "ModelCard":
        """Card for images that are scaled by a factor before they are predicted: rules count pixels of the image."""
        rules = self.rules and self.rules.scaled(factor**-self.model.dims)
        return self.model_copy(update={"rules": rules})

    @property
    def object_rules(self) -> ObjectRules:
        """Rules that make objects: the tuned ones, else connected components of the foreground above the threshold."""
        plain = ObjectRules(foreground=self.threshold, seed=self.threshold, grow=False, largest_hole=0)
        return self.rules or plain


class _Format(Record, extra="ignore"):
    """Version of a card, whatever else a later one holds."""

    format: int = FORMAT


def save_network(path: Path, net: torch.nn.Module, card: ModelCard, *, overwrite: bool = False) -> None:
    """Write a model file; it appears whole or not at all.

    Parameters
    ----------
    path : Path
    net : torch.nn.Module
    card : ModelCard
    overwrite : bool

    Raises
    ------
    OutputError
        If the file exists and may not be replaced, or cannot be written.
    """
    weights = {name: value.detach().cpu().contiguous() for name, value in net.state_dict().items()}
    with replacing(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(save(weights, {"biounet": card.model_dump_json()}))


def read_card(path: Path) -> ModelCard:
    """Read the configuration in a model file, without its weights.

    Parameters
    ----------
    path : Path
        A model file, the folder of a run that holds ``model.safetensors``, or the name of a shipped model.

    Raises
    ------
    ModelFileError
        If it is missing, torn, not ours, or of a newer version.
    """
    path = model_file(path)
    with _opened(path) as file:
        return _card(file, path)


def load_network(path: Path) -> tuple[torch.nn.Module, ModelCard]:
    """Read a model file, a run folder or a shipped model; the network comes in evaluation mode, on the CPU.

    Raises
    ------
    ModelFileError
        If it is missing, torn, not ours, or of a newer version; if its weights are not those of the network that its
        settings describe, which is found out before memory is taken for it, or are not finite.
    """
    path = model_file(path)
    with _opened(path) as file:
        card = _card(file, path)
        names = list(file.keys())
        try:
            check_shapes(card.model, {name: tuple(file.get_slice(name).get_shape()) for name in names})
            net = build(card.model)
            net.load_state_dict({name: file.get_tensor(name) for name in names})
            check_numbers(net)
        except (ConfigError, ModelFileError) as error:
            raise ModelFileError(f"{path}: {error}; copy the file again, or train again") from error
    return net.eval(), card


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a model file and its header; weights are read one by one on demand."""
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"{path} is torn or no model file ({_line(error)}); copy or train it again") from error


def _card(file: Any, path: Path) -> ModelCard:
    """The `ModelCard` in the header of a file."""
    text = (file.metadata() or {}).get("biounet")
    if text is None:
        raise ModelFileError(f"{path} is no model of biounet: its header has no entry 'biounet'")
    file_of_text = TextFile(f"{path}, entry 'biounet' of its header", ModelFileError, "copy or train it again")
    written = parse_json(text, _Format, file_of_text).format
    if written > FORMAT:
        raise ModelFileError(
            f"{path} has format {written}, this biounet {biounet.__version__} reads up to {FORMAT}; upgrade biounet"
        )
    card = parse_json(text, ModelCard, file_of_text)
    try:
        _check_channels(card)
    except ConfigError as error:
        raise file_of_text.refused(str(error)) from error
    return card


def _check_channels(card: ModelCard) -> None:
    """Refuse statistics of other channels than the network has, and classes that do not suit its target."""
    model, target, of_targets = card.model, card.target, card.target_normalization
    if card.task.has_labels:
        least = 3 if target == "border" else 2
        if model.classes < least or of_targets is not None:
            raise ConfigError(f"target {target} needs {least} classes or more and no target_normalization")
    elif of_targets is None or of_targets.offset is None or len(of_targets.offset) != model.classes:
        raise ConfigError(f"target {target} needs a target_normalization of {model.classes} channels")
    offset = card.normalization.offset
    if offset is not None and len(offset) != model.in_channels:
        raise ConfigError(f"normalization has {len(offset)} channels, the network takes {model.in_channels}")
    if card.close_gaps and not card.is_binary:
        raise ConfigError(f"close_gaps is for two classes, this is target {target} of {model.classes} classes")
    if card.rules is not None and card.rules.target != target:
        raise ConfigError(f"rules are for target {card.rules.target}, the network has learnt {target}")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
