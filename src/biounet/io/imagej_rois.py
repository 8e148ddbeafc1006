"""Regions of interest of ImageJ and Fiji: one file .roi, or a zip file of them as the ROI Manager saves it."""

import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.atomic_files import replacing
from biounet.core.errors import LabelError, OutputError, need
from biounet.core.labels import IGNORE
from biounet.core.outlines import Polygon
from biounet.io.image import Image
from biounet.io.pixels import reading
from biounet.io.shapes import Grid, Shape, finite, numbered, paint, sections_of, shapes_of

__all__ = ["read_rois", "write_rois", "write_sections"]


LARGEST = 32_767
"""Coordinates in a region of interest are numbers of 16 bits with a sign."""

MOST_ENTRIES, MOST_OF_ONE, MOST_OF_ALL = 1_000_000, 2**24, 2**29
"""Regions in a zip file, and bytes of one and of all of them, that are read."""

CELLPOSE = "_rois.zip"
"""End of the names of the files that Cellpose writes."""

KIND = "regions of interest of ImageJ"


def write_rois(
    path: Path, labels: Image, /, *, overwrite: bool = False, classes: Sequence[str] = (), source: str = ""
) -> None:
    """Write a zip file with a region for each object, which has no class; see `write_sections`."""
    write_sections(path, sections_of(labels, path), overwrite=overwrite)


def write_sections(
    path: Path, sections: Iterable[tuple[np.ndarray, Mapping[str, int]]], *, overwrite: bool = False
) -> None:
    """Write a zip file with a region for each object, for the ROI Manager of ImageJ and Fiji.

    Parameters
    ----------
    path : Path
        ``rois.zip``, say.
    sections : labels (Y, X), integers, and where they stand: ``{"T": 3, "Z": 0}``, from 0, or ``{}``
        Several sections of a volume, or frames of a movie.
    overwrite : bool

    Raises
    ------
    MissingExtraError
        If ``roifile`` is not installed.
    OutputError
        If the file exists or cannot be written, or an image is larger than ImageJ can point to.

    Notes
    -----
    Names are the labels, after the frame and section: ``t0003-00012``; unknown pixels are called ``ignore``. Corners
    lie between pixels, as ImageJ has it, so that a region covers exactly the pixels of the object. An object in one
    piece without holes is a polygon, any other a composite. In a plain stack regions stand on their slice, in a
    hyperstack on their slice and frame.
    """
    roifile = need("roifile")

    def rois() -> Iterator[Any]:
        for plane, place in sections:
            height, width = plane.shape
            if max(height, width) > LARGEST:
                size = f"{height} x {width}"
                raise OutputError(f"{path}: ImageJ points to at most {LARGEST} px, got {size}; crop the image")
            yield from (_roi(roifile, shape) for shape in shapes_of(plane, place))

    with replacing(path, overwrite=overwrite) as temporary:
        roifile.roiwrite(temporary, rois(), mode="w")


def read_rois(
    path: Path, /, *, grid: Grid | None = None, notes: list[str] | None = None, classes: Sequence[str] = ()
) -> Image:
    """Labels of the regions of interest in a file .roi or .zip.

    Parameters
    ----------
    path : Path
    grid : Grid
        Of the image that they were drawn on: the file does not say its size.
    notes : list that is added to
        What a label image cannot hold, such as lines.
    classes : not used, since regions have no class

    Returns
    -------
    Image, int32
        Numbers are those that all names end in, else 1, 2, ... in the order of the file.

    Raises
    ------
    LabelError
        If there is no grid, or a region does not lie in it.
    ImageError
        If the file is damaged, or far larger than regions are.
    MissingExtraError
        If ``roifile`` is not installed.

    Notes
    -----
    Cellpose's files (``NAME_rois.zip``) have their corners in the centres of pixels; the pixels of the outline are
    painted, too.
    """
    notes = [] if notes is None else notes
    roifile = need("roifile")
    if grid is None:
        raise LabelError(f"{path}: {KIND} do not say how large their image is; give it by --image")
    with reading(path, KIND):
        rois = [roifile.ImagejRoi.frombytes(content) for content in _contents(path)]
    centred = path.name.lower().endswith(CELLPOSE) and _are_of_cellpose(roifile, rois)
    if centred:
        notes.append(f"{path.name}: corners are taken for centres of pixels, as Cellpose writes them")
    areas = [(roi, polygon) for roi in rois if (polygon := _polygon(roifile, roi, path)) is not None]
    if len(areas) < len(rois):
        notes.append(f"{path.name}: {len(rois) - len(areas)} of {len(rois)} regions have no area and are left out")
    places = [_place(roi, grid) for roi, _ in areas]
    numbers = numbered([roi.name for roi, _ in areas], places)
    shapes = (
        Shape(_around_centres(polygon) if centred else [polygon], number, place)
        for (_, polygon), number, place in zip(areas, numbers, places, strict=True)
    )
    return paint(shapes, grid, path, notes)


