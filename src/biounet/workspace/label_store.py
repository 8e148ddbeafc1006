"""Labels of one image: the file beside it, the edits since, and the way back."""

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.boxes import Box
from biounet.core.errors import BiounetError
from biounet.workspace.edit import Edit, Plane, Region, regions_after
from biounet.workspace.edits import EDITS, Canvas
from biounet.workspace.journal import Journal, Record
from biounet.workspace.label_file import FileState, LabelFile
from biounet.workspace.label_tiles import LabelTiles, Tile, overlap, pack, tile_box, tiles_of

__all__ = ["Applied", "ConflictError", "LabelStore"]


Labels = NDArray[np.int32]
LAYERS = ("labels", "asked")
"""What tiles hold: labels; and what was predicted for a pixel before it was labelled, by which networks are scored."""

ALONE: AbstractContextManager[object] = nullcontext()  # in place of a lock, where nobody else uses the labels

KEPT = 2**27
"""Bytes of edits that can be undone."""


class ConflictError(BiounetError, RuntimeError):
    """The labels were changed by somebody else since they were seen."""


@dataclass(frozen=True)
class Applied:
    """What an edit has changed."""

    version: int
    plane: Plane
    tiles: tuple[Tile, ...]
    kind: str
    number: int = 0
    """The object that was drawn, if it is a new one."""


