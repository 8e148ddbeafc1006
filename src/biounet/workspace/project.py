"""An open folder: its images, the labels beside them, and what was set about them."""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from biounet.config.settings import Settings
from biounet.core.atomic_files import replacing, sayable
from biounet.core.errors import ConfigError, DatasetError, ImageError, OutputError
from biounet.core.json_file import read_json
from biounet.core.text_file import TextFile
from biounet.data.label_files import read_labels
from biounet.data.label_kind import LabelStatistics, choose_kind
from biounet.data.paired_files import folder_in, labels_folder
from biounet.io import image_files, images_by_name
from biounet.workspace.journal import Journal
from biounet.workspace.label_file import LabelFile
from biounet.workspace.label_store import LabelStore
from biounet.workspace.planes import ImagePlanes, RecentPlanes
from biounet.workspace.runs import Runs

__all__ = ["PLACE", "Project", "ProjectImage", "ProjectSettings"]


PLACE = ".biounet"
"""Folder, inside the opened one, with journals, smaller copies of large images, and the network that learns."""

LOOKED_AT = 8
"""Label files that are looked at to tell whether numbers are objects or classes."""

MOST = 2**20
"""Bytes that the settings may have."""


class ProjectSettings(Settings):
    """What labels of a project mean."""

    kind: str = "objects"
    """``objects``: each has a number of its own. ``classes``: numbers are kinds of tissue, or of anything else."""
    classes: tuple[str, ...] = ("background", "foreground")
    """Names of the classes, background first; of objects only the first two count."""


@dataclass
class ProjectImage:
    """One image of a project, with its labels.

    Parameters
    ----------
    number : from 0
    name : of the file, without its suffix
    planes : ImagePlanes
    """

    number: int
    name: str
    planes: ImagePlanes
    open_store: Callable[["ProjectImage"], LabelStore]
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    """Held while labels are read and changed."""

    @property
    def finished_share(self) -> float:
        """Share of the pixels, of all planes, that lie in finished regions, as far as these do not overlap."""
        height, width = self.planes.size
        whole = height * width * len(self.store.file.planes)
        return min(1.0, sum((c - a) * (d - b) for _, _, a, b, c, d in self.store.finished) / whole)

    @cached_property
    def store(self) -> LabelStore:
        """The labels, which are opened when they are asked for."""
        return self.open_store(self)


