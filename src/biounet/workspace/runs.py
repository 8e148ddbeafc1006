"""Runs that were begun in a project: their folders beside the images, and what became of each."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from biounet.core.atomic_files import replacing
from biounet.core.errors import OutputError
from biounet.core.json_file import read_json
from biounet.core.text_file import ForeignRecord, TextFile

__all__ = ["Runs"]


RUN = re.compile(r"run-([1-9]\d{0,8})")
"""Names of the folders of runs."""

MOST = 2**20
"""Bytes that the record of a run may have."""

INTERRUPTED = "biounet serve ended meanwhile; press Finish a model to begin anew"


class _Told(ForeignRecord):
    """What was told of a run last; what else it holds is shown as it is."""

    name: str
    share: float
    finished: bool = False


@dataclass(frozen=True)
class Runs:
    """Runs of a project, in the order of their numbers, which is that in which they were begun.

    Parameters
    ----------
    folder : Path
        In which ``run-1``, ``run-2``, ... lie.
    records : Path
        Folder with what was told of each run when it began and when it ended.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> runs = Runs(folder, folder / "records")
    >>> runs.keep({"name": "run-1", "share": 0.0, "text": "images are read"})
    >>> runs.next_folder().name, runs.last()["failed"]
    ('run-2', 'biounet serve ended meanwhile; press Finish a model to begin anew')
    """

    folder: Path
    records: Path

    def next_folder(self) -> Path:
        """Folder of the next run, which is not there yet: that of the first is ``run-1``."""
        known = [*_numbered(self.folder), *_numbered(self.records)]
        return self.folder / f"run-{max(known, default=0) + 1}"

    def keep(self, told: Mapping[str, Any]) -> None:
        """Write down what is told of a run when it begins and when it ends.

        Raises
        ------
        OutputError
        """
        if told["share"] in (0, 1):
            with replacing(self._record(told["name"]), overwrite=True) as temporary:
                temporary.write_text(json.dumps(dict(told)))

    def last(self) -> dict[str, Any] | None:
        """What was told of the last run, of one that was interrupted that it failed; None if there is none.

        Raises
        ------
        OutputError
            If its record is damaged.
        """
        known = _numbered(self.records)
        if not known:
            return None
        told = self._told(known[max(known)].stem)
        if told.share < 1:
            return {**told.model_dump(), "share": 1, "failed": INTERRUPTED}
        return told.model_dump()

    def finished(self) -> list[Path]:
        """Folders of the runs that came to their end."""
        folders = [folder for _, folder in sorted(_numbered(self.folder).items())]
        return [folder for folder in folders if self._is_finished(folder)]

    def _is_finished(self, folder: Path) -> bool:
        """Whether a run came to its end; one without a record is of a version that kept none."""
        if not (folder / "model.safetensors").exists():
            return False
        return self._told(folder.name).finished if self._record(folder.name).exists() else True

    def _told(self, name: str) -> _Told:
        path = self._record(name)
        return read_json(path, _Told, TextFile(str(path), OutputError, "move it away", most=MOST))

    def _record(self, name: str) -> Path:
        return self.records / f"{name}.json"


def _numbered(folder: Path) -> dict[int, Path]:
    """Number of a run -> its file or folder."""
    found = folder.iterdir() if folder.is_dir() else ()
    return {int(match[1]): path for path in found if (match := RUN.fullmatch(path.name.removesuffix(".json")))}
