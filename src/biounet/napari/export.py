"""The widget that writes a model for other programs."""

from pathlib import Path
from typing import Any

from biounet.core.errors import ConfigError, need
from biounet.napari.work import Progress, Work, Worker

__all__ = ["export_for", "export_widget"]


SUFFIXES = {"bioimageio": ".zip", "onnx": ".onnx", "torchscript": ".pt"}
"""Name of a format, see `biounet.export.EXPORTERS` -> suffix of its files."""


def export_for(model: str, out: Path, *, to: str, license: str = "", author: str = "") -> Work:
    """Export of a model; it returns the largest difference of the written file from torch.

    Parameters
    ----------
    model : str
        A model file, or the folder of a run.
    out : Path
        The file to write.
    to, license, author : as for `biounet.export.export_model`

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

    words: dict[str, Any] = {"license": license, "author": author} if to == "bioimageio" else {}
    return export_model(model, out, to=to, **words)


def export_widget() -> Any:
    """A widget for the viewer at hand: choose a model and a format, and write."""
    return _Panel().widget


class _Panel:
    """Choices of the widget."""

    def __init__(self) -> None:
        widgets = need("magicgui.widgets")
        self.model = widgets.FileEdit(label="model", mode="r", filter="*.safetensors")
        self.to = widgets.ComboBox(label="for", choices=list(SUFFIXES))
        self.license = widgets.LineEdit(label="licence", value="CC-BY-4.0")
        self.author = widgets.LineEdit(label="author")
        self.out = widgets.FileEdit(label="file", mode="w", value=Path.cwd() / "model.zip")
        self.worker = Worker("Export", self._begin, finish=self._finish)
        choices = [self.model, self.to, self.license, self.author, self.out]
        self.widget = widgets.Container(widgets=[*choices, self.worker.widget])
        self.widget.native.panel = self  # lives as long as its widget
        self.to.changed.connect(lambda _: self._rename())

    def _rename(self) -> None:
        """Give the file the suffix of its format; only a package has a licence and an author."""
        self.out.value = Path(self.out.value).with_suffix(SUFFIXES[self.to.value])
        self.license.enabled = self.author.enabled = self.to.value == "bioimageio"

    def _begin(self) -> Work:
        model = "" if str(self.model.value) == "." else str(self.model.value)
        words: dict[str, Any] = {"license": self.license.value.strip(), "author": self.author.value.strip()}
        return export_for(model, Path(self.out.value), to=self.to.value, **words)

    def _finish(self, difference: float) -> str:
        return f"{self.out.value}: read back, it differs from biounet by at most {difference:.1e} in probability"
