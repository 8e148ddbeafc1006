"""Predict images of any size with a trained network."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from biounet.devices import choose_device, choose_precision
from biounet.errors import ShapeError
from biounet.modelfile import ModelCard, load_network
from biounet.postprocess import segment
from biounet.tiling import predict_array

__all__ = ["Model", "load_model"]


@dataclass(frozen=True)
class Model:
    """A trained network with all that is needed to use it."""

    net: nn.Module
    card: ModelCard

    def predict(
        self, image: NDArray[Any], *, tile: int | None = None, device: str = "auto", precision: str = "auto"
    ) -> NDArray[np.float32]:
        """Return the probability of every class at every pixel.

        Parameters
        ----------
        image : (C)YX or (C)ZYX
            As it comes from the microscope. A stack ZYX given to a 2D network of one channel is predicted section
            by section.
        tile : pixels
            Largest tile delivered at once; the result does not depend on it.
        device, precision
            As for `biounet.devices.choose_device` and `choose_precision`.

        Returns
        -------
        (classes, *spatial), float32, in [0, 1]

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
        elif image.ndim == dims + 1 and image.shape[0] != channels and channels == 1 and dims == 2:
            sections = [self.predict(section, tile=tile, device=device, precision=precision) for section in image]
            return np.stack(sections, axis=1)
        if image.ndim != dims + 1 or image.shape[0] != channels:
            raise ShapeError(
                f"the network takes {channels} channels and {dims} spatial axes, got an image of shape {image.shape}"
            )
        normalised = self.card.normalization.apply(image)
        return predict_array(self.net, normalised, device=where, precision=what, tile=tile)

    def segment(self, image: NDArray[Any], *, tile: int | None = None) -> NDArray[Any]:
        """Return labels: class numbers, or numbered objects where the network was trained on objects.

        Parameters
        ----------
        image : as for `predict`

        Returns
        -------
        integers, (Z)YX, 0 is background
        """
        return segment(self.predict(image, tile=tile), target=self.card.target, threshold=self.card.threshold)


def load_model(path: str | Path) -> Model:
    """Open a trained model.

    Parameters
    ----------
    path : str or Path
        A model file (``.safetensors``) or the folder of a training run.

    Raises
    ------
    ModelFileError
        If it is missing, torn, not ours, or of a newer version.
    """
    return Model(*load_network(Path(path)))
