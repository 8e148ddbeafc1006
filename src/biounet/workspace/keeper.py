"""Work beside the hand: label files are written, changes of other programs noticed, large images made small."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from biounet.core.errors import BiounetError, ImageError
from biounet.workspace.edit import Plane
from biounet.workspace.label_store import Applied
from biounet.workspace.project import Project, ProjectImage

__all__ = ["Keeper", "labels_event"]


QUIET = 1.5
"""Seconds after the last edit of an image when its label file is written."""

LARGE, QUIET_OF_LARGE = 2**24, 20.0
"""Pixels of an image whose file takes long to write, and the seconds for those."""

AGAIN = 10.0
"""Seconds until a label file is tried again that could not be written."""

LOOK = 2.0
"""Seconds between looks at the files of images and labels."""


def labels_event(project: Project, image: ProjectImage, applied: Applied) -> dict[str, Any]:
    """What everybody who shows an image must know after its labels were changed."""
    store = image.store
    return {
        "event": "labels",
        "image": image.number,
        "version": applied.version,
        "plane": list(applied.plane),
        "tiles": [list(tile) for tile in applied.tiles],
        "kind": applied.kind,
        "number": applied.number,
        "finished": [list(region) for region in store.finished],
        "undo": store.can_undo,
        "redo": store.can_redo,
        "summary": project.summary(image),
    }


class Keeper:
    """Thread that writes label files when the hand rests.

    Parameters
    ----------
    project : Project
    tell : what is done with an event
    """

    def __init__(self, project: Project, tell: Callable[[Mapping[str, Any]], None]) -> None:
        self._project, self._tell = project, tell
        self._changed: dict[int, float] = {}
        self._shrinking: set[tuple[int, Plane]] = set()
        self._gone: set[int] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def note(self, image: ProjectImage) -> None:
        """Take note that labels of an image have changed."""
        self._changed[image.number] = time.monotonic()

    def shrink(self, image: ProjectImage, plane: Plane) -> None:
        """Make smaller copies of a plane of a large image, in a thread of its own."""
        if (image.number, plane) in self._shrinking:
            return
        self._shrinking.add((image.number, plane))

        def make() -> None:
            try:
                for share in image.planes.pyramid(plane).make():
                    self._tell({"event": "levels", "image": image.number, "share": share})
                    if self._stop.is_set():
                        return
            except BiounetError as error:
                self._tell({"event": "problem", "text": str(error)})

        threading.Thread(target=make, daemon=True).start()

    def write_all(self) -> None:
        """Write all label files that are behind."""
        for image in self._opened():
            self._write(image)

    def close(self) -> None:
        """Write what is not written, and end."""
        self._stop.set()
        self._thread.join()
        self.write_all()

    def _opened(self) -> list[ProjectImage]:
        """Images whose labels were opened."""
        return [image for image in self._project.images if "store" in image.__dict__]

    def _run(self) -> None:
        with suppress(BiounetError, OSError):  # it is told when somebody looks at the image
            self._project.images[0].planes.needs_pyramid((0, 0))  # loads the library of its format, and opens it
        looked = time.monotonic()
        while not self._stop.wait(0.25):
            now = time.monotonic()
            for number, since in list(self._changed.items()):
                image = self._project.images[number]
                height, width = image.planes.size
                if now - since > (QUIET_OF_LARGE if height * width > LARGE else QUIET):
                    self._changed.pop(number, None)
                    self._write(image)
            if now - looked > LOOK:
                looked = now
                for image in self._opened():
                    self._adopt(image)
                    self._look_for(image)

    def _write(self, image: ProjectImage) -> None:
        """Write the label file of an image, if it is behind."""
        store = image.store
        self._adopt(image)
        if store.version == 0 or store.written == store.version:
            return
        try:
            self._project.check_there()
            self._project.keep_original(image)
            store.write_file(lock=image.lock)
        except (BiounetError, OSError) as error:
            self._tell({"event": "problem", "text": f"{error}; what was drawn is safe in {store.journal.path}"})
            self._changed[image.number] = time.monotonic() + AGAIN
            return
        self._tell({"event": "saved", "image": image.number, "version": store.written})

    def _look_for(self, image: ProjectImage) -> None:
        """Tell once if an image was removed, which may be on a screen still."""
        try:
            image.planes.check_there()
            self._gone.discard(image.number)
        except ImageError as error:
            if image.number not in self._gone:
                self._gone.add(image.number)
                self._tell({"event": "problem", "text": f"{error}. What you drew in it is kept."})

    def _adopt(self, image: ProjectImage) -> None:
        """Take over what another program wrote into the label file."""
        store = image.store
        try:
            with image.lock:
                for applied in store.adopt() if store.file_is_foreign else ():
                    name = store.file.path.name
                    text = f"{name} was changed by another program; its labels are shown, undo brings back yours"
                    self._tell({"event": "problem", "text": text})
                    self._tell(labels_event(self._project, image, applied))
        except (BiounetError, OSError) as error:
            self._tell({"event": "problem", "text": str(error)})
