"""Images as other programs write them, for formats that are only read here."""

import os
import shutil
from pathlib import Path

import h5py
import mrcfile
import nrrd
import numpy as np
import PIL.Image
import pydicom
import pytest
import tifffile
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from biounet.io import Image, write

SAMPLES = Path(os.environ.get("BIOUNET_DATA", "")) / "formats"


def write_dicom(path, pixels, *, place=(0.0, 0.0, 0.0), series="1.2.3", **fields):
    """One slice; further fields of the header by name, None leaves one out."""
    header = pydicom.Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = CTImageStorage
    header.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    header.SOPClassUID, header.SOPInstanceUID = CTImageStorage, header.file_meta.MediaStorageSOPInstanceUID
    header.SeriesInstanceUID, header.Modality = series, "CT"
    header.Rows, header.Columns = pixels.shape[-2:]
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated = header.BitsStored = 8 * pixels.itemsize
    header.HighBit, header.PixelRepresentation = header.BitsStored - 1, int(pixels.dtype.kind == "i")
    header.PixelSpacing, header.SliceThickness = [0.5, 0.25], 9.0
    header.ImageOrientationPatient, header.ImagePositionPatient = [1, 0, 0, 0, 1, 0], list(place)
    header.PixelData = pixels.tobytes()
    for name, value in fields.items():
        if value is None:
            delattr(header, name)
        else:
            setattr(header, name, value)
    header.save_as(path, enforce_file_format=True)


def write_czi(path, planes, *, scale=None, compression="zstd1:ExplicitLevel=3"):
    """Planes (rows, columns) or (rows, columns, 3) by their position, as pairs of axis and number, and their scene."""
    pyczi = pytest.importorskip("pylibCZIrw.czi", reason="only pylibCZIrw writes CZI, and it is for Python 3.11")
    with pyczi.create_czi(str(path), compression_options=compression) as file:
        for (at, scene), pixels in planes.items():
            where = {"plane": {"C": 0, **dict(at)}, "location": (100 * (scene or 0), 5)}
            where |= {} if scene is None else {"scene": scene}
            file.write(pixels.reshape(*pixels.shape[:2], -1), **where)
        if scale:
            file.write_metadata("made", scale_x=scale[2], scale_y=scale[1], scale_z=scale[0])


def write_companion(path, pixels):
    """OME-XML, and the TIFF that it names beside it."""
    tifffile.imwrite(path.with_name("plane.tif"), pixels)
    sizes = f'SizeX="{pixels.shape[1]}" SizeY="{pixels.shape[0]}" SizeZ="1" SizeC="1" SizeT="1"'
    data = '<TiffData IFD="0"><UUID FileName="plane.tif">urn:uuid:1</UUID></TiffData>'
    xml = f'<OME><Image><Pixels DimensionOrder="XYZCT" {sizes}>{data}</Pixels></Image></OME>'
    path.write_text(xml)


def write_zip(path, pixels):
    """An OME-Zarr folder, and the zip file of what is in it."""
    write(path.with_name("plain.zarr"), Image(pixels, "YX"))
    shutil.make_archive(str(path), "zip", path.with_name("plain.zarr"))
    path.with_name(f"{path.name}.zip").rename(path)


def write_hdf5(path, pixels):
    with h5py.File(path, "w") as file:
        file.create_dataset("volumes/raw", data=pixels, chunks=True)


def write_mrc(path, pixels):
    kinds = {".gz": "gzip", ".bz2": "bzip2"}
    signed = pixels.astype(np.int16) if pixels.dtype == np.uint8 else pixels
    with mrcfile.new(path, signed, compression=kinds.get(path.suffix)):
        pass


def write_numpy(path, pixels):
    (np.savez if path.suffix == ".npz" else np.save)(path, pixels)


def copy_sample(name):
    """Writer that copies a file of a microscope: nothing else writes such files."""

    def copy(path, pixels):
        if not (SAMPLES / name).exists():
            pytest.skip("BIOUNET_DATA is not set")
        shutil.copyfile(SAMPLES / name, path)

    return copy


READ_ONLY = {
    "OME-Zarr in a zip file": write_zip,
    "OME-XML beside OME-TIFF": write_companion,
    "JPEG": lambda path, pixels: PIL.Image.fromarray(pixels).save(path),
    "BMP and GIF": lambda path, pixels: PIL.Image.fromarray(pixels).save(path),
    "TIFF of microscopes and scanners": lambda path, pixels: tifffile.imwrite(path, pixels),
    "NRRD": lambda path, pixels: nrrd.write(str(path), pixels.T),
    "DICOM": write_dicom,
    "ND2": copy_sample("nd2/cluster.nd2"),
    "CZI": lambda path, pixels: write_czi(path, {((), None): pixels}),
    "LIF": copy_sample("lif/LeicaLASX_wavelength-sweep_example.lif"),
    "HDF5": write_hdf5,
    "MRC": write_mrc,
    "npy and npz": write_numpy,
}
"""Name of a format that is only read -> function (path, pixels) that writes it."""
