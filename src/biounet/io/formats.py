"""The table of image formats, and questions about names of files: of which format, an image or a folder of images."""

import os
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from biounet.core.errors import DatasetError, ImageError, need
from biounet.io import czi, dicom, hdf5, lif, mrc, nd2, nifti, nrrd, numpy_file, ome_zarr, png, tiff, tiff_output
from biounet.io.channel_files import CHANNELS
from biounet.io.format import NUMBERS, Format, Holds
from biounet.io.image import AXES
from biounet.io.inner_path import split_inner
from biounet.io.ome_tiff import COMPANION
from biounet.io.outline_files import as_image
from biounet.io.zarr_images import images_inside

__all__ = [
    "FORMATS",
    "format_of",
    "image_files",
    "images_at",
    "images_by_name",
    "is_folder_of_images",
    "is_image",
    "is_there",
    "load_libraries",
    "plain_name",
    "root_of",
    "suffixes",
]


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        form.name: form
        for form in (
            Format(
                name="JPEG",
                suffixes=(".jpeg", ".jpg"),
                open_lazily=png.open_lazily,
                exact=False,
            ),
            Format(
                name="PNG",
                suffixes=(".png",),
                open_lazily=png.open_lazily,
                write=png.write,
                least_bits=8,
                holds=(
                    Holds(axes="YX", dtypes=("uint8", "uint16")),
                    Holds(axes="CYX", dtypes=("uint8",), channels=3),
                ),
            ),
            Format(
                name="TIFF",
                suffixes=(".tif", ".tiff", ".btf", ".tf8"),
                open_lazily=tiff.open_lazily,
                write=tiff_output.write,
                create=tiff_output.create,
                note_of=tiff_output.note_of,
                is_ours=tiff_output.is_ours,
                holds=(Holds(axes=AXES, dtypes=NUMBERS),),
            ),
            Format(
                name="OME-XML beside OME-TIFF",
                suffixes=(COMPANION,),
                open_lazily=tiff.open_lazily,
            ),
            Format(
                name="TIFF of microscopes and scanners",
                suffixes=(".lsm", ".qptiff", ".scn", ".stk", ".svs"),
                open_lazily=tiff.open_lazily,
            ),
            Format(
                name="BMP and GIF",
                suffixes=(".bmp", ".gif"),
                open_lazily=png.open_lazily,
            ),
            Format(
                name="NIfTI",
                suffixes=(".nii", ".nii.gz"),
                open_lazily=nifti.open_lazily,
                write=nifti.write,
                holds=(Holds(axes=AXES, dtypes=NUMBERS),),
                library="nibabel",
                places=True,
                result=".nii.gz",
            ),
            Format(name="NRRD", suffixes=(".nrrd", ".nhdr"), open_lazily=nrrd.open_lazily, library="nrrd"),
            Format(name="DICOM", suffixes=(".dcm", ".dicom"), open_lazily=dicom.open_lazily, library="pydicom"),
            Format(name="ND2", suffixes=(".nd2",), open_lazily=nd2.open_lazily, library="nd2"),
            Format(name="CZI", suffixes=(".czi",), open_lazily=czi.open_lazily, library=czi.LIBRARY),
            Format(name="LIF", suffixes=(".lif",), open_lazily=lif.open_lazily, library="liffile"),
            Format(name="HDF5", suffixes=(".h5", ".hdf5", ".hdf"), open_lazily=hdf5.open_lazily, library="h5py"),
            Format(name="MRC", suffixes=mrc.SUFFIXES, open_lazily=mrc.open_lazily, library="mrcfile"),
            Format(name="npy and npz", suffixes=(".npy", ".npz"), open_lazily=numpy_file.open_lazily),
            Format(
                name="OME-Zarr",
                suffixes=(".zarr",),
                open_lazily=ome_zarr.open_lazily,
                write=ome_zarr.write,
                create=ome_zarr.create,
                attach=ome_zarr.attach,
                holds=(Holds(axes=AXES, dtypes=(*NUMBERS, "uint64", "int64", "float16", "bool")),),
                library="zarr",
                is_folder=True,
                label_folder="labels",
                result=".zarr",
            ),
            Format(
                name="OME-Zarr in a zip file",
                suffixes=(".zarr.zip", ".ozx"),
                open_lazily=ome_zarr.open_lazily,
                library="zarr",
                result=".zarr",
            ),
        )
    }
)
"""Name of a format -> how its files are read and written."""


def format_of(path: Path | str) -> Format:
    """The format of an image, by the suffix of its name, or of the folder image that it lies in.

    Raises
    ------
    ImageError
        If no entry of `FORMATS` has the suffix.

    Examples
    --------
    >>> format_of("cells.TIF").name, format_of("image.zarr/labels/cells").name
    ('TIFF', 'OME-Zarr')
    """
    root = root_of(Path(path))
    found = _format_by_name(root.name)
    if found is None and dicom.is_series(root):
        found = FORMATS["DICOM"]
    if found is None and (hint := as_image(root)):
        raise ImageError(f"{path} is no image; {hint}")
    if found is None:
        raise ImageError(f"{path}: the suffix must be one of {', '.join(suffixes())}; save it as .tif")
    return found


