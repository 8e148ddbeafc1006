"""The widget that writes a model for other programs."""

from pathlib import Path
from typing import Any

from biounet.core.errors import ConfigError, need
from biounet.napari.model_choice import chosen_model, model_choice
from biounet.napari.work import Progress, Work, Worker

__all__ = ["export_for", "export_widget"]


SUFFIXES = {"bioimageio": ".zip", "onnx": ".onnx", "torchscript": ".pt"}
"""Name of a format, see `biounet.export.EXPORTERS` -> suffix of its files."""


def export_for(model: str, out: Path, *, to: str, license: str = "", author: str = "", cite: str = "") -> Work:
    """Export of a model; it returns the largest difference of the written file from torch.

    Parameters
    ----------
    model : str
        A model file, or the folder of a run.
    out : Path
        The file to write.
    to, license, author, cite : as for `biounet.export.export_model`

    Yields
    ------
    Progress

    Raises
    ------
    BiounetError
        As `biounet.export.export_model`.
    """
    if not model:
        raise ConfigError("a model is wanted: choose a model file (.safetensors) or the folder of a run")
    yield Progress(0, "writes the model, and reads it back in the runtime that it is for")
    from biounet.export import export_model  # torch: imported in the thread, when it is needed

    words: dict[str, Any] = {"license": license, "author": author, "cite": cite} if to == "bioimageio" else {}
    return export_model(model, out, to=to, **words)


def export_widget() -> Any:
    """A widget for the viewer at hand: choose a model and a format, and write."""
    return _Panel().widget


class _Panel:
    """Choices of the widget."""

    def __init__(self) -> None:
        widgets = need("magicgui.widgets")
        self.model = model_choice("model")
        self.to = widgets.ComboBox(label="for", choices=list(SUFFIXES))
        self.license = widgets.LineEdit(label="licence", value="CC-BY-4.0")
        self.author = widgets.LineEdit(label="author")
        self.cite = widgets.LineEdit(label="cite", tooltip="DOI or web address")
        self.out = widgets.FileEdit(label="file", mode="w", value=Path.cwd() / "model.zip")
        self.worker = Worker("Export", self._begin, finish=self._finish)
        choices = [self.model, self.to, self.license, self.author, self.cite, self.out]
        self.widget = widgets.Container(widgets=[*choices, self.worker.widget])
        self.widget.native.panel = self  # lives as long as its widget
        self.to.changed.connect(lambda _: self._rename())

    def _rename(self) -> None:
        """Give the file the suffix of its format; only a package has words about it."""
        self.out.value = Path(self.out.value).with_suffix(SUFFIXES[self.to.value])
        for words in (self.license, self.author, self.cite):
            words.enabled = self.to.value == "bioimageio"

    def _begin(self) -> Work:
        words = {name: getattr(self, name).value.strip() for name in ("license", "author", "cite")}
        return export_for(chosen_model(self.model), Path(self.out.value), to=self.to.value, **words)

    def _finish(self, difference: float) -> str:
        return f"{self.out.value}: read back, it differs from biounet by at most {difference:.1e} in probability"