@dataclass
class LabelStore:
    """Labels of one image, as its file and its journal tell; one process writes, others follow.

    Parameters
    ----------
    file : LabelFile
    journal : Journal
    numbered : () -> whether labels number objects
    original : LabelFile, or None
    """

    file: LabelFile
    journal: Journal
    numbered: Callable[[], bool] = lambda: True
    original: LabelFile | None = None
    """A file of another format, which holds the labels until `file` is there."""
    version: int = field(default=0, init=False)
    finished: list[Region] = field(default_factory=list, init=False)
    """Regions in which every object is drawn."""

    def __post_init__(self) -> None:
        self._planes: dict[tuple[str, Plane], LabelTiles] = {}
        self._done: list[Record] = []
        self._undone: list[Record] = []
        self._number: int | None = None
        self._files: set[FileState] = set()
        self.written = 0
        """Version of the labels in the file."""
        self.refresh()
        # of a file that was written before, another program may have changed it meanwhile: it is looked at
        self._stamp = None if self._files else self.file.stamp()

    def plane(self, plane: Plane, *, layer: str = "labels") -> LabelTiles:
        """Labels of a plane; or what was predicted for its pixels before they were labelled (``asked``)."""
        key = layer, plane
        if key not in self._planes:
            source = self.source if layer == "labels" else None
            base = None if source is None else lambda box: source.read(plane, box)
            self._planes[key] = LabelTiles(self.file.size, base)
        return self._planes[key]

    @property
    def can_undo(self) -> bool:
        """Whether there is an edit to undo."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether there is an edit to do again."""
        return bool(self._undone)

    @property
    def touched(self) -> bool:
        """Whether anything was ever labelled here."""
        return self.version > 0 or self.source is not None

    @property
    def source(self) -> LabelFile | None:
        """The file that holds what no edit has changed."""
        return next((file for file in (self.file, self.original) if file is not None and file.path.exists()), None)

    def number(self) -> int:
        """The next number that no object has."""
        if self._number is None:
            highest = 0
            for plane in self.file.planes:
                tiles = self.plane(plane)
                highest = max([highest, *(int(tiles.tile(tile).max(initial=0)) for tile in tiles.all_tiles())])
            self._number = highest + 1
        return self._number

    def apply(self, edit: Edit, predicted: Callable[[Box], Labels]) -> Applied:
        """Make an edit; when this returns, it is on the disk. One that was made before is not made twice.

        Parameters
        ----------
        edit : Edit
        predicted : region -> labels predicted for it, IGNORE where nothing is

        Raises
        ------
        ConflictError
            If the labels are of a later version than the one that was seen.
        LabelError
            If the edit makes no sense where it is made.
        OutputError
            If the disk is full; the edit is not made.
        """
        if edit.version != self.version and (made := self._made(edit)):
            return made
        self._check(edit.version)
        tiles, number = self.plane(edit.plane), self.number()
        canvas = Canvas(self.file.size, tiles.read, predicted, number, self.numbered())
        after = self._after(edit.plane, EDITS[edit.kind](edit, canvas), predicted)
        drawn = max((int(labels.max()) for (layer, _), labels in after.items() if layer == "labels"), default=0)
        finished = regions_after(self.finished, edit, self.file.size)
        extra = {"kind": edit.kind, "next": max(number, drawn + 1), "finished": finished, "was": self.finished}
        self._write("edit", edit.plane, self._swaps(edit.plane, after), {**extra, "id": edit.id})
        return Applied(self.version, edit.plane, _tiles(after), edit.kind, number if drawn >= number else 0)

    def undo(self, version: int) -> Applied | None:
        """Undo the last edit; None if there is none."""
        self._check(version)
        return self._swap_back("undo", self._done[-1]) if self._done else None

    def redo(self, version: int) -> Applied | None:
        """Make the edit again that was undone last; None if there is none."""
        self._check(version)
        return self._swap_back("redo", self._undone[-1]) if self._undone else None

    def refresh(self) -> bool:
        """Take in what the journal has more than before; return whether it had."""
        before = self.version
        for record in self.journal.follow():
            self._take(record)
        return self.version != before

    def adopt(self) -> list[Applied]:
        """Take over the labels of a file that another program wrote, as an edit that can be undone."""
        self._stamp, state = self.file.stamp(), self.file.state()
        if state is None or state in self._files or not self._files:
            return []
        changes = []
        for plane in self.file.planes:
            tiles = self.plane(plane)
            after = {}
            for tile in tiles_of(Box((0, 0), self.file.size)):
                labels = self.file.read(plane, tile_box(tile, self.file.size))
                if not np.array_equal(labels, tiles.tile(tile)):
                    after["labels", tile] = labels
            if after:
                self._number = None
                extra = {"kind": "adopt", "finished": self.finished, "was": self.finished, "file": state}
                self._write("edit", plane, self._swaps(plane, after), extra)
                changes.append(Applied(self.version, plane, _tiles(after), "adopt"))
        return changes

    @property
    def file_is_foreign(self) -> bool:
        """Whether another program has written the file, or removed it, since it was last looked at."""
        return self.file.stamp() != self._stamp

    def write_file(self, *, lock: AbstractContextManager[object] = ALONE) -> None:
        """Bring the file to the version of the labels; see `LabelFile.write` for errors.

        `lock` is held for short moments only: edits go on while a large file is written.
        """
        with lock:
            version, highest = self.version, self.number()
            planes = {plane: self.plane(plane).snapshot() for plane in self.file.planes}

        def note(state: FileState) -> None:
            with lock:
                self._note_file(state, version)

        part = self.journal.path.with_suffix(".tif")
        self.file.write(lambda plane, box: planes[plane].read(box), highest=highest, part=part, before=note)
        with lock:
            self._stamp, self.written = self.file.stamp(), version

    def _made(self, edit: Edit) -> Applied | None:
        """What an edit has changed that was made already; None if it was not."""
        record = next((each for each in self._done if edit.id and each.head.get("id") == edit.id), None)
        if record is None:
            return None
        return Applied(self.version, tuple(record.head["plane"]), _tiles(_unframed(record)), edit.kind)

    def _check(self, version: int) -> None:
        """Refuse an edit of labels that were not seen."""
        if version != self.version:
            raise ConflictError(
                "these labels were changed elsewhere meanwhile; they are shown as they are now, do it again"
            )

    def _after(
        self, plane: Plane, changes: Iterable[tuple[Box, Labels]], predicted: Callable[[Box], Labels]
    ) -> dict[tuple[str, Tile], Labels]:
        """Tiles after some changes: labels, and what had been predicted for pixels that become labelled."""
        labels, asked = self.plane(plane), self.plane(plane, layer="asked")
        after: dict[tuple[str, Tile], Labels] = {}
        for box, wanted in changes:
            for tile in tiles_of(box):
                whole = tile_box(tile, self.file.size)
                common = overlap(box, whole)
                inside = common.relative_to(whole.start).slices
                before = after.get(("labels", tile), labels.tile(tile))
                part = wanted[common.relative_to(box.start).slices]
                if np.array_equal(before[inside], part):
                    continue
                changed = before.copy()
                changed[inside] = part
                after["labels", tile] = changed
                told = after.get(("asked", tile), asked.tile(tile))
                new = (before < 0) & (changed >= 0) & (told < 0)
                guess = predicted(whole) if new.any() else told
                if (guess[new] >= 0).any():
                    after["asked", tile] = np.where(new, guess, told)
        return after

    def _swaps(self, plane: Plane, after: Mapping[tuple[str, Tile], Labels]) -> list[tuple[str, Tile, bytes, bytes]]:
        """Each tile that changes, before and after."""
        return [
            (layer, tile, pack(self.plane(plane, layer=layer).tile(tile)), pack(labels))
            for (layer, tile), labels in after.items()
        ]

    def _write(
        self, what: str, plane: Plane, swaps: list[tuple[str, Tile, bytes, bytes]], extra: Mapping[str, Any]
    ) -> None:
        """Append a record, and take it in."""
        if not self._files and (state := self.file.state()) is not None:
            self._note_file(state, self.version)
        heads = [[LAYERS.index(layer), *tile, len(before), len(after)] for layer, tile, before, after in swaps]
        head = {"op": what, "v": self.version + 1, "plane": plane, "tiles": heads, "at": round(time.time(), 3), **extra}
        record = Record(head, b"".join(before + after for _, _, before, after in swaps))
        self.journal.append(record)
        self._take(record)

    def _note_file(self, state: FileState, version: int) -> None:
        """Record that the file is, or is about to become, one that we know, with the labels of a version."""
        record = Record({"op": "file", "v": version, "state": state})
        self.journal.append(record)
        self._take(record)

    def _swap_back(self, what: str, record: Record) -> Applied:
        """Exchange before and after of a record."""
        head = record.head
        plane: Plane = tuple(head["plane"])
        swaps = [(layer, tile, after, before) for layer, tile, before, after in _unframed(record)]
        self._write(what, plane, swaps, {"kind": head["kind"], "finished": head["was"], "was": head["finished"]})
        return Applied(self.version, plane, _tiles(swaps), what)

    def _take(self, record: Record) -> None:
        """Bring the labels to what a record says."""
        head = record.head
        if head["op"] == "file":
            self._files.add(tuple(head["state"]))
            self.written = max(self.written, head["v"])
            return
        plane: Plane = tuple(head["plane"])
        for layer, tile, _, after in _unframed(record):
            self.plane(plane, layer=layer).put_packed(tile, after)
        if "file" in head:
            self._files.add(tuple(head["file"]))
        self.version = head["v"]
        self.finished = [tuple(region) for region in head["finished"]]
        self._number = max(self._number or 0, head["next"]) if "next" in head else self._number
        source, target = {"undo": (self._done, self._undone), "redo": (self._undone, self._done)}.get(
            head["op"], (None, self._done)
        )
        if source:
            source.pop()
        elif head["op"] == "edit":
            self._undone.clear()
        target.append(record)
        while len(self._done) > 1 and sum(len(each.body) for each in self._done) > KEPT:
            self._done.pop(0)


def _unframed(record: Record) -> Iterable[tuple[str, Tile, bytes, bytes]]:
    """Layer, tile, and bytes before and after, of all tiles in a record."""
    at = 0
    for layer, row, column, before, after in record.head["tiles"]:
        middle, end = at + before, at + before + after
        yield LAYERS[layer], (row, column), record.body[at:middle], record.body[middle:end]
        at = end


def _tiles(changed: Iterable[tuple[Any, ...]]) -> tuple[Tile, ...]:
    """Tiles whose labels change, of layers and tiles."""
    return tuple(tile for layer, tile, *_ in changed if layer == "labels")
