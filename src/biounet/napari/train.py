"""The widget that trains on the layers in view."""

from pathlib import Path
from typing import Any

from biounet.core.errors import ConfigError, need
from biounet.napari.annotation import Annotated, annotated_in_view
from biounet.napari.model_choice import chosen_model, model_choice
from biounet.napari.training import train_on_layers
from biounet.napari.work import Work, Worker

__all__ = ["train_widget"]


MEANINGS = {"found out": {}, "objects": {"train.target": "distance"}, "classes": {"train.target": "classes"}}
"""What the numbers of labels are -> the settings that say so."""
STACKS = {"sections: a 2D network": False, "volumes: a 3D network": True}
UNPAINTED = {"background": "background", "unknown; label 1 is background": "unknown"}
LINES = 200
"""Of the run that are kept in sight."""


def train_widget() -> Any:
    """A widget for the viewer at hand: train on every visible image with labels, then predict with the model."""
    return _Panel(need("napari").current_viewer()).widget


class _Panel:
    """Choices of the widget, the pairs of layers in view, and the lines of the run."""

    def __init__(self, viewer: Any) -> None:
        widgets = need("magicgui.widgets")
        self.viewer, self._lines = viewer, [""]
        self.pairs = widgets.Label(label="in view")
        self.pairs.native.setWordWrap(True)
        self.init = model_choice("begin with")
        self.meaning = widgets.ComboBox(label="labels are", choices=list(MEANINGS))
        self.unpainted = widgets.ComboBox(label="unpainted is", choices=list(UNPAINTED))
        self.stacks = widgets.ComboBox(label="stacks are", choices=list(STACKS))
        self.minutes = widgets.FloatSpinBox(label="minutes", value=10, min=0.1, max=10_000, step=1)
        self.out = widgets.FileEdit(label="save run in", mode="d", value=free_folder(Path.cwd()))
        self.log = widgets.TextEdit(label="", value="")
        self.log.read_only = True
        self.log.native.setMaximumHeight(140)
        self.worker = Worker("Train", self._begin, show=self._show, finish=self._finish, leave=self._leave)
        choices = [self.pairs, self.init, self.meaning, self.unpainted, self.stacks, self.minutes, self.out]
        self.widget = widgets.Container(widgets=[*choices, self.worker.widget, self.log])
        self.widget.native.panel = self  # lives as long as its widget
        for event in (viewer.layers.events.inserted, viewer.layers.events.removed, viewer.layers.events.reordered):
            event.connect(self.look)
        viewer.layers.events.inserted.connect(self._watch)
        for layer in viewer.layers:
            layer.events.visible.connect(self.look)
        self.look()

    def look(self, event: Any = None) -> None:
        """Say which layers would be learnt from."""
        names = [str(pair) for pair in self._annotated]
        self.pairs.value = "\n".join(names) or "no labels over an image: add a labels layer and paint"

    def _watch(self, event: Any) -> None:
        event.value.events.visible.connect(self.look)

    @property
    def _annotated(self) -> list[Annotated]:
        layers = need("napari.layers")
        kept = [layer for layer in self.viewer.layers if isinstance(layer, layers.Image | layers.Labels)]
        return annotated_in_view(kept, lambda layer: isinstance(layer, layers.Labels))

    def _begin(self) -> Work:
        out = Path(self.out.value)
        if str(out) == ".":
            raise ConfigError("a folder for the run is wanted: choose a new or empty one")
        self._lines, self.log.value = [], ""
        return train_on_layers(
            self._annotated,
            out,
            init=chosen_model(self.init) or None,
            minutes=self.minutes.value,
            settings=MEANINGS[self.meaning.value],
            volumes=STACKS[self.stacks.value],
            unpainted=UNPAINTED[self.unpainted.value],
        )

    def _show(self, line: str) -> None:
        self._lines = [*self._lines[1 - LINES :], line]
        self.log.value = "\n".join(self._lines)
        bar = self.log.native.verticalScrollBar()
        bar.setValue(bar.maximum())

    def _finish(self, out: Path) -> str:
        self.out.value, self.init.value = free_folder(out.parent), out / "model.safetensors"
        return f"done: {out / 'model.safetensors'}, {out / 'report.html'}"

    def _leave(self) -> None:
        out = Path(self.out.value)
        if (out / "model.safetensors").is_file():
            self._show(f"the best model so far is {out / 'model.safetensors'}")
            self.out.value = free_folder(out.parent)


def free_folder(parent: Path) -> Path:
    """The first of ``run-1``, ``run-2``, ... that is not there yet."""
    number = 1
    while (parent / f"run-{number}").exists():
        number += 1
    return parent / f"run-{number}"
