"""Where things lie in an OME-Zarr folder, as far as names and numbers tell."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from biounet.errors import OutputError
from biounet.geometry import Box

__all__ = ["FORMAT", "OURS", "VERSION", "check_same", "chunks_of", "default_chunks", "is_label", "is_whole", "root_of"]

OURS = "biounet"
"""The attribute under which a store says whether it is complete."""

FORMAT = {"0.4": 2, "0.5": 3}
VERSION = {2: "0.4", 3: "0.5"}
"""Version of OME-Zarr -> format of Zarr, and back."""

CHUNK = {"Z": 32, "Y": 256, "X": 256}
"""Pixels of a chunk along the spatial axes, where nothing else is asked for; 1 along the others."""


def root_of(path: Path) -> Path:
    """The outermost folder of the store that a path lies in.

    >>> root_of(Path("plates/a.zarr/labels/cells")).name
    'a.zarr'
    """
    stores = [folder for folder in (path, *path.parents) if folder.suffix.lower() == ".zarr"]
    return stores[-1] if stores else path


def is_label(path: Path) -> bool:
    """Whether a path is that of labels of an image.

    >>> is_label(Path("a.zarr/labels/cells")), is_label(Path("labels/a.zarr"))
    (True, False)
    """
    return path.parent.name == "labels" and root_of(path) != path


def default_chunks(axes: str, shape: Sequence[int], *, wanted: Sequence[int] | None = None) -> tuple[int, ...]:
    """Pixels per chunk: those wanted, or moderate ones, but never more than there are.

    >>> default_chunks("CYX", (2, 1000, 100))
    (1, 256, 100)
    """
    chunks = [CHUNK.get(axis, 1) for axis in axes] if wanted is None else wanted
    return tuple(max(1, min(chunk, size)) for chunk, size in zip(chunks, shape, strict=True))


def chunks_of(box: Box, size: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Numbers of the chunks that a region touches.

    >>> list(chunks_of(Box((0, 5), (4, 9)), (4, 4)))
    [(0, 1), (0, 2)]
    """
    edges = zip(box.start, box.stop, size, strict=True)
    return product(*(range(start // chunk, -(-stop // chunk)) for start, stop, chunk in edges))


def is_whole(box: Box, chunks: Sequence[int], shape: Sequence[int]) -> bool:
    """Whether a region consists of whole chunks, which may end where the image ends.

    >>> is_whole(Box((4,), (10,)), (4,), (10,)), is_whole(Box((4,), (9,)), (4,), (10,))
    (True, False)
    """
    ends = zip(box.start, box.stop, chunks, shape, strict=True)
    return not any(start % chunk or (stop % chunk and stop != size) for start, stop, chunk, size in ends)


def check_same(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Refuse to go on with an output of another kind.

    Raises
    ------
    OutputError
        It names the first difference.
    """
    for what, value in wanted.items():
        if found[what] != value:
            raise OutputError(
                f"{path} was begun with {what} {found[what]}, this run has {value}; give another name or --overwrite"
            )
