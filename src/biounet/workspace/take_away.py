"""What a person takes away: labels, tables of what she drew, and the model."""

import shutil
import zipfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType

from biounet.core.errors import DatasetError
from biounet.measurement.csv_files import empty_table, write_tables
from biounet.measurement.frames import FrameTable, measure_frame, open_frames
from biounet.workspace.project import Project

__all__ = ["TAKE_AWAY", "last_model"]


def _labels(project: Project, place: Path) -> Path:
    """Label files of all images with labels, packed."""
    path = place / f"{project.folder.name}-labels.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for file in _label_files(project):
            packed.write(file, f"labels/{file.name}")
    return path


def _tables(project: Project, place: Path) -> Path:
    """Measurements of the drawn objects: a row per object, and a row per image."""
    folder = place / "tables"
    pairs = [(image.store.file.path, image.planes.path) for image in project.touched if image.store.file.path.exists()]
    if not pairs:
        raise DatasetError("nothing is drawn yet; draw an object first")

    def each(kinds: bool) -> list[FrameTable]:
        found = []
        for labels, image in pairs:
            with ExitStack() as files:
                frames = open_frames(labels, image=image, by_section=True, files=files)
                found += [empty_table(frames[0])] if kinds else [measure_frame(frame) for frame in frames]
        return found

    write_tables(each(kinds=False), folder, kinds=each(kinds=True), overwrite=True)
    path = place / f"{project.folder.name}-tables.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in ("objects.csv", "counts.csv"):
            packed.write(folder / name, name)
    return path


def _model(project: Project, place: Path) -> Path:
    """The model of the last finished run; before there is one, the network that learns, as it is."""
    path = place / f"{project.folder.name}.safetensors"
    shutil.copyfile(last_model(project), path)
    return path


def _report(project: Project, place: Path) -> Path:
    """The report of the last finished run."""
    found = last_model(project).with_name("report.html")
    if not found.exists():
        raise DatasetError("there is no report yet; finish a model first")
    path = place / f"{project.folder.name}-report.html"
    shutil.copyfile(found, path)
    return path


def last_model(project: Project) -> Path:
    """Model file of the last finished run, or of the network that learns.

    Raises
    ------
    DatasetError
        If there is none yet.
    """
    folder = (project.place / "live", *project.runs.finished())[-1]
    path = folder / "model.safetensors"
    if not path.exists():
        raise DatasetError("there is no model yet; draw some objects and some background, and wait half a minute")
    return path


def _label_files(project: Project) -> list[Path]:
    found = [image.store.file.path for image in project.touched if image.store.file.path.exists()]
    if not found:
        raise DatasetError("nothing is drawn yet; draw an object first")
    return found


TAKE_AWAY: Mapping[str, Callable[[Project, Path], Path]] = MappingProxyType(
    {"labels": _labels, "tables": _tables, "model": _model, "report": _report}
)
"""What can be downloaded -> function of a project and a folder, which returns a file in that folder."""
