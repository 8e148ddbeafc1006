"""A trained network that predicts and segments images."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from biounet.core.errors import ConfigError, ShapeError
from biounet.inference.ensemble import joint_card, load_members
from biounet.inference.overlap_tile import predict_array
from biounet.models.device import choose_device, choose_precision
from biounet.models.model_file import ModelCard
from biounet.segmentation import link_slices, number_apart, segment, segment_objects

__all__ = ["Model", "load_model"]


@dataclass(frozen=True)
class Model:
    """A trained network with all that is needed to use it; or several, whose probabilities are averaged."""

    net: nn.Module
    card: ModelCard
    others: tuple["Model", ...] = ()
    """The further members of an ensemble; each normalises images in its own way."""

    def predict(
        self,
        image: NDArray[Any],
        *,
        tile: int | None = None,
        tta: bool = False,
        device: str = "auto",
        precision: str = "auto",
    ) -> NDArray[np.float32]:
        """Return the probability of every class at every pixel; or the image that the network draws.

        Parameters
        ----------
        image : (C)YX or (C)ZYX
            As it comes from the microscope. A stack ZYX given to a 2D network of one channel is predicted section
            by section.
        tile : pixels
            Largest tile delivered at once; the result does not depend on it.
        tta : bool
            Average over the 8 symmetries of the plane YX.
        device, precision
            As for `biounet.models.device.choose_device` and `choose_precision`.

        Returns
        -------
        (classes, *spatial), float32, in [0, 1]; or an image (C, *spatial), float32, in units of the true ones

        Raises
        ------
        ShapeError
            If the image does not have the axes or channels that the network was trained on.
        """
        where = choose_device(device)
        what = choose_precision(precision, where)
        dims, channels = self.card.model.dims, self.card.model.in_channels
        if image.ndim == dims:
            image = image[np.newaxis]
        elif image.ndim == dims + 1 and dims == 2 and channels == 1 and image.shape[0] != 1:
            options: dict[str, Any] = {"tile": tile, "tta": tta, "device": device, "precision": precision}
            return np.stack([self.predict(section, **options) for section in image], axis=1)
        if image.ndim != dims + 1 or image.shape[0] != channels:
            raise ShapeError(
                f"the network takes {channels} channels and {dims} spatial axes, got an image of shape {image.shape}"
            )
        normalised = self.card.normalization.measured(image).apply(image)
        result = predict_array(
            self.net,
            normalised,
            device=where,
            precision=what,
            tile=tile,
            tta=tta,
            **self.card.output_options,
        )
        for other in self.others:
            result += other.predict(image, tile=tile, tta=tta, device=device, precision=precision)
        return np.divide(result, 1 + len(self.others), out=result)

    def segment(
        self, image: NDArray[Any], *, tile: int | None = None, tta: bool = False, link: bool = False
    ) -> NDArray[Any]:
        """Return labels: class numbers, or numbered objects where the network was trained on objects.

        Parameters
        ----------
        image, tile, tta : as for `predict`
        link : bool
            Of a stack given to a 2D network of objects, see `biounet.segmentation.link_slices`. Else no number is in
            two sections.

        Returns
        -------
        integers, (Z)YX, 0 is background

        Raises
        ------
        ConfigError, ShapeError
            If the network draws images; if there are no objects or sections to link.
        """
        if not self.card.task.has_labels:
            raise ConfigError("the model draws images, which have no labels; use predict")
        if link and not self.card.task.numbered:
            raise ConfigError("the model was trained on classes, there are no objects to link; leave link out")
        probabilities = self.predict(image, tile=tile, tta=tta)
        if not self.card.task.numbered:
            decide = partial(segment, target="classes", threshold=self.card.threshold)
        else:
            decide = partial(segment_objects, rules=self.card.object_rules)
        if probabilities.ndim - 1 > self.card.model.dims:  # sections of a stack
            sections = np.stack([decide(section) for section in np.moveaxis(probabilities, 1, 0)])
            number = link_slices if link else number_apart
            return number(sections) if self.card.task.numbered else sections
        if link:
            raise ShapeError(f"there are no sections to link, got an image of shape {image.shape}; leave link out")
        return decide(probabilities)


def load_model(
    path: str | Path, *, others: Sequence[str | Path] = (), depth: int | None = None, attention: bool = False
) -> Model:
    """Open a trained model, or an ensemble.

    Parameters
    ----------
    path : str or Path
        A model file (``.safetensors``) or the folder of a training run. A folder of ``fold-0/``, ``fold-1/``, ...,
        as cross-validation leaves it, is an ensemble.
    others : more of the same
        Whose probabilities are averaged with those of the first.
    depth : int
        Of a UNet++, take the U-Net with so many poolings: less good, but faster.
    attention : bool
        Of an attention U-Net, `Model.predict` gives the maps of the gates, (maps, *spatial), in [0, 1], the innermost
        level first.

    Raises
    ------
    ModelFileError
        If a file is missing, torn, not ours, or of a newer version.
    ConfigError
        If members of an ensemble do not agree, or have no output of this depth or no attention gates,
        see `biounet.inference.ensemble.load_members`.
    """
    (net, _), *rest = members = load_members([Path(each) for each in (path, *others)], depth=depth, attention=attention)
    return Model(net, joint_card([card for _, card in members]), tuple(Model(*member) for member in rest))
