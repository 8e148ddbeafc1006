"""Write docs/formats.md: what of each image format is read, tried on files of other programs. Run it after a change."""

import sys
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import imagecodecs
import nibabel
import nrrd
import numpy as np
import pydicom
import tifffile
from numpy.typing import NDArray
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from biounet.core.errors import EXTRAS, BiounetError
from biounet.io import FORMATS, Format, Image, read, write

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from other_programs import READ_ONLY, write_czi, write_dicom, write_mrc  # noqa: E402  # lies beside the tests

Pixels = NDArray[Any]
PAGE = Path(__file__).with_name("formats.md")
TYPES = ("bool", "uint8", "uint16", "uint32", "int8", "int16", "int32", "float32", "float64", "complex64")
SHAPES = {"YX": (32, 48), "ZYX": (8, 32, 48), "TZYX": (2, 8, 32, 48)}
TIFF: dict[str, dict[str, Any]] = {
    **{kind: {} for kind in ("none", "zlib", "lzw", "zstd", "lzma", "packbits")},
    "jpeg2000": {"level": 0, "reversible": True},
    "jpegxl": {"lossless": True},
}
"""Compression -> options that make it lossless."""
DICOM: dict[str, tuple[str | None, Callable[[Any], bytes] | None]] = {
    "none": (None, None),
    "RLE": ("1.2.840.10008.1.2.5", None),
    "JPEG 2000": (
        "1.2.840.10008.1.2.4.90",
        partial(imagecodecs.jpeg2k_encode, level=0, codecformat="j2k", reversible=True),
    ),
    "JPEG-LS": ("1.2.840.10008.1.2.4.80", lambda plane: imagecodecs.jpegls_encode(plane.view(np.uint16))),
    "lossless JPEG": ("1.2.840.10008.1.2.4.70", lambda plane: imagecodecs.ljpeg_encode(plane.view(np.uint16))),
}
"""Compression -> transfer syntax, and encoder if pydicom has none."""
CZI = {
    "none": "uncompressed:",
    "zstd": "zstd0:ExplicitLevel=3",
    "zstd, bytes apart": "zstd1:ExplicitLevel=3;PreProcess=HiLoByteUnpack",
}
"""Compression -> what Zeiss's library calls it."""
GAP = {((("Z", z), ("C", c)), None): np.zeros((32, 48), np.uint8) for z, c in ((0, 0), (0, 1), (1, 0))}
"""Planes of two channels and sections, of which the last is missing."""
SAMPLES = {"ND2", "LIF"}
"""Nothing but a microscope writes them: they are tested on samples."""
SIZES = {
    "JPEG": "dots per inch, below 10 um",
    "PNG": "dots per inch, below 10 um",
    "TIFF": "OME-XML, ImageJ, resolution below 10 um",
    "OME-XML beside OME-TIFF": "OME-XML",
    "TIFF of microscopes and scanners": "LSM, STK, MPP of SVS",
    "BMP and GIF": "",
    "NIfTI": "affine, unit",
    "NRRD": "space directions, spacings with units",
    "DICOM": "pixel spacing, steps of positions",
    "ND2": "calibration",
    "CZI": "scaling",
    "LIF": "coordinates",
    "HDF5": "`element_size_um`",
    "MRC": "cell, in Angstrom",
    "npy and npz": "",
    "OME-Zarr": "scale, unit",
    "OME-Zarr in a zip file": "scale, unit",
}
"""Where the pixel size comes from."""
REGIONS = {
    "OME-XML beside OME-TIFF": "the strips and tiles of a region",
    "TIFF": "the strips and tiles of a region",
    "TIFF of microscopes and scanners": "the strips and tiles of a region",
    "NIfTI": "uncompressed: the region; `.nii.gz`: whole",
    "NRRD": "whole, when the first pixels are wanted",
    "DICOM": "slice by slice",
    "ND2": "frame by frame",
    "CZI": "the tiles of a region",
    "LIF": "the region",
    "HDF5": "the chunks of a region",
    "MRC": "uncompressed: the region; packed: whole",
    "npy and npz": "`.npy`: the region; `.npz`: whole",
    "OME-Zarr": "the chunks of a region",
    "OME-Zarr in a zip file": "the chunks of a region",
}
HEAD = """# Image formats

biounet reads these files, tells which axes it understood, and writes results as TIFF, OME-Zarr or NIfTI. Labels that
were predicted from NIfTI are NIfTI of the same affine, units and codes. All pixel sizes are in micrometres.

```console
$ pip install 'biounet[medical]'      # NIfTI, NRRD, DICOM
$ pip install 'biounet[formats]'      # these, OME-Zarr, and those of microscopes
$ biounet predict RUN cells.h5:/volumes/raw --out results    # an array of a file that holds several
$ biounet predict RUN scans/patient7 --out results           # a folder of DICOM slices is one image
```

| format | names | needs | pixel types | arrays without names of axes | pixel size | what is read at a time | axes that are written |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""  # noqa: E501  # a row of a table is one line
COMPRESSED = """
## Compression

