"""Where results go: names for them, and files that are written tile by tile."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from biounet.errors import ImageError, OutputError
from biounet.geometry import Box
from biounet.images import FORMATS, create, image_files
from biounet.jobs import OpenJob, Task
from biounet.postprocess import label_objects

__all__ = ["Result", "name_outputs"]


def name_outputs(inputs: Sequence[Path], out: Path) -> list[tuple[Path, Path]]:
    """Pair every image with the file that its result goes to.

    Parameters
    ----------
    inputs : images, or folders of images
    out : Path
        A file if its suffix is that of an image, else a folder in which results have the names of their images.

    Raises
    ------
    ImageError
        If a folder holds no images.
    OutputError
        If several results would have one name, or a result that of an image.

    Examples
    --------
    >>> [target.as_posix() for _, target in name_outputs([Path("a.png"), Path("b.tif")], Path("results"))]
    ['results/a.tif', 'results/b.tif']
    """
    images = [path for given in inputs for path in _images_in(given)]
    if out.suffix.lower() in FORMATS:
        if len(images) > 1:
            raise OutputError(f"{out} is one file, there are {len(images)} images; give a folder as --out")
        pairs = [(images[0], out)]
    else:
        pairs = [(path, out / f"{path.stem.removesuffix('.ome')}{_suffix(path)}") for path in images]
    taken: dict[Path, Path] = {}
    for path, target in pairs:
        if target in taken:
            raise OutputError(f"{taken[target]} and {path} would both become {target}; predict them into two folders")
        if target.resolve() in {image.resolve() for image in images}:
            raise OutputError(f"{target} is an image to predict; choose another --out")
        taken[target] = path
    return pairs


def _images_in(given: Path) -> list[Path]:
    """The images that an input stands for: itself, or those in a folder."""
    if not given.is_dir() or given.suffix.lower() in FORMATS:
        return [given]
    found = image_files(given)
    if not found:
        raise ImageError(f"{given} holds no images; give files or folders of {', '.join(FORMATS)}")
    return list(found)


def _suffix(path: Path) -> str:
    """Stores stay stores, all else becomes TIFF."""
    return ".zarr" if path.suffix.lower() == ".zarr" else ".tif"


class Result:
    """The result of a job on its way into a file.

    Parameters
    ----------
    job : OpenJob, cut into tiles
    path : Path
    overwrite : bool

    Raises
    ------
    OutputError
        If the file exists, cannot be written, or its format cannot hold such a result.
    """

    def __init__(self, job: OpenJob, path: Path, *, overwrite: bool = False) -> None:
        self._job = job
        self._objects = job.save_objects
        if path.suffix.lower() == ".png" and (job.axes != "YX" or job.job.save == "probabilities"):
            raise OutputError(
                f"{path}: PNG holds labels of one section, not {job.job.save} {job.axes}; save it as .tif"
            )
        self._output = create(
            path,
            shape=job.shape,
            dtype=np.uint32 if self._objects else job.dtype,
            axes=job.axes,
            spacing=job.image.spacing,
            overwrite=overwrite,
        )
        self._mask: NDArray[Any] = np.zeros(0)

    def missing(self, tasks: Iterable[Task]) -> Iterator[Task]:
        """Tasks whose pixels are not in the file."""
        return iter(tasks)

    def store(self, task: Task, pixels: NDArray[Any]) -> None:
        """Put the pixels (C, *spatial) of a task where they belong."""
        box = self._job.tile(task).output
        if self._objects:
            self._mask[box.slices] = pixels[0]
        else:
            self._write(task.frame, box, pixels)

    def rounds(self) -> Iterator[Sequence[int]]:
        """Frames to compute together; what follows from a whole frame is done when the next are asked for."""
        frames = range(len(self._job.frames))
        if not self._objects:
            yield frames
            return
        self._mask = np.zeros(self._job.tiles.shape, bool)
        for frame in frames:
            yield [frame]
            objects = label_objects(self._mask)
            self._write(frame, Box((0,) * objects.ndim, objects.shape), objects[np.newaxis])

    def _write(self, frame: int, box: Box, pixels: NDArray[Any]) -> None:
        full = self._job.frames[frame].place(self._output.axes, box, len(pixels))
        self._output.write(full, np.ascontiguousarray(pixels).reshape(full.shape))

    def __enter__(self) -> Self:
        self._output.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self._output.__exit__(kind, *error)
