"""The process that learns: it reads orders, a line of JSON each, and writes what it does, a line of JSON each."""

import json
import math
import os
import queue
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from biounet.core.boxes import Box
from biounet.core.errors import BiounetError, OutputError, TrainingError
from biounet.core.json_file import parse_json
from biounet.core.text_file import Record, TextFile
from biounet.workspace.edit import Plane
from biounet.workspace.finish import FollowedRun, finish_run
from biounet.workspace.learner import Learner
from biounet.workspace.predictions import save_prediction
from biounet.workspace.project import Project
from biounet.workspace.trainer_process import PATIENCE

__all__ = ["Trainer", "main"]


FIRST, SOON = (25, 3.0), 8.0
"""Updates and seconds of learning before the first prediction; and the seconds after which it comes in any case."""

RESUMED = 200
"""Updates from which a network is worth a look at once, after a restart."""

EVERY = 5.0
"""Seconds between predictions of what is on the screen, at least; and three times what one takes."""

SAVE = 30.0
"""Seconds between checkpoints."""

ENOUGH = 240.0
"""Seconds after the last new label when learning rests."""

LINE = TextFile("order to the process that learns", TrainingError, "start biounet again")


class _Look(Record):
    """What is on the screen."""

    image: str
    plane: Plane
    box: tuple[int, int, int, int]


class _Order(Record):
    """A line of what shall be done."""

    look: _Look | None = None
    pause: bool | None = None
    settings: bool = False
    """Whether what labels mean has changed."""
    finish: float = 0.0
    """Minutes of a run that shall be made, if there are any."""
    stop: bool = False


