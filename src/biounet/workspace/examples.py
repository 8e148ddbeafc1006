"""What there is to learn from: labelled regions of all images, normalised, as training takes them."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from biounet.config.tasks import TASKS
from biounet.core.boxes import Box, covering_boxes
from biounet.data.annotated_image import AnnotatedImage
from biounet.data.normalize import Normalization
from biounet.data.training_set import TrainingSet
from biounet.io import fit_channels
from biounet.workspace.edit import Plane
from biounet.workspace.label_tiles import SIDE
from biounet.workspace.project import Project, ProjectImage

__all__ = ["Examples", "Place", "labelled_boxes"]


WHOLE = 2**20
"""Pixels of a plane that is taken whole; of larger ones the parts with labels."""

MOST = 2**27
"""Pixels of all channels that are learnt from, about; of more labels those that were drawn here come first."""

MARGIN = 64
"""Pixels of image around such a part, since a network looks at the surroundings of what it learns."""

Place = tuple[str, Plane, Box]
"""Name of an image, plane, and region."""


def labelled_boxes(image: ProjectImage, plane: Plane) -> list[Box]:
    """Regions of a plane that hold all its labels; the whole plane if it is small, none if nothing is labelled.

    Parameters
    ----------
    image : ProjectImage
    plane : Plane
    """
    tiles, size = image.store.plane(plane), image.planes.size
    mask = np.zeros([-(-pixels // SIDE) for pixels in size], bool)
    for tile in tiles.all_tiles():
        mask[tile] = bool((tiles.tile(tile) >= 0).any())
    if not mask.any():
        return []
    if size[0] * size[1] <= WHOLE:
        return [Box((0, 0), size)]
    boxes = covering_boxes(mask, (0.5, 0.5))
    pixels = [Box((a * SIDE, b * SIDE), (c * SIDE, d * SIDE)) for (a, b), (c, d) in ((x.start, x.stop) for x in boxes)]
    return [Box(box.start, tuple(map(min, box.stop, size))).grown((MARGIN, MARGIN), size) for box in pixels]


@dataclass
class Examples:
    """Labelled regions of a project, kept as long as their labels stay the same.

    Parameters
    ----------
    project : Project
    normalization : Normalization
    target : what the network learns, of `biounet.config.tasks.TARGETS_OF_TASKS`
    """

    project: Project
    normalization: Normalization
    target: str
    _known: dict[Place, tuple[int, AnnotatedImage]] = field(default_factory=dict, init=False)
    _measured: dict[tuple[str, Plane], Normalization] = field(default_factory=dict, init=False)
    _boxes: dict[tuple[str, Plane], tuple[int, list[Box]]] = field(default_factory=dict, init=False)

    def measured(self, image: ProjectImage, plane: Plane) -> Normalization:
        """Normalisation with the statistics of a plane."""
        key = image.name, plane
        if key not in self._measured:
            self._measured[key] = image.planes.measure(plane, self.normalization)
        return self._measured[key]

    def normalised(self, image: ProjectImage, plane: Plane, box: Box) -> NDArray[np.float32]:
        """Normalised pixels of a region, (C, Y, X)."""
        pixels = self.measured(image, plane).apply(image.planes.read(plane, box))
        channels = max(each.planes.sizes["C"] for each in self.project.touched or [image])
        return fit_channels(pixels, channels, image.planes.path.name)

    def collect(self) -> list[AnnotatedImage]:
        """Labelled regions as they are now; those whose labels are the same are the same objects as before."""
        known: dict[Place, tuple[int, AnnotatedImage]] = {}
        pixels = 0
        for image in sorted(self.project.touched, key=lambda each: each.store.version == 0):  # labels from before last
            if pixels > MOST:
                break
            image.store.refresh()
            for plane in image.store.file.planes:
                for box in self._boxes_of(image, plane):
                    place = image.name, plane, box
                    known[place] = self._example(image, plane, box)
                    pixels += box.size * image.planes.sizes["C"]
        self._known = known
        return [example for _, example in known.values()]

    def training_set(self, *, held_out: float = 0.0) -> TrainingSet:
        """The labelled regions, of which some are held out.

        Parameters
        ----------
        held_out : share of the images, in [0, 1), or of the regions where there is one image
            At least one where there are two or more, unless the share is 0.
        """
        examples = self.collect()
        groups = [name for name, _, _ in self._known]
        names = list(dict.fromkeys(groups))
        if len(names) == 1:
            groups = names = [str(number) for number in range(len(examples))]
        count = min(max(1, round(len(names) * held_out)), len(names) - 1) if held_out and names else 0
        held = {names[int((index + 0.5) * len(names) / count)] for index in range(count)}
        parts = [
            [each for each, group in zip(examples, groups, strict=True) if (group in held) == wanted]
            for wanted in (False, True)
        ]
        return TrainingSet(parts[0], parts[1], TASKS[self.project.settings.kind].name, [], self.target)

    def _boxes_of(self, image: ProjectImage, plane: Plane) -> list[Box]:
        key, version = (image.name, plane), image.store.version
        if self._boxes.get(key, (-1,))[0] != version:
            self._boxes[key] = version, labelled_boxes(image, plane)
        return self._boxes[key][1]

    def _example(self, image: ProjectImage, plane: Plane, box: Box) -> tuple[int, AnnotatedImage]:
        """One region; the one from before if no label in it has changed."""
        before = self._known.get((image.name, plane, box))
        if before is not None and before[0] == image.store.version:
            return before
        labels = image.store.plane(plane).read(box)
        if before is not None and np.array_equal(before[1].labels, labels):
            return image.store.version, before[1]
        pixels = before[1].image if before is not None else self.normalised(image, plane, box)
        name = "".join(_words(image, plane, box))
        spacing = None if image.planes.spacing is None else image.planes.spacing[-2:]
        return image.store.version, AnnotatedImage.of(name, pixels, labels, target=self.target, spacing=spacing)


def _words(image: ProjectImage, plane: Plane, box: Box) -> Iterator[str]:
    """Name of a region: the image, the plane if there are several, the place if it is not the whole plane."""
    yield image.name
    for axis, at in zip("TZ", plane, strict=True):
        if image.planes.sizes[axis] > 1:
            yield f" {axis.lower()}{at}"
    if box.shape != image.planes.size:
        yield f" from ({box.start[0]}, {box.start[1]})"
