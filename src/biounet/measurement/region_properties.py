"""Region properties: a table with a row per object and a column per measure."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from biounet.core.errors import ShapeError
from biounet.core.labels import equivalent_diameters
from biounet.measurement.convex_hull import hull_pixels, hull_voxels
from biounet.measurement.counts import RegionCounts
from biounet.measurement.perimeter import boundary_sizes
from biounet.measurement.region_counts import count_region

__all__ = ["Table", "measure_objects", "table_of"]


Table = dict[str, np.ndarray]
"""Name of a measure -> its values, one per object."""


def measure_objects(
    labels: np.ndarray,
    *,
    image: np.ndarray | None = None,
    probabilities: np.ndarray | None = None,
    by_class: bool = False,
    spacing: Sequence[float] | None = None,
) -> Table:
    """Properties of every object of a label image: size, position, shape, intensity, confidence, neighbours.

    Parameters
    ----------
    labels : (Y, X) or (Z, Y, X), integers
        0 is background, every object has its own positive number, IGNORE (negative) is no object.
    image : (C, Y, X) or (C, Z, Y, X), or without the channel axis
        Intensities are measured in each channel.
    probabilities : (classes, Y, X) or (classes, Z, Y, X), in [0, 1], or of the foreground only, without that axis
        Class 0 is background; all others are foreground (interior and border, or levels of distance).
    by_class : bool
        Of more than two classes, an object has one: the most probable inside of it, class 0 left out. Not for
        networks that learnt objects, whose classes are parts of each object.
    spacing : micrometres per pixel, one number per axis of `labels`
        None: lengths are in pixels.

    Returns
    -------
    name of a measure -> (N,), one value per object, in the order of their labels
        ``pandas.DataFrame`` takes it as it is. See `table_of` for the columns.

    Raises
    ------
    LabelError
        If `labels` is not of an integer type.
    ShapeError
        If the arrays do not fit each other, or the spacing does not fit the axes.

    Notes
    -----
    Cost: linear in the number of pixels, whatever the number of objects.

    Examples
    --------
    >>> labels = np.array([[1, 1, 0], [1, 1, 2]])
    >>> table = measure_objects(labels, image=np.array([[5, 5, 0], [5, 9, 7]]), spacing=(0.5, 0.5))
    >>> table["label"], table["area_px"], table["area_um2"], table["intensity_mean"]
    (array([1, 2]), array([4, 1]), array([1.  , 0.25]), array([6., 7.]))
    >>> table["centroid_x"], table["neighbours"], table["neighbour_labels"]
    (array([0.5, 2. ]), array([1, 1]), array(['2', '1'], dtype=object))
    """
    counts = count_region(labels, image=image, probabilities=probabilities, by_class=by_class)
    return table_of(counts, shape=labels.shape, spacing=spacing)


def table_of(counts: RegionCounts, *, shape: Sequence[int], spacing: Sequence[float] | None = None) -> Table:
    """Properties of every object from the counts of all regions of an image.

    Parameters
    ----------
    counts : RegionCounts
    shape : pixels per axis of the image
    spacing : micrometres per pixel, one number per axis

    Returns
    -------
    Table
        Columns are documented in docs/objects.md.

    Raises
    ------
    ShapeError
        If the spacing does not fit the axes.
    """
    dims = counts.dims
    if spacing is not None and len(spacing) != dims:
        raise ShapeError(f"{dims} axes need one spacing each, got {tuple(spacing)}")
    unit, steps = ("px", np.ones(dims)) if spacing is None else ("um", np.asarray(spacing, np.float64))
    size, boundary = ("area", "perimeter") if dims == 2 else ("volume", "surface")
    axes = "zyx"[-dims:]
    columns: Table = {"label": counts.labels, f"{size}_px": counts.pixels}
    volume = counts.pixels * steps.prod()
    if spacing is not None:
        columns[f"{size}_um{dims}"] = volume
    centre = (counts.sums / counts.pixels[:, None])[:, -dims:]
    columns |= {f"centroid_{axis}": centre[:, i] for i, axis in enumerate(axes)}
    if spacing is not None:
        columns |= {f"centroid_{axis}_um": centre[:, i] * steps[i] for i, axis in enumerate(axes)}
    for name, corner in (("start", counts.start), ("stop", counts.stop)):
        columns |= {f"box_{name}_{axis}": corner[:, i - dims] for i, axis in enumerate(axes)}
    columns[f"{boundary}_{unit}" + "2" * (dims - 2)] = boundary_sizes(counts.crossings, steps.tolist())
    columns[f"equivalent_diameter_{unit}"] = equivalent_diameters(volume, dims=dims)
    return columns | _shapes(counts, steps, unit) | _intensities(counts) | _confidences(counts) | _places(counts, shape)


def _shapes(counts: RegionCounts, steps: NDArray[np.float64], unit: str) -> Table:
    """Axes and eccentricity of the ellipse with the same second moments, and solidity."""
    dims = counts.dims
    zero, count = counts.start.astype(np.float64), counts.pixels[:, None]
    sums = counts.sums - count * zero  # positions from the first corner of the box, so that no digits are lost
    cross = counts.sums[:, :, None] * zero[:, None]
    squares = counts.products - cross - cross.transpose(0, 2, 1) + count[..., None] * zero[:, :, None] * zero[:, None]
    mean = sums / count
    variances = (squares / count[..., None] - mean[:, :, None] * mean[:, None])[:, -dims:, -dims:]
    principal = np.linalg.eigvalsh(variances * np.outer(steps, steps)).clip(min=0)
    least, most = principal[:, 0], principal[:, -1]
    hull = (hull_pixels if dims == 2 else hull_voxels)(counts.point_objects, counts.points, len(counts.labels))
    return {
        f"major_axis_{unit}": 2 * np.sqrt((dims + 2) * most),
        f"minor_axis_{unit}": 2 * np.sqrt((dims + 2) * least),
        "eccentricity": np.sqrt(1 - np.divide(least, most, out=np.ones_like(most), where=most > 0)),
        "solidity": counts.pixels / hull,
    }


def _intensities(counts: RegionCounts) -> Table:
    """Statistics of each channel; channels are numbered if there are several."""
    channels = counts.values.shape[1]
    columns: Table = {}
    for channel in range(channels):
        number = f"_{channel}" if channels > 1 else ""
        columns |= {
            f"intensity_mean{number}": counts.values[:, channel] / counts.pixels,
            f"intensity_min{number}": counts.low[:, channel],
            f"intensity_max{number}": counts.high[:, channel],
            f"intensity_std{number}": np.sqrt(counts.spread[:, channel] / counts.pixels),
            f"intensity_sum{number}": counts.values[:, channel],
        }
    return columns


def _confidences(counts: RegionCounts) -> Table:
    """Mean probability of the foreground in each object; of several classes, the most probable and its mean."""
    means = counts.scores / counts.pixels[:, None]
    classes = means.shape[1]
    if classes == 0:
        return {}
    if classes < 3:
        return {"confidence": means[:, -1]}
    best = means[:, 1:].argmax(axis=1) + 1
    return {"class": best, "confidence": means[np.arange(len(best)), best]}


def _places(counts: RegionCounts, shape: Sequence[int]) -> Table:
    """Neighbours of each object, and whether it touches the edge of the image."""
    starts = np.searchsorted(counts.pairs[:, 0], counts.labels)
    stops = np.searchsorted(counts.pairs[:, 0], counts.labels, side="right")
    others = counts.pairs[:, 1].astype(str)
    at_edge = (counts.start[:, -counts.dims :] == 0) | (counts.stop[:, -counts.dims :] == np.asarray(shape))
    return {
        "neighbours": stops - starts,
        "neighbour_labels": np.array(
            [" ".join(others[start:stop]) for start, stop in zip(starts, stops, strict=True)], dtype=object
        ),
        "touches_border": at_edge.any(axis=1),
    }
