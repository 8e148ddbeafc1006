"""A workspace: a project that somebody works on, and a network that learns meanwhile."""

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from biounet.core.boxes import Box
from biounet.core.errors import BiounetError, DatasetError, ImageError
from biounet.core.output_lock import holding
from biounet.workspace.doubtful import VIEW, Spot, most_doubtful
from biounet.workspace.edit import Edit, Plane
from biounet.workspace.keeper import Keeper, labels_event
from biounet.workspace.label_store import Applied
from biounet.workspace.label_tiles import tile_box
from biounet.workspace.listeners import Listeners
from biounet.workspace.predictions import Prediction, Predictions, load_prediction
from biounet.workspace.project import Project, ProjectImage
from biounet.workspace.scores import ScoreLog, score_labels
from biounet.workspace.take_away import TAKE_AWAY
from biounet.workspace.trainer_process import TrainerProcess

__all__ = ["Workspace"]


RESTARTS, PATIENCE = 3, 600.0
"""How often in so many seconds the process that learns is started anew."""

PREDICTED = 2**28
"""Bytes of predictions that are kept, of all images."""


class Workspace:
    """An open project with a network that learns.

    Parameters
    ----------
    folder : Path
    model : model file, run folder or name of a shipped model to begin with
    learn : bool
        Whether a process is started that learns.

    Raises
    ------
    DatasetError
        If there is no such folder, or no image in it.
    OutputError
        If another process works on the folder, or nothing can be written there.

    Notes
    -----
    May be used by several threads. Close it, or use it in a ``with`` statement.
    """

    def __init__(self, folder: Path, *, model: Path | None = None, learn: bool = True) -> None:
        self.project = Project(folder)
        self.listeners = Listeners()
        """Those that hear of everything that happens."""
        self.scores = ScoreLog(self.project.place / "scores.csv")
        self.state: dict[str, Any] = {"state": "starting", "text": "", "step": 0, "trained": model is not None}
        """What the process that learns does, as it last said, and whether its network began with a model."""
        self._predictions: dict[tuple[str, Plane], Predictions] = {}
        self._lock, self._packing = threading.RLock(), threading.Lock()
        self._model, self._learn = model, learn
        self._trainer: TrainerProcess | None = None
        self._look: dict[str, Any] | None = None
        self._restarts: list[float] = []
        self._closed = False
        self._run = self.project.runs.last()
        self._shown: list[Spot] = []
        self._held = ExitStack()
        self._held.enter_context(holding((), folder=self.project.place))
        self._keeper = Keeper(self.project, self.listeners.tell)
        if learn:
            self._start_trainer()

    def __enter__(self) -> "Workspace":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process that learns, and write all label files."""
        self._closed = True
        if self._trainer is not None:
            self._trainer.close()
        self._keeper.close()
        for image in self.project.images:
            image.planes.close()
        self._held.close()

    def image(self, number: int) -> ProjectImage:
        """The image of a number.

        Raises
        ------
        ImageError
            If there is none.
        """
        if not 0 <= number < len(self.project.images):
            raise ImageError(f"there is no image {number}; there are {len(self.project.images)}")
        return self.project.images[number]

    def describe(self) -> dict[str, Any]:
        """The list of images, what labels mean, and how learning stands."""
        project = self.project
        return {
            "name": project.folder.name,
            "settings": project.settings.model_dump(),
            "training": self.state,
            "run": self._run,
            "scores": self.scores.rows(),
            "images": [project.summary(image) for image in project.images],
        }

    def describe_image(self, number: int) -> dict[str, Any]:
        """Sizes, levels, intensities, versions and regions of an image."""
        image = self.image(number)
        planes = image.planes
        with image.lock:
            store = image.store
            labels = {
                "version": store.version,
                "undo": store.can_undo,
                "redo": store.can_redo,
                "finished": [list(region) for region in store.finished],
            }
        overview = not planes.needs_pyramid((0, 0))
        if not overview:
            self._keeper.shrink(image, (0, 0))
        return {
            "image": number,
            "name": image.name,
            "file": planes.path.name,
            "sizes": planes.sizes,
            "levels": planes.levels,
            "overview": overview,
            "spacing": planes.spacing,
            "bytes": 1 if planes.dtype == np.uint8 else 2,
            "ranges": planes.travelling_range(),
            **labels,
        }

    def change(self, changes: Mapping[str, Any]) -> None:
        """Change what labels mean; see `Project.change` for errors."""
        self.project.change(changes)
        self.listeners.tell({"event": "project", "settings": self.project.settings.model_dump()})
        if self._trainer is not None:
            self._trainer.tell(settings=True)

    def doubtful(self, number: int) -> dict[str, Any]:
        """The region that is most worth a look, beside those that were shown last; first of the image on the screen.

        Raises
        ------
        DatasetError
            If nothing is predicted yet, or nothing is left to look at.
        """
        with self._lock:
            known = [(self.project.by_name(name), plane, each) for (name, plane), each in self._predictions.items()]
            (image, plane, box), doubt = most_doubtful(known, shown=self._shown, current=number)
            self._shown = [*self._shown[-8:], (image, plane, box)]
        return {"image": image, "plane": list(plane), "box": [*box.start, *box.stop], "doubt": doubt}

    def finish(self, minutes: float) -> None:
        """Train a model on all that is labelled, into a run folder, in the process that learns."""
        self._need_trainer().tell(finish=minutes)

    def stop_finishing(self) -> None:
        """Stop the run that was begun by `finish`; what it has reached stays."""
        self._need_trainer().tell(stop=True)

    def take_away(self, what: str) -> Path:
        """A file to be downloaded; `what` is a key of `TAKE_AWAY`.

        Raises
        ------
        DatasetError
            If there is nothing of it yet.
        """
        self._keeper.write_all()
        place = self.project.place / "downloads"
        place.mkdir(parents=True, exist_ok=True)
        with self._packing:  # one at a time; drawing goes on
            return TAKE_AWAY[what](self.project, place)

    def _need_trainer(self) -> TrainerProcess:
        """The process that learns, started anew if it has ended."""
        if self._trainer is None or not self._trainer.alive:
            if not self._learn:
                raise DatasetError("learning is turned off")
            self._start_trainer()
        assert self._trainer is not None
        return self._trainer

    def predictions(self, image: ProjectImage, plane: Plane) -> Predictions:
        """Predictions of a plane."""
        with self._lock:
            key = image.name, plane
            self._predictions[key] = self._predictions.pop(key, Predictions())  # the last of those that were looked at
            return self._predictions[key]

    def _predicted(self, found: Prediction) -> ProjectImage:
        """Take in a prediction, and forget those that nobody has looked at for longest; return its image."""
        image = self.project.by_name(found.image)
        self.predictions(image, found.plane).add(found)
        with self._lock:
            while len(self._predictions) > 1 and sum(each.nbytes for each in self._predictions.values()) > PREDICTED:
                self._predictions.pop(next(iter(self._predictions)))
        return image

    def edit(self, number: int, edit: Edit) -> Applied:
        """Change labels; when this returns, the change is on the disk. See `LabelStore.apply` for errors."""
        image = self.image(number)
        predictions = self.predictions(image, edit.plane)
        self.project.check_there()
        self.project.keep_settings()
        with image.lock:
            image.planes.check(edit.plane)
            applied = image.store.apply(edit, predictions.labels)
            self._announce(image, applied)
            try:
                self._score(image, edit, applied, predictions.step)
            except BiounetError as error:  # the edit is made, whatever becomes of its score
                self.listeners.tell({"event": "problem", "text": str(error)})
        return applied

    def undo(self, number: int, version: int, *, again: bool = False) -> Applied | None:
        """Undo the last edit of an image, or make it again; None if there is none."""
        image = self.image(number)
        with image.lock:
            applied = image.store.redo(version) if again else image.store.undo(version)
        if applied is not None:
            self._announce(image, applied)
        return applied

    def look(self, number: int, plane: Plane, box: Box) -> Box:
        """Say what is on the screen, so that it is predicted first; return the region that will be predicted."""
        image = self.image(number)
        image.planes.check(plane)
        box = box.grown((0, 0), image.planes.size).middle((VIEW, VIEW))
        self._look = {"image": image.name, "plane": list(plane), "box": [*box.start, *box.stop]}
        if self._trainer is not None:
            self._trainer.tell(look=self._look)
        return box

    def pause(self, paused: bool) -> None:
        """Stop learning for a while, or go on."""
        self._need_trainer().tell(pause=paused)

    def _start_trainer(self) -> None:
        place = self.project.place
        log = place / "live" / "trainer.log"
        self._trainer = TrainerProcess(self.project.folder, self._hear, model=self._model, log=log)
        if self._look is not None:
            self._trainer.tell(look=self._look)

    def _hear(self, message: Mapping[str, Any]) -> None:
        """Take in a message of the process that learns."""
        event = dict(message)
        if event["event"] == "prediction":
            path = self.project.place / "live" / "predictions" / event.pop("file")
            found = load_prediction(path)
            path.unlink(missing_ok=True)
            event |= {"image": self._predicted(found).number}
        if event["event"] == "run":
            self._run = event
            self.project.runs.keep(event)
        if event["event"] in ("state", "step"):
            self.state |= {name: value for name, value in event.items() if name != "event"}
        if event["event"] == "ended":
            self._ended(event["text"])
        else:
            self.listeners.tell(event)

    def _ended(self, why: str) -> None:
        """Start the process anew that has ended by itself, unless it does so again and again."""
        now = time.monotonic()
        self._restarts = [at for at in self._restarts if now - at < PATIENCE]
        again = len(self._restarts) < RESTARTS
        then = "it is started again" if again else f"it did so {RESTARTS} times before; press Start again"
        self._hear({"event": "state", "state": "ended", "text": f"The network stopped ({why}); {then}."})
        if self._run is not None and self._run["share"] < 1:
            self._hear({**self._run, "share": 1, "failed": f"the network stopped ({why}); finish a model again"})
        if again and not self._closed:
            self._restarts.append(now)
            self._start_trainer()

    def _announce(self, image: ProjectImage, applied: Applied) -> None:
        """Tell all listeners that labels have changed."""
        self._keeper.note(image)
        self.listeners.tell(labels_event(self.project, image, applied))

    def _score(self, image: ProjectImage, edit: Edit, applied: Applied, step: int) -> None:
        """Compare what was drawn with what had been predicted there."""
        store, whole = image.store, edit.kind == "finish"
        if not whole and (edit.kind not in ("paint", "outline") or not applied.tiles):
            return
        if whole:
            top, left, bottom, right = edit.box or (0, 0, *image.planes.size)
            box = Box((top, left), (bottom, right)).grown((0, 0), image.planes.size)
        else:
            box = _hull([tile_box(tile, image.planes.size) for tile in applied.tiles])
        labels, asked = store.plane(edit.plane).read(box), store.plane(edit.plane, layer="asked").read(box)
        scores = score_labels(labels, asked, numbered=self.project.numbered, whole=whole)
        if scores["pixels"]:
            row = self.scores.add(image=image.name, kind=edit.kind, step=step, scores=scores)
            self.listeners.tell({"event": "score", **row})


def _hull(boxes: Sequence[Box]) -> Box:
    """Smallest region that holds several."""
    start = np.min([box.start for box in boxes], axis=0)
    stop = np.max([box.stop for box in boxes], axis=0)
    return Box((int(start[0]), int(start[1])), (int(stop[0]), int(stop[1])))
