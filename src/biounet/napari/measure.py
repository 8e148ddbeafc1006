"""The widget that measures labels into the table that napari shows for a layer, linked with the objects."""

from typing import Any

import numpy as np

from biounet.core.errors import ConfigError, ShapeError, need
from biounet.measurement.measure import measure
from biounet.measurement.region_properties import Table
from biounet.napari.layers import Layer, pixels_of, shape_of, spacing_of
from biounet.napari.work import Progress, Work, Worker

__all__ = ["measure_layer", "measure_widget"]


def measure_layer(labels: Layer, image: Layer | None) -> Work:
    """Measurement of every object of a layer; it returns the table, as `biounet.measure` does.

    Parameters
    ----------
    labels : Layer
        (Z)YX.
    image : Layer
        Of the same pixels, in grey or colour; None if there is none.

    Yields
    ------
    Progress

    Raises
    ------
    LabelError
        If the labels are not of an integer type.
    ShapeError
        If the layers do not fit, or are of several time points.
    """
    if labels.ndim > 3:
        raise ShapeError(
            f"{labels.name}: labels of axes YX or ZYX are wanted, got {labels.ndim} axes; take one of them"
        )
    yield Progress(0, f"measures {labels.name}")
    pixels, intensities = pixels_of(labels), None if image is None else pixels_of(image)
    if image is not None and getattr(image, "rgb", False):
        intensities = np.moveaxis(pixels_of(image), -1, 0)
    if image is not None and intensities is not None and intensities.shape[-pixels.ndim :] != pixels.shape:
        raise ShapeError(
            f"{labels.name} has {shape_of(labels)} pixels, {image.name} {shape_of(image)}; choose an image of its size"
        )
    return measure(pixels, intensities, spacing=spacing_of(labels, dims=pixels.ndim))


def measure_widget() -> Any:
    """A widget for the viewer at hand: choose labels and an image, and measure."""
    return _Panel(need("napari").current_viewer()).widget


class _Panel:
    """Choices of the widget, and the table of the measured layer."""

    def __init__(self, viewer: Any) -> None:
        widgets, layers = need("magicgui.widgets"), need("napari.layers")
        self.viewer: Any = viewer
        self._measured: Any = None
        self.labels = widgets.create_widget(annotation=layers.Labels, label="labels")
        self.image = widgets.create_widget(annotation=layers.Image | None, label="image")
        self.worker = Worker("Measure", self._begin, finish=self._finish)
        self.widget = widgets.Container(widgets=[self.labels, self.image, self.worker.widget])
        self.widget.native.panel = self  # lives as long as its widget

    def _begin(self) -> Work:
        self._measured = self.labels.value
        if self._measured is None:
            raise ConfigError("labels are wanted: predict an image, or add a labels layer and paint")
        return measure_layer(self._measured, self.image.value)

    def _finish(self, table: Table) -> str:
        layer: Any = self._measured
        columns = dict(table)
        layer.features = {"index": columns.pop("label"), **columns}  # napari links rows to labels by this column
        self.viewer.layers.selection.active = layer
        self.viewer.window.add_plugin_dock_widget("napari", "Features table widget")
        return f"{len(table['label'])} objects of {layer.name}; choose a row to find one, or save the table as CSV"