def suffixes() -> tuple[str, ...]:
    """Ends of the names of all images that can be read.

    >>> suffixes()[:3]
    ('.jpeg', '.jpg', '.png')
    """
    return tuple(suffix for form in FORMATS.values() for suffix in form.suffixes)


def root_of(path: Path) -> Path:
    """The outermost image that a path lies in, where an image is a folder or holds arrays; otherwise the path itself.

    >>> root_of(Path("plates/a.zarr/labels/cells")).name, root_of(Path("a.tif")).name, root_of(Path("a.h5:/raw")).name
    ('a.zarr', 'a.tif', 'a.h5')
    """
    path = split_inner(path)[0]
    return _folder_image(path.parent) or path


def is_image(path: Path) -> bool:
    """Whether a path has the name of an image: a suffix of `FORMATS`, or that of labels inside an image.

    >>> is_image(Path("cells.tif")), is_image(Path("image.zarr/labels/cells")), is_image(Path("results/labels"))
    (True, True, False)
    """
    root = root_of(path)
    if _format_by_name(path.name) is not None or split_inner(path)[1]:
        return True
    return root != path and format_of(root).label_folder == path.parent.name


def is_there(path: Path) -> bool:
    """Whether a file or folder exists, or the file that a path such as ``cells.h5:/raw`` goes into.

    >>> is_there(Path("no/such/cells.h5:/raw"))
    False
    """
    return split_inner(path)[0].exists()


def is_folder_of_images(path: Path) -> bool:
    """Whether a path is a folder that may hold images: not one image, as a DICOM series is, but a plate, say."""
    if not os.path.isdir(path) or dicom.is_series(path):
        return False
    return images_at(path) != (path,) or (root_of(path) == path and not is_image(path))


def load_libraries(paths: Iterable[Path]) -> None:
    """Import the large libraries that the formats of these files need."""
    for library in {form.library for form in map(format_of, paths)} - {None}:
        need(str(library))


def image_files(folder: Path | str) -> tuple[Path, ...]:
    """The images of a folder, of all `FORMATS`, sorted by name.

    Hidden files are left out, and files of OME-XML, whose images are in the TIFF files beside them. A plate is all
    of its images, a folder of DICOM slices is one.
    """
    folder = Path(folder)
    if (inside := images_at(folder)) != (folder,):
        return inside
    shown = [name for name in os.listdir(folder) if not name.startswith(".") and not name.lower().endswith(COMPANION)]
    found = ((folder / name, _format_by_name(name)) for name in sorted(shown))
    return tuple(
        image
        for path, form in found
        if form or dicom.is_series(path)
        for image in (images_at(path) if form is None or form.is_folder else (path,))
    )


def images_at(path: Path) -> tuple[Path, ...]:
    """The images that a path stands for: itself; or of a folder image that is a plate, a well or a set, all inside."""
    form = _format_by_name(root_of(path).name)
    return (form is not None and form.is_folder and path.is_dir() and images_inside(path)) or (path,)


def plain_name(path: Path) -> str:
    """Name of an image without its suffix, or both of ``.ome.tif`` and ``.ome.zarr``.

    Of an image inside a plate or another set, the names of the set and of all folders to it.

    >>> [plain_name(Path(name)) for name in ("cells/day.2.ome.tif", "image.zarr/labels/day.2", "a.h5:/raw")]
    ['day.2', 'day.2', 'a']
    >>> plain_name(Path("plates/one.zarr/A/1/0")), plain_name(Path("imagesTr/case_????.png"))
    ('one_A_1_0', 'case')
    """
    path = split_inner(path)[0]
    root = root_of(path)
    if root != path and not is_image(path):
        return "_".join([plain_name(root), *path.relative_to(root).parts])
    found = _format_by_name(path.name)
    fitting = [suffix for suffix in found.suffixes if path.name.lower().endswith(suffix)] if found else [""]
    return path.name[: len(path.name) - max(map(len, fitting))].removesuffix(".ome").removesuffix(CHANNELS)


def images_by_name(folder: Path) -> dict[str, Path]:
    """The images of a folder by their `plain_name`.

    Raises
    ------
    DatasetError
        If two have the same.
    """
    found: dict[str, Path] = {}
    for path in image_files(folder):
        name = plain_name(path)
        if name in found:
            raise DatasetError(f"{path} and {found[name].name} have one name; keep one of them")
        found[name] = path
    return found


def _format_by_name(name: str) -> Format | None:
    """The format of a file of this name, by its suffix alone."""
    start, dot, end = name.lower().rpartition(".")
    known = _by_suffix(id(FORMATS))
    return known.get(dot + end) or known.get(start[start.rfind(".") :] + dot + end)  # .tif, .zarr.zip


@lru_cache(maxsize=1)
def _by_suffix(table: int) -> dict[str, Format]:
    """Formats by suffix, made anew where somebody has put another table in place of `FORMATS`."""
    return {suffix: form for form in FORMATS.values() for suffix in form.suffixes}


@lru_cache(maxsize=2**10)  # of folders: a hundred thousand images lie in few
def _folder_image(folder: Path) -> Path | None:
    """The outermost image that a path in this folder lies in, by the names alone; none where no image is a folder."""
    around = (*reversed(folder.parents), folder)
    return next((part for part in around if (form := _format_by_name(part.name)) and form.is_folder), None)