A file that another program wrote, read back and compared pixel by pixel.

| format | compression | read |
| --- | --- | --- |
"""
REFUSED = """
## What is refused, and in which words

| what | words |
| --- | --- |
"""
NOTES = """
## Good to know

* **Axes** are those that the file names, in the order TCZYX. A plain array of three axes is taken for sections, which
  is said; `--axes` overrules everything.
* **Several images in a file**: the first is read, the others are named; `--series` takes another by number or name.
  Scenes of CZI, images of LIF, positions of ND2 and series of DICOM are such images. Of arrays in HDF5 and `.npz` one
  has to be named.
* **NIfTI, NRRD, DICOM**: pixels are as they lie in the file, not turned to the patient. NIfTI without unit is in
  millimetres, as is NRRD in the space of a patient; NRRD with neither space nor unit has no pixel size.
* **DICOM**: slices are sorted by their position along the normal, their distance is that of positions, not the
  thickness of slices. A missing slice is told. Values are the stored ones; where slope and intercept change from slice
  to slice (PET) they are applied.
* **MRC**: the axes that the header calls x, y and z are put in order. A size of 0 is unknown.
* **LIF**: wavelengths of a spectral scan are channels. A scan of x and z has no Y: give `--axes`, such as `TCYX`.
* **CZI and ND2**: a plane that was never acquired is an error, not a black picture.
* `.npy` and `.npz` are never read as pickles.

This page is written by `docs/make_formats.py`.
"""


def page() -> str:
    """Return the text of the page."""
    return "".join(
        (
            HEAD,
            table(map(row, FORMATS.values())),
            COMPRESSED,
            table([name, kind, tried(make, path, pixels)] for name, kind, path, pixels, make in compressed()),
            REFUSED,
            table([what, tried(make, path, None)] for what, path, make in refused()),
            NOTES,
        )
    )


def table(rows: Iterable[list[str]]) -> str:
    """Rows of a table."""
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def row(form: Format) -> list[str]:
    """What the table says of a format."""
    extra = EXTRAS.get(form.library or "")
    return [
        form.name,
        " ".join(f"`{suffix}`" for suffix in form.suffixes),
        f"extra `{extra}`" if extra else "",
        *(["tested on samples", ""] if form.name in SAMPLES else [types(form), axes(form)]),
        SIZES[form.name],
        REGIONS.get(form.name, "whole"),
        ", ".join(sorted({holds.axes for holds in form.holds})),
    ]


def types(form: Format) -> str:
    """Pixel types that come back."""
    good = [name for name in TYPES if returned(form, np.arange(32 * 48).reshape(32, 48) % 2, name) == "YX"]
    return ", ".join(good)


def axes(form: Format) -> str:
    """Axes that arrays of two, three and four axes are taken for, where a program writes them without names."""
    if form.write is not None:
        return "named"
    found = [returned(form, np.arange(np.prod(shape)).reshape(shape) % 99, "uint8") for shape in SHAPES.values()]
    return ", ".join(dict.fromkeys(letters for letters in found if letters))


def returned(form: Format, pixels: Pixels, dtype: str) -> str:
    """Axes of an image that comes back with the same pixels; ``""`` if it is not written or not read."""
    with tempfile.TemporaryDirectory() as folder:
        path, array = Path(folder, f"a{form.suffixes[0]}"), pixels.astype(dtype)
        try:
            write(path, Image(array, "YX")) if form.write is not None else READ_ONLY[form.name](path, array)
            image = read(path)
        except Exception:  # a program cannot write it, or we do not read it
            return ""
        same = form.exact is False or (image.array.shape == array.shape and (image.array == array).all())
        return image.axes if same else ""


def tried(make: Callable[[Path], object], name: str, pixels: Pixels | None) -> str:
    """OK if a file is read, with these pixels; else the words of the refusal."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        make(path)
        try:
            found = read(path)
        except BiounetError as error:
            return str(error).replace(f"{folder}/", "").replace("|", "or")
        return "OK" if pixels is None or (found.array == pixels).all() else "other pixels"


