"""Contours of objects as regions of interest of ImageJ and Fiji, in one zip file."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from biounet.core.atomic_files import replacing
from biounet.core.errors import OutputError, need
from biounet.measurement.contours import outline_polygons

__all__ = ["write_rois"]


LARGEST = 32_767
"""Coordinates in a region of interest are numbers of 16 bits with a sign."""


def write_rois(path: Path, sections: Iterable[tuple[np.ndarray, dict[str, int]]], *, overwrite: bool = False) -> int:
    """Zip file with a polygon for each object, for the ROI Manager of ImageJ and Fiji, and the number of polygons.

    Parameters
    ----------
    path : Path
        ``rois.zip``, say.
    sections : labels (Y, X), integers, and where they stand: ``{"t": 3, "z": 0}``, from 0, or ``{}``
        Several sections of a volume, or frames of a movie.
    overwrite : bool

    Returns
    -------
    how many polygons there are

    Raises
    ------
    MissingExtraError
        If ``roifile`` is not installed.
    OutputError
        If the file exists or cannot be written, or an image is larger than ImageJ can point to.

    Notes
    -----
    Names are the labels, after the frame and section: ``t0003-00012``. Corners lie between pixels, as ImageJ has it, so
    the polygon covers exactly the pixels of the largest piece of the object, its holes filled. In a plain stack they
    stand on their slice, in a hyperstack on their slice and frame.
    """
    roifile = need("roifile")
    written = 0

    def polygons() -> Iterator[Any]:
        nonlocal written
        for labels, place in sections:
            if max(labels.shape) > LARGEST:
                raise OutputError(f"{path}: ImageJ points to at most {LARGEST} px, got {labels.shape}; crop the image")
            where = {"position": next(iter(place.values()))} if len(place) == 1 else place
            prefix = "".join(f"{axis}{index:04d}-" for axis, index in place.items())
            for label, corners in outline_polygons(labels).items():
                roi = roifile.ImagejRoi.frompoints(corners[:, ::-1], name=f"{prefix}{label:05d}", **where)
                roi.roitype = roifile.ROI_TYPE.POLYGON
                written += 1
                yield roi

    with replacing(path, overwrite=overwrite) as temporary:
        roifile.roiwrite(temporary, polygons(), mode="w")
    return written
