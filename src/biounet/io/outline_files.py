"""Names of label files that are no images: outlines of other programs, which `biounet convert` makes images of."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

__all__ = ["OUTLINES", "as_image"]


OUTLINES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "ImageJ ROI": (".zip", ".roi"),
        "QuPath GeoJSON": (".geojson",),
        "COCO": (".json",),
        "Cellpose": ("_seg.npy",),
    }
)
"""Name of a label format, see `biounet.io.label_formats.LABEL_FORMATS` -> ends of the names of its files."""


def as_image(path: Path) -> str:
    """The command that makes a label image of outlines; empty if the name is not that of such a file.

    >>> as_image(Path("cells.geojson"))
    'labels of QuPath GeoJSON become an image by: biounet convert cells.geojson --to tif --out cells.tif --image IMAGE'
    >>> as_image(Path("cells.tif"))
    ''
    """
    for name, ends in OUTLINES.items():
        for end in ends:
            if path.name.lower().endswith(end):
                command = ["biounet", "convert", str(path), "--to", "tif", "--out", f"{path.name[: -len(end)]}.tif"]
                return f"labels of {name} become an image by: {shlex.join(command)} --image IMAGE"
    return ""
