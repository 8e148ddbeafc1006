"""Prediction of a layer as work that yields: the probabilities after every tile, then the labels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.errors import ConfigError
from biounet.napari.layers import Layer, Placed, axes_of, pixels_of, place_of
from biounet.napari.work import Progress, Work

__all__ = ["Predicted", "predict_layer"]


TILE = 512
"""Largest tile of a 2D network: small enough that the first is soon shown, and that the work is soon stopped."""


@dataclass(frozen=True)
class Predicted:
    """Result of a prediction, or its probabilities so far, and where they lie."""

    pixels: NDArray[Any]
    """(T)(Z)YX: labels, probabilities of the foreground, or the first channel of an image that the network draws."""
    place: Placed
    labels: bool = False


def predict_layer(layer: Layer, model: str, *, axes: str = "", tta: bool = False, link: bool = False) -> Work:
    """Prediction of every time point of a layer; it returns `Predicted`.

    Parameters
    ----------
    layer : Layer
        An image.
    model : str
        A model file, the folder of a run, or the name of a shipped model.
    axes : letters of ``TCZYX``, one per axis of the pixels
        Empty: as `axes_of` tells.
    tta, link : as for `biounet.inference.model.Model.segment`

    Yields
    ------
    Progress
        It shows `Predicted` with the probabilities of the foreground so far, always the same array.

    Raises
    ------
    ConfigError
        If no model is given, or `link` does not suit it.
    ImageError, ModelFileError, ShapeError
        If the model cannot be read or does not take the layer.
    """
    if not model:
        raise ConfigError("a model is wanted: choose a model file (.safetensors) or the folder of a run")
    yield Progress(0, "reads the model")
    from biounet.inference.model import load_model  # torch: imported in the thread, when it is needed

    trained = load_model(model)
    taken = trained.card.model
    axes = axes.upper() or axes_of(layer, dims=taken.dims, channels=taken.in_channels)
    pixels, place = pixels_of(layer), place_of(layer, axes)
    frames = np.moveaxis(pixels, axes.index("T"), 0) if "T" in axes else pixels[np.newaxis]
    inner, has_labels, results, so_far = axes.replace("T", ""), trained.card.task.has_labels, [], None
    for number, frame in enumerate(frames):
        words = f"time point {number + 1} of {len(frames)}, " if "T" in axes else ""
        steps = trained.predict_in_steps(frame, axes=inner, tile=TILE if taken.dims == 2 else None, tta=tta)
        yield Progress(number / len(frames), f"{words}{trained.understand(frame, axes=inner)}")
        for share, whole in steps:
            seen = whole[1:].sum(axis=0) if has_labels else whole[0]
            if so_far is None:
                shown = np.zeros((len(frames), *seen.shape), np.float32)
                so_far = Predicted(shown if "T" in axes else shown[0], place)
            shown[number] = seen
            yield Progress((number + share) / len(frames), f"{words}{share:.0%} of the tiles", so_far)
        if has_labels:
            yield Progress((number + 1) / len(frames), f"{words}makes labels of probabilities", so_far)
        results.append(trained.decode(whole, link=link) if has_labels else whole[0])
    return Predicted(np.stack(results) if "T" in axes else results[0], place, labels=has_labels)