def _roi(roifile: Any, shape: Shape) -> Any:
    """The region of an object in a section."""
    where = {axis.lower(): index for axis, index in shape.place.items()}
    prefix = "".join(f"{axis}{index:04d}-" for axis, index in where.items())
    name = prefix + ("ignore" if shape.number == IGNORE else f"{shape.number:05d}")
    place = {"position": next(iter(where.values()))} if len(where) == 1 else where
    rings = [ring[:, ::-1] for polygon in shape.polygons for ring in polygon]
    roi = roifile.ImagejRoi.frompoints(np.concatenate(rings), name=name, **place)
    if len(rings) == 1:
        roi.roitype = roifile.ROI_TYPE.POLYGON
        return roi
    roi.roitype, roi.integer_coordinates, roi.n_coordinates = roifile.ROI_TYPE.RECT, None, 0
    roi.right, roi.bottom = roi.right - 1, roi.bottom - 1
    roi.multi_coordinates = np.concatenate([_path(ring) for ring in rings])
    roi.shape_roi_size = len(roi.multi_coordinates)
    return roi


def _path(ring: NDArray[Any]) -> NDArray[np.float32]:
    """A ring as a path: move to (0), line to (1), ..., close (4)."""
    steps = np.ones((len(ring), 3), np.float32)
    steps[0, 0], steps[:, 1:] = 0, ring
    return np.append(steps.ravel(), np.float32(4))


def _contents(path: Path) -> Iterator[bytes]:
    """The bytes of each region; a file that would fill the memory is refused."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as stream:
            yield stream.read(MOST_OF_ONE)
        return
    with zipfile.ZipFile(path) as archive:
        entries = [entry for entry in archive.infolist() if entry.filename.lower().endswith(".roi")]
        largest, total = max((entry.file_size for entry in entries), default=0), sum(e.file_size for e in entries)
        if archive.infolist() and not entries:
            raise LabelError(f"{path} holds no .roi; save the ROI Manager's list into it (More > Save)")
        if len(entries) > MOST_ENTRIES or largest > MOST_OF_ONE or total > MOST_OF_ALL:
            raise LabelError(
                f"{path} would unpack to {len(entries)} regions of {total >> 20} MiB, up to {largest >> 20} MiB each; "
                f"at most {MOST_OF_ALL >> 20} and {MOST_OF_ONE >> 20} MiB are read: save fewer regions into a file"
            )
        for entry in entries:
            with archive.open(entry) as stream:
                yield stream.read(MOST_OF_ONE)


def _polygon(roifile: Any, roi: Any, path: Path) -> Polygon | None:
    """Rings of a region, Y and X; ``None`` if it has no area."""
    kinds = roifile.ROI_TYPE
    if roi.roitype == kinds.OVAL or (roi.roitype == kinds.FREEHAND and roi.subtype == roifile.ROI_SUBTYPE.ELLIPSE):
        rings = [_ellipse(roi) if roi.roitype == kinds.OVAL else roi.coordinates()]
    elif roi.roitype in (kinds.POLYGON, kinds.FREEHAND, kinds.TRACED, kinds.RECT):
        with reading(path, KIND):
            rings = roi.coordinates(multi=True)
    else:
        return None
    rings = [finite(np.asarray(ring, float)[:, ::-1], path) for ring in rings if len(ring) > 2]
    return rings or None


def _ellipse(roi: Any) -> NDArray[np.float64]:
    """X and Y of so many points of an ellipse that it has the same pixels."""
    box = np.array([[roi.left, roi.top], [roi.right, roi.bottom]], float)
    if roi.subpixelrect:
        box = np.array([[roi.xd, roi.yd], [roi.xd + roi.widthd, roi.yd + roi.heightd]])
    angles = np.linspace(0, 2 * np.pi, min(64 + 16 * int(np.abs(np.nan_to_num(box[1] - box[0])).max()), 2**20))
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points: NDArray[np.float64] = (box[0] + box[1]) / 2 + (box[1] - box[0]) / 2 * circle
    return points


def _place(roi: Any, grid: Grid) -> dict[str, int]:
    """Section and frame of a region; ImageJ counts from 1, and 0 means all of them."""
    told = {"Z": roi.z_position, "T": roi.t_position}
    place = {axis: position - 1 for axis, position in told.items() if position > 0}
    stack = grid.axes[:-2]
    if not place and roi.position > 0 and len(stack) < 2:
        place = {stack or "Z": roi.position - 1}
    return place


def _are_of_cellpose(roifile: Any, rois: list[Any]) -> bool:
    """Whether regions are as Cellpose writes them: freehand, in whole pixels, called 1, 2, ...."""
    return all(
        roi.roitype == roifile.ROI_TYPE.FREEHAND and roi.subpixel_coordinates is None and roi.name == str(number)
        for number, roi in enumerate(rois, start=1)
    )


def _around_centres(polygon: Polygon) -> list[Polygon]:
    """The area inside of centres of pixels, and these pixels."""
    square = np.array([[0, 0], [0, 1], [1, 1], [1, 0]])
    return [[ring + 0.5 for ring in polygon], *([corner + square] for ring in polygon for corner in ring)]