def compressed() -> Iterable[tuple[str, str, str, Pixels, Callable[[Path], object]]]:
    """Format, compression, name of the file, pixels, and what writes it."""
    flat = (np.arange(64 * 48).reshape(64, 48) % 251).astype(np.uint8)
    stack = np.stack([flat, flat // 2, flat // 3]).astype(np.int16)
    for kind, given in TIFF.items():
        make = partial(tifffile.imwrite, data=flat, compression=None if kind == "none" else kind, compressionargs=given)
        yield "TIFF", kind, "a.tif", flat, make
    for suffix, kind in ((".nii", "none"), (".nii.gz", "gzip")):
        yield "NIfTI", kind, f"a{suffix}", stack, partial(nibabel.save, nibabel.Nifti1Image(stack.T, np.eye(4)))
    for kind in ("raw", "gzip", "bzip2", "ascii"):
        yield "NRRD", kind, "a.nrrd", stack, partial(pack_nrrd, stack, kind)
    for kind, (syntax, encode) in DICOM.items():
        yield "DICOM", kind, "a.dcm", stack[0], partial(pack_dicom, stack[0], syntax, encode)
    for kind in ("none", "gzip", "lzf"):
        yield "HDF5", kind, "a.h5", stack, partial(pack_hdf5, {"raw": stack}, kind)
    for kind, suffix in (("none", ""), ("gzip", ".gz"), ("bzip2", ".bz2")):
        yield "MRC", kind, f"a.map{suffix}", stack, partial(write_mrc, pixels=stack)
    for kind, save in (("none", np.savez), ("deflate", np.savez_compressed)):
        yield "npz", kind, "a.npz", stack, partial(save, image=stack)
    for kind, options in CZI.items():
        planes = {((), None): stack[0].astype(np.uint16)}
        yield "CZI", kind, "a.czi", stack[0], partial(write_czi, planes=planes, compression=options)


def refused() -> Iterable[tuple[str, str, Callable[[Path], object]]]:
    """What is wrong, name of the file, and what writes it."""
    plane, holes = np.zeros((32, 48)), np.full((32, 48), np.nan)
    yield "complex numbers", "a.npy", partial(np.save, arr=plane.astype(complex))
    yield "pixels that are not numbers", "a.npy", partial(np.save, arr=holes)
    yield "channels last, and no word on it", "a.npy", partial(np.save, arr=np.zeros((32, 48, 2)))
    yield "four axes without names", "a.npy", partial(np.save, arr=np.zeros((2, 3, 32, 48)))
    yield "one axis", "a.npy", partial(np.save, arr=np.zeros(9))
    yield "a pickle", "a.npy", partial(np.save, arr=np.array([[None, None]]))
    yield "several arrays, none is named", "a.h5", partial(pack_hdf5, {"raw": plane, "label": plane}, "none")
    yield "a plane that was not acquired", "a.czi", partial(write_czi, planes=GAP)
    yield (
        "tiles of a whole slide in DICOM",
        "a.dcm",
        partial(pack_header, {"NumberOfFrames": 2, "TotalPixelMatrixColumns": 96}),
    )
    yield "DICOM segmentation objects", "a.dcm", partial(pack_header, {"Modality": "SEG"})
    yield "a file of another kind", "a.nii", lambda path: path.write_text("cells")
    yield "an empty file", "a.nd2", Path.touch
    yield "a suffix that nobody reads", "a.doc", Path.touch


def pack_nrrd(pixels: Pixels, encoding: str, path: Path) -> None:
    """Write NRRD."""
    nrrd.write(str(path), pixels.T, {"encoding": encoding})


def pack_hdf5(arrays: dict[str, Pixels], compression: str, path: Path) -> None:
    """Write datasets in chunks."""
    with h5py.File(path, "w") as file:
        for name, pixels in arrays.items():
            file.create_dataset(
                name, data=pixels, chunks=True, compression=None if compression == "none" else compression
            )


def pack_header(fields: dict[str, Any], path: Path) -> None:
    """Write DICOM with further fields."""
    write_dicom(path, np.zeros((2, 32, 48), np.uint8), **fields)


def pack_dicom(pixels: Pixels, syntax: str | None, encode: Callable[[Pixels], bytes] | None, path: Path) -> None:
    """Write a slice, compressed by pydicom or a codec."""
    write_dicom(path, pixels)
    if syntax is None:
        return
    content = pydicom.dcmread(path)
    if encode is None:
        content.compress(syntax)
    else:
        content.PixelData, content.file_meta.TransferSyntaxUID = encapsulate([encode(pixels)]), UID(syntax)
    content.save_as(path)


if __name__ == "__main__":
    PAGE.write_text(page())
