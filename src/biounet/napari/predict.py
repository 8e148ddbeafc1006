"""The widget that predicts a layer, and shows the tiles as they come."""

from dataclasses import asdict
from typing import Any

from biounet.core.errors import ConfigError, need
from biounet.napari.layers import PROBABILITIES
from biounet.napari.model_choice import chosen_model, model_choice
from biounet.napari.prediction import Predicted, predict_layer
from biounet.napari.work import Work, Worker

__all__ = ["predict_widget"]


def predict_widget() -> Any:
    """A widget for the viewer at hand: choose a layer and a model, and predict."""
    return _Panel(need("napari").current_viewer()).widget


class _Panel:
    """Choices of the widget, and what happens to the layers."""

    def __init__(self, viewer: Any) -> None:
        widgets, layers = need("magicgui.widgets"), need("napari.layers")
        self.viewer: Any = viewer
        self.preview: Any = None
        self._source = ""
        self.layer = widgets.create_widget(annotation=layers.Image, label="image")
        self.model = model_choice("model")
        self.axes = widgets.LineEdit(label="axes", tooltip="Letters of TCZYX; empty: as the layer tells")
        self.tta = widgets.CheckBox(text="average 8 symmetries", tooltip="Test-time augmentation: 8 times the work")
        self.link = widgets.CheckBox(text="one number through all sections", tooltip="For a 2D model of objects")
        self.keep = widgets.CheckBox(text="keep the probabilities")
        self.worker = Worker("Predict", self._begin, show=self._show, finish=self._finish, leave=self._leave)
        choices = [self.layer, self.model, self.axes, self.tta, self.link, self.keep]
        self.widget = widgets.Container(widgets=[*choices, self.worker.widget])
        self.widget.native.panel = self  # lives as long as its widget

    def _begin(self) -> Work:
        layer = self.layer.value
        if layer is None:
            raise ConfigError("an image is wanted: open one, or choose File > Open Sample > biounet")
        self.preview, self._source = None, layer.name
        options = {"tta": self.tta.value, "link": self.link.value}
        return predict_layer(layer, chosen_model(self.model), axes=self.axes.value.strip(), **options)

    def _show(self, predicted: Predicted) -> None:
        if self.preview is None:
            name = f"{self._source} probabilities"
            self.preview = self.viewer.add_image(
                predicted.pixels,
                name=name,
                contrast_limits=(0, 1),
                colormap="magma",
                opacity=0.6,
                metadata=PROBABILITIES,
                **asdict(predicted.place),
            )
        self.preview.refresh()

    def _finish(self, predicted: Predicted) -> str:
        if not predicted.labels:
            assert self.preview is not None
            self.preview.reset_contrast_limits()
            return f"{self._source}: an image is drawn"
        self.viewer.add_labels(predicted.pixels, name=f"{self._source} labels", **asdict(predicted.place))
        if not self.keep.value:
            self._leave()
        return f"{self._source}: {predicted.pixels.max()} labels" if predicted.pixels.size else "nothing to predict"

    def _leave(self) -> None:
        if self.preview is not None and self.preview in self.viewer.layers:
            self.viewer.layers.remove(self.preview)
        self.preview = None
