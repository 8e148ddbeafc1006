"""The table of the objects of one image: arrays or files in, a column per measure out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.errors import ShapeError
from biounet.io import read
from biounet.measurement.region_properties import Table, measure_objects

__all__ = ["measure"]


Pixels = NDArray[Any] | str | Path
"""An array, or an image file."""


def measure(
    labels: Pixels,
    image: Pixels | None,
    *,
    probabilities: Pixels | None = None,
    by_class: bool = False,
    spacing: Sequence[float] | None = None,
) -> Table:
    """Measurements of every object of a label image: size, shape, place, intensity, neighbours.

    Parameters
    ----------
    labels : (Y, X) or (Z, Y, X), integers; or a file of one image
        0 is background, every object has its own positive number, negative is unknown.
    image : of the same pixels, or a file; None if there is none
        Intensities are measured in each channel, (C)YX or (C)ZYX.
    probabilities : of the same pixels, or a file
        As for `biounet.measurement.measure_objects`; gives the confidence of each object.
    by_class : bool
        Of more than two classes, the class of each object is told, too.
    spacing : micrometres per pixel, one number per axis of `labels`
        None: as the file of the labels or of the image tells, else lengths are in pixels.

    Returns
    -------
    name of a measure -> (N,), one value per object, in the order of their labels
        ``label``, ``area_px``, ``centroid_y``, ...; docs/objects.md lists the columns. ``pandas.DataFrame`` takes the
        table as it is.

    Raises
    ------
    ImageError
        If a file cannot be read.
    LabelError
        If the labels are not of an integer type.
    ShapeError
        If images do not fit the labels, or a file holds several time points.

    Examples
    --------
    >>> table = measure(np.array([[1, 1, 0], [1, 1, 2]]), np.array([[5, 5, 0], [5, 9, 7]]))
    >>> table["label"], table["area_px"], table["intensity_mean"]
    (array([1, 2]), array([4, 1]), array([6., 7.]))
    """
    pixels, of_labels = _pixels(labels, labels=True)
    intensities, of_image = (None, None) if image is None else _pixels(image)
    shares = None if probabilities is None else _pixels(probabilities)[0]
    spacing = spacing or of_labels or of_image
    if spacing is not None:
        spacing = spacing[-pixels.ndim :]
    return measure_objects(pixels, image=intensities, probabilities=shares, by_class=by_class, spacing=spacing)


def _pixels(given: Pixels, *, labels: bool = False) -> tuple[NDArray[Any], tuple[float, ...] | None]:
    """Pixels (C)(Z)YX of an array or a file, and the pixel size if the file tells it."""
    if not isinstance(given, str | Path):
        return np.asarray(given), None
    image = read(given, labels=labels)
    if image.axes[0] != "T":
        return image.array, image.spacing
    if len(image.array) > 1:
        raise ShapeError(f"{given}: one image is wanted, it holds {len(image.array)} time points; use biounet measure")
    return image.array[0], image.spacing