class Project:
    """A folder of images that is worked on.

    Images lie in the folder itself, or in its folder ``images``. Labels lie in ``labels`` (or in ``masks`` where that
    is there), one file per image, as `biounet train` reads them.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    DatasetError
        If there is no such folder, or no image in it.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise DatasetError(f"{folder}: there is no such folder; give a folder of images")
        self.folder = folder.resolve()
        self.place = self.folder / PLACE
        self.runs = Runs(self.folder, self.place / "runs")
        inside = folder_in(self.folder, "images")
        self.images_folder = inside if inside and image_files(inside) else self.folder
        found = images_by_name(self.images_folder)
        if not found:
            raise DatasetError(f"{folder} has no images; put some there, as .tif, .png or another format that is read")
        self.labels_folder = labels_folder(self.folder) or self.folder / "labels"
        self._label_files = images_by_name(self.labels_folder) if self.labels_folder.is_dir() else {}
        recent = RecentPlanes()
        self.images = [
            ProjectImage(number, name, ImagePlanes(path, self.place / "levels" / name, recent), self._open_store)
            for number, (name, path) in enumerate(sorted(found.items()))
        ]
        self.settings = self._read_settings()

    @property
    def numbered(self) -> bool:
        """Whether labels number objects."""
        return self.settings.kind == "objects"

    @property
    def touched(self) -> Sequence[ProjectImage]:
        """Images that anything was labelled in."""
        return [image for image in self.images if self.has_labels(image)]

    def has_labels(self, image: ProjectImage) -> bool:
        """Whether anything was labelled in an image; its labels are not opened for it."""
        if "store" in image.__dict__:
            return image.store.touched
        return self._journal(image.name).exists() or image.name in self._label_files

    def summary(self, image: ProjectImage) -> dict[str, Any]:
        """What a list of images shows of one."""
        share = image.finished_share if self._journal(image.name).exists() else 0.0
        state = "finished" if share == 1 else "begun" if self.has_labels(image) else "new"
        return {"image": image.number, "name": image.name, "state": state, "share": round(share, 3)}

    def by_name(self, name: str) -> ProjectImage:
        """The image of a name.

        Raises
        ------
        ImageError
            If there was none when the folder was opened.
        """
        found = next((image for image in self.images if image.name == name), None)
        if found is None:
            raise ImageError(f"{name} came into the folder, or left it, meanwhile; start biounet serve again")
        return found

    def check_there(self) -> None:
        """Refuse to write into a folder that was removed or moved.

        Raises
        ------
        OutputError
        """
        if not self.folder.is_dir():
            raise OutputError(f"{self.folder} is gone; put it back, or start biounet serve where it is now")

    def change(self, changes: Mapping[str, object]) -> None:
        """Change the settings, and write them.

        Raises
        ------
        ConfigError
            If one is unknown, or the meaning of numbers would change though there are some.
        """
        try:
            settings = ProjectSettings.model_validate({**self.settings.model_dump(), **changes})
        except ValidationError as error:
            raise ConfigError(f"settings of the project: {error.errors()[0]['msg']}") from error
        if settings.kind not in ("objects", "classes") or not 2 <= len(settings.classes) <= 32:
            raise ConfigError(f"labels are objects or 2 to 32 classes, got {settings.kind}, {len(settings.classes)}")
        if settings.kind != self.settings.kind and self.touched:
            raise ConfigError(f"labels that are drawn are {self.settings.kind}; open another folder for others")
        self.settings = settings
        self.keep_settings(overwrite=True)

    def keep_settings(self, *, overwrite: bool = False) -> None:
        """Write what labels mean, before the first is drawn: a few labels alone would not tell."""
        path = self.place / "project.json"
        if path.exists() and not overwrite:
            return
        with replacing(path, overwrite=overwrite) as temporary:
            temporary.write_text(self.settings.model_dump_json(indent=1))

    def reload_settings(self) -> None:
        """Read the settings again that another process may have changed."""
        self.settings = self._read_settings()

    def keep_original(self, image: ProjectImage) -> None:
        """Keep a label file that we did not write, before ours takes its place."""
        path = self._label_files.get(image.name)
        kept = self.place / "originals"
        if path is None or (kept / path.name).exists() or not path.exists():
            return
        with sayable(kept / path.name):
            kept.mkdir(parents=True, exist_ok=True)
            if path == image.store.file.path:
                (kept / path.name).write_bytes(path.read_bytes())
            else:  # of a format that cannot hold unknown pixels; two files must not have one name
                os.replace(path, kept / path.name)

    def _journal(self, name: str) -> Path:
        return self.place / "edits" / f"{name}.journal"

    def _open_store(self, image: ProjectImage) -> LabelStore:
        """Open the labels of an image."""
        planes, path = image.planes, self.labels_folder / f"{image.name}.tif"
        given = self._label_files.get(image.name)
        file = LabelFile(path, planes.label_axes, planes.label_shape, planes.spacing)
        original = None if given is None or given == path else LabelFile(given, file.axes, file.shape)
        return LabelStore(file, Journal(self._journal(image.name)), lambda: self.numbered, original)

    def _read_settings(self) -> ProjectSettings:
        """Settings that were written; else what label files say, if there are some."""
        path = self.place / "project.json"
        if path.is_file():
            return read_json(path, ProjectSettings, TextFile(str(path), ConfigError, "move it away", most=MOST))
        files = list(self._label_files.values())[:LOOKED_AT]
        statistics = [LabelStatistics.of(file, [read_labels(file)[0]]) for file in files]
        if not any(value > 0 for each in statistics for value in each.values):
            return ProjectSettings()
        kind = choose_kind(statistics)
        highest = max(value for each in statistics for value in each.values)
        names = ("background", *(f"class {number}" for number in range(1, min(highest, 31) + 1)))
        return ProjectSettings(kind=kind, classes=names if kind == "classes" else ProjectSettings().classes)