class Trainer:
    """A learner that follows orders.

    Parameters
    ----------
    learner : Learner
    say : what is done with a message
    """

    def __init__(self, learner: Learner, out: TextIO) -> None:
        self._learner, self._out = learner, out
        self._orders: queue.Queue[_Order | None] = queue.Queue()
        self._look: _Look | None = None
        self._paused, self._told, self._problem = False, "", ""
        self._minutes, self._stopped, self._closed = 0.0, False, False
        self._learnt = self._idle_since = self._predicted = self._saved = 0.0
        self._needed, self._files, self._next = 0.0, 0, 0
        self._fresh = False
        """Whether what is on the screen has not been predicted."""

    def listen(self, source: TextIO) -> None:
        """Take in orders until there are no more, in a thread of its own; the process ends soon after that."""

        def read() -> None:
            try:
                for line in source:
                    self._orders.put(parse_json(line, _Order, LINE))
            finally:
                self._orders.put(None)
            time.sleep(PATIENCE)
            os._exit(1)  # nobody is left who would kill it

        threading.Thread(target=read, daemon=True).start()

    def say(self, event: str, **facts: Any) -> None:
        """Write a message; when there is nobody any more to read it, learning ends."""
        try:
            self._out.write(json.dumps({"event": event, **facts}) + "\n")
            self._out.flush()
        except BrokenPipeError:
            self._closed = True

    def run(self) -> None:
        """Learn until there are no more orders."""
        self.say("ready")
        while self._obey() and not self._closed:
            try:
                self._learner.project.check_there()
                self._turn()
                self._problem = ""
            except BiounetError as error:
                if str(error) != self._problem:
                    self._problem = str(error)
                    self.say("problem", text=self._problem)
                time.sleep(2)
        if self._learner.state is not None:
            with suppress(OutputError):  # the folder is gone or the disk is full, which was told
                self._learner.save()

    def _obey(self) -> bool:
        """Follow the orders that have come; return whether there will be more."""
        wait = 0.0
        while True:
            try:
                order = self._orders.get(timeout=wait) if wait else self._orders.get_nowait()
            except queue.Empty:
                return True
            if order is None:
                self._closed = True
                return False
            if order.look is not None:
                self._look, self._fresh = order.look, True
            if order.pause is not None:
                self._paused = order.pause
            if order.settings:
                self._learner.restart()
            if order.finish:
                self._minutes = order.finish
            self._stopped |= order.stop

    def _turn(self) -> None:
        """Make one step, or wait a little; predict when it is time."""
        if self._minutes:
            self._finish()
        learner, now = self._learner, time.monotonic()
        if learner.follow():
            self._idle_since, self._fresh = now, True
        why = learner.missing()
        waiting = learner.state is None or bool(why)
        if waiting and not learner.predicts:
            self._tell("waiting", f"{why[:1].upper()}{why[1:]}.")
            time.sleep(0.1)
            return
        resting = waiting or self._paused or now - self._idle_since > ENOUGH
        if resting:
            if waiting:
                self._tell("showing", f"This is what {learner.model} finds. To teach it, {why}.")
            else:
                self._tell("paused" if self._paused else "resting")
            time.sleep(0.1)
        else:
            self._tell("learning")
            learner.step()
            self._learnt += time.monotonic() - now
        self._predict_if_due(resting)
        if not resting and time.monotonic() - self._saved > SAVE:
            learner.save()
            self._saved = time.monotonic()

    def _finish(self) -> None:
        """Make an ordinary run of all that is labelled, and tell how far it is."""
        minutes, self._minutes, self._stopped = self._minutes, 0.0, False
        project = self._learner.project
        folder = project.runs.next_folder()

        def tell(share: float, left: float | None, text: str) -> None:
            self.say("run", share=min(round(share, 3), 0.999), left=left, text=text, name=folder.name)

        def stop() -> str:
            self._obey()
            return "biounet serve ended" if self._closed else "it was told to stop" if self._stopped else ""

        self._tell("finishing")
        tell(0.0, 60 * minutes, "images are read")
        monitor = FollowedRun(tell, stop)
        try:
            learner = self._learner
            whole = finish_run(project, folder, monitor, minutes=minutes, device=learner.device, init=learner.model)
        except BiounetError as error:
            self.say("run", share=1, name=folder.name, failed=str(error))
            return
        self.say("run", share=1, name=folder.name, finished=whole, lines=monitor.lines[-6:])

    def _predict_if_due(self, resting: bool) -> None:
        """Predict what is on the screen if it is time; after that, one other image."""
        now = time.monotonic()
        due = self._predicted + max(EVERY, 3 * self._needed)
        steps, seconds = FIRST
        early = (self._learner.steps < steps or self._learnt < seconds) and self._learnt < SOON
        if (
            self._look is None
            or (early and self._learner.steps < RESUMED and not self._learner.begins_trained)
            or (now < due and not self._fresh)
            or (resting and not self._fresh)
        ):
            return
        self._fresh = False
        look = self._look
        self._predict(look.image, look.plane, Box(look.box[:2], look.box[2:]))
        self._predicted = time.monotonic()
        self._needed = self._predicted - now
        if not math.isnan(self._learner.loss):
            self.say("step", step=self._learner.steps, loss=self._learner.loss, seconds=round(self._learnt, 1))
        if not resting:
            self._predict_another(look.image)

    def _predict(self, name: str, plane: Plane, box: Box) -> None:
        """Predict a region, write it into a file, and say so."""
        image = self._learner.project.by_name(name)
        found = self._learner.predict(image, plane, box)
        self._learner.project.check_there()
        self._files += 1
        path = self._learner.folder / "predictions" / f"{os.getpid()}-{self._files}.npz"
        save_prediction(path, found)
        self.say("prediction", file=path.name, **found.facts)

    def _predict_another(self, shown: str) -> None:
        """Predict the first plane of the next other small image, so that it can be told which one is doubtful."""
        images = self._learner.project.images
        for _ in images:
            self._next = (self._next + 1) % len(images)
            image = images[self._next]
            height, width = image.planes.size
            if image.name != shown and height * width <= 2**20 and not image.store.finished:
                self._predict(image.name, (0, 0), Box((0, 0), (height, width)))
                return

    def _tell(self, state: str, text: str = "") -> None:
        """Say what the process does, once."""
        if f"{state} {text}" != self._told:
            self._told = f"{state} {text}"
            self.say("state", state=state, text=text)


def main(arguments: list[str]) -> None:
    """Learn in a folder: ``FOLDER [MODEL]``; orders come from standard input."""
    out = sys.stdout
    sys.stdout = sys.stderr  # what libraries print is no message
    folder, *model = arguments
    learner = Learner(Project(Path(folder)), model[0] if model else None)
    trainer = Trainer(learner, out)
    trainer.listen(sys.stdin)
    trainer.run()


if __name__ == "__main__":
    main(sys.argv[1:])
