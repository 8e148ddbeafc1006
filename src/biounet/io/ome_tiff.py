"""OME-TIFF: images that the OME-XML of a file names, with their planes, which may lie in other files beside it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile

from biounet.core.errors import ImageError
from biounet.io.selection import Selection
from biounet.io.tiff_stack import PageStack, Summary, choose
from biounet.io.units import micrometres

__all__ = ["COMPANION", "OmeImage", "files_beside", "open_ome", "parse_ome", "parts_of_others", "read_companion"]


COMPANION = ".companion.ome"
"""End of the name of a file of OME-XML that describes TIFF files beside it."""


@dataclass(frozen=True)
class Block:
    """Planes of an image that follow each other in one file.

    Parameters
    ----------
    first : number of the first plane in the image
    page : number of its page in the file
    count : of the planes; ``None`` is all pages of the file
    name : of the file; empty for the file that holds the OME-XML
    uuid : of the file
    """

    first: int
    page: int
    count: int | None
    name: str
    uuid: str

    def lies_in(self, path: Path, uuid: str) -> bool:
        """Whether the planes are in the file at `path`, which calls itself `uuid` and may have been renamed."""
        return not self.name or (bool(uuid) and self.uuid == uuid) or self.name.lower() == path.name.lower()


@dataclass(frozen=True)
class OmeImage:
    """An image as OME-XML describes it.

    Parameters
    ----------
    name : str
    axes : of its planes, slowest first, e.g. ``TCZ``
    counts : planes along each of these
    plane : rows and columns
    samples : colours per pixel
    spacing : micrometres per pixel by axis; ``None`` where it is not told
    blocks : where the planes are
    """

    name: str
    axes: str
    counts: tuple[int, ...]
    plane: tuple[int, int]
    samples: int
    spacing: Mapping[str, float | None]
    blocks: tuple[Block, ...]


def parse_ome(xml: str) -> tuple[str, list[OmeImage]]:
    """Read OME-XML.

    Returns
    -------
    str
        What the file that holds the XML calls itself; empty if it does not tell.
    list of OmeImage

    Examples
    --------
    >>> pixels = 'DimensionOrder="XYZCT" SizeX="4" SizeY="3" SizeZ="5" SizeC="1" SizeT="1"'
    >>> _, [image] = parse_ome(f'<OME><Image Name="a"><Pixels {pixels}><TiffData/></Pixels></Image></OME>')
    >>> image.axes, image.counts, image.plane
    ('TCZ', (1, 1, 5), (3, 4))
    """
    root: Any = ElementTree.fromstring(xml)
    found = [(image, image.find("{*}Pixels")) for image in root.findall("{*}Image")]
    return root.get("UUID", ""), [_image(image, pixels) for image, pixels in found if pixels is not None]


def read_companion(path: Path, xml: str) -> tuple[str, str] | None:
    """Find the OME-XML of a file whose own says only where the metadata lie.

    Parameters
    ----------
    path : of the TIFF file
    xml : of it

    Returns
    -------
    What the TIFF file calls itself, and the XML; ``None`` if its own XML is all there is

    Raises
    ------
    ImageError
        If the other file is not there.
    """
    told: Any = ElementTree.fromstring(xml).find("{*}BinaryOnly")
    if told is None:
        return None
    other = beside(path.parent, told.get("MetadataFile", ""))
    if other is None:
        raise ImageError(
            f"{path.name}: its axes are described in {told.get('MetadataFile')}, which is not beside it; copy it there"
        )
    if other.name.lower().endswith(".ome"):
        return told.get("UUID", ""), other.read_text(encoding="utf-8")
    with tifffile.TiffFile(other) as file:
        return told.get("UUID", ""), str(file.ome_metadata)


def open_ome(path: Path, xml: str, selection: Selection, *, uuid: str | None = None) -> PageStack:
    """Find the pages of an image.

    Parameters
    ----------
    path : Path
        A TIFF file, or a file of OME-XML alone.
    xml : that describes it
    selection : Selection
        Without a series, the image of which planes lie in the file.
    uuid : what the TIFF file calls itself, if its metadata lie elsewhere

    Raises
    ------
    ImageError
        If there are several images to choose from, or planes are missing.
    """
    own, images = parse_ome(xml)
    own = own if uuid is None else uuid
    here = [any(block.lies_in(path, own) for block in image.blocks) for image in images]
    summaries = [Summary(image.name, _shape(image)) for image in images]
    number, note = choose(summaries, selection, path.name, here=here if any(here) else None)
    image = images[number]
    pages = _find_pages(image, path, own, selection.level)
    keyframe = next(page.keyframe for page in pages)
    if keyframe.shaped[2:4] != image.plane and not selection.level:
        raise ImageError(f"{path.name}: pages are not of the size that its metadata tell; save it by ImageJ")
    counted = [(axis, count) for axis, count in zip(image.axes, image.counts, strict=True) if count > 1]
    axes = "".join(axis for axis, _ in counted) + keyframe.axes
    shape = (*(count for _, count in counted), *keyframe.shape)
    scale = dict(zip("YX", np.divide(image.plane, keyframe.shaped[2:4]).tolist(), strict=True))
    return PageStack(pages, keyframe, axes, shape, None, image.spacing, scale, note)


def files_beside(path: Path) -> list[Path]:
    """The other files that hold planes or metadata of the images in an OME-TIFF; none if it cannot be read."""
    try:
        if path.name.lower().endswith(COMPANION):
            own, (uuid, images) = "", parse_ome(path.read_text(encoding="utf-8"))
        else:
            with tifffile.TiffFile(path) as file:
                own = file.ome_metadata or ""
            told, described = read_companion(path, own) or (None, own)
            uuid, images = parse_ome(described)
            uuid = uuid if told is None else told
        metadata = ElementTree.fromstring(own).find("{*}BinaryOnly") if own else None
    except Exception:  # damaged files raise errors of every type; whoever opens it says what is wrong
        return []
    named = [] if metadata is None else [metadata.get("MetadataFile", "")]
    here = [image for image in images if any(block.lies_in(path, uuid) for block in image.blocks)] or images
    named += [block.name for image in here for block in image.blocks if not block.lies_in(path, uuid)]
    found = {beside(path.parent, name) for name in dict.fromkeys(named)} - {None, path}
    return sorted(file for file in found if file is not None)


def parts_of_others(files: Iterable[Path]) -> set[Path]:
    """The files among these that hold planes of the image that an earlier one opens, such as one file per section.

    Only files called ``.ome.tif`` or ``.ome.tiff`` are looked into.
    """
    parts: set[Path] = set()
    for file in files:
        if file not in parts and file.name.lower().endswith((".ome.tif", ".ome.tiff")):
            parts.update(files_beside(file))
    return parts


def beside(folder: Path, name: str) -> Path | None:
    """The file of a name in a folder, in upper or lower case; ``None`` if there is none."""
    if name and (folder / name).is_file():
        return folder / name
    return next((path for path in sorted(folder.iterdir()) if path.name.lower() == name.lower()), None)


def _image(image: Any, pixels: Any) -> OmeImage:
    """One image of OME-XML."""
    samples = max((int(each.get("SamplesPerPixel", 1)) for each in pixels.findall("{*}Channel")), default=1)
    axes = pixels.get("DimensionOrder")[:1:-1]
    sizes = {axis: int(pixels.get(f"Size{axis}")) for axis in "TCZYX"}
    sizes["C"] = max(1, sizes["C"] // samples)
    counts = tuple(sizes[axis] for axis in axes)
    blocks = [_block(data, axes, counts) for data in pixels.findall("{*}TiffData")]
    spacing: dict[str, float | None] = {}
    for axis in "ZYX":
        unit = micrometres(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        size = pixels.get(f"PhysicalSize{axis}")
        spacing[axis] = float(size) * unit if size is not None and unit is not None else None
    whole = (Block(0, 0, None, "", ""),)
    return OmeImage(
        image.get("Name", ""),
        axes,
        counts,
        (sizes["Y"], sizes["X"]),
        samples,
        spacing,
        tuple(filter(None, blocks)) or whole,
    )


def _block(data: Any, axes: str, counts: Sequence[int]) -> Block | None:
    """Planes that an element TiffData places; ``None`` where it points outside of the image."""
    first = [int(data.get(f"First{axis}", 0)) for axis in axes]
    if any(index >= count for index, count in zip(first, counts, strict=True)):
        return None
    number = 0
    for index, count in zip(first, counts, strict=True):
        number = number * count + index
    told = data.get("PlaneCount", data.get("NumPlanes", "1" if "IFD" in data.attrib else None))
    uuid = data.find("{*}UUID")
    name, text = ("", "") if uuid is None else (uuid.get("FileName", ""), uuid.text or "")
    return Block(number, int(data.get("IFD", 0)), None if told is None else int(told), name, text)


def _shape(image: OmeImage) -> tuple[int, ...]:
    """Pixels along all axes of more than one."""
    return (*(count for count in image.counts if count > 1), *image.plane)


def _find_pages(image: OmeImage, path: Path, uuid: str, level: int) -> list[Any]:
    """Find all planes of an image in the files that hold them, in their order.

    Raises
    ------
    ImageError
        If planes or files are missing.
    """
    planes = prod(image.counts)
    blocks: dict[Path | str, list[Block]] = defaultdict(list)
    for block in image.blocks:
        blocks[_file_of(block, path, uuid)].append(block)
    found: dict[int, Any] = {}
    for place, inside in blocks.items():
        if isinstance(place, Path):
            with tifffile.TiffFile(place) as file:
                found |= _load(file, inside, planes, level)
    missing = planes - len(found)
    if missing:
        lacking = sorted({place for place in blocks if isinstance(place, str)})
        raise ImageError(f"{path.name}: {missing} of {planes} planes are missing{_explain_missing(lacking, found)}")
    first = next(iter(found.values())).keyframe
    if any(page.keyframe.hash != first.hash for page in found.values()):
        raise ImageError(f"{path.name}: its files hold pages of different sizes or types; save it as a single file")
    return [found[number] for number in range(planes)]


def _file_of(block: Block, path: Path, uuid: str) -> Path | str:
    """The file that holds a block, or its name where it is not there."""
    is_tiff = not path.name.lower().endswith(".ome")
    if is_tiff and block.lies_in(path, uuid):
        return path
    return beside(path.parent, block.name) or block.name


def _explain_missing(files: Sequence[str], found: Mapping[int, Any]) -> str:
    """Say why planes are missing, and what to do."""
    if not files:
        return "; the recording was stopped or the copy is cut: copy it again, or save what is there by ImageJ"
    more = f" and {len(files) - 3} others" if len(files) > 3 else ""
    return f", since {', '.join(files[:3])}{more} cannot be found; copy them into the same folder"


def _load(file: tifffile.TiffFile, blocks: Iterable[Block], planes: int, level: int) -> dict[int, Any]:
    """Load the pages of blocks from their file, by the numbers of their planes; those of a level, if not 0."""
    pages = file.pages
    count = len(pages)
    wanted = {}
    for block in blocks:
        length = min(planes - block.first, count - block.page, planes if block.count is None else block.count)
        wanted.update({block.first + i: block.page + i for i in range(max(0, length))})
    if not wanted:
        return {}
    pages.cache = pages.useframes = True
    pages.set_keyframe(min(wanted.values()))
    found = {plane: pages[page] for plane, page in sorted(wanted.items(), key=lambda item: item[1])}
    return found if level == 0 else _smaller(file, found, level)


def _smaller(file: tifffile.TiffFile, pages: Mapping[int, Any], level: int) -> dict[int, Any]:
    """Pages of a smaller level, which lie in the SubIFDs of those of the image."""
    keyframe: tifffile.TiffPage | None = None
    found = {}
    for plane, page in pages.items():
        levels = len(page.subifds or ())
        if level > levels:
            sizes = f"levels 0 to {levels}" if levels else "one size of its image"
            raise ImageError(f"{file.filename} holds {sizes}, no level {level}; take a smaller --level")
        file.filehandle.seek(page.subifds[level - 1])
        index = (page.index, level)
        if keyframe is None:
            found[plane] = keyframe = tifffile.TiffPage(file, index)
        else:
            found[plane] = tifffile.TiffFrame(file, index, keyframe=keyframe)
    return found
