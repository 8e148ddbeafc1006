"""LIF: images of a project by number and name, and scans without an axis Y."""

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile

from biounet.core.errors import ImageError
from biounet.io import open_lazily, read

FOLDER = Path(os.environ.get("BIOUNET_DATA", "")) / "formats" / "lif"
needs_samples = pytest.mark.skipif(not FOLDER.exists(), reason="BIOUNET_DATA is not set")


@needs_samples
def test_images_have_numbers_and_names():
    path = FOLDER / "xz-example.lif"
    np.testing.assert_array_equal(read(path, series="xzy").array, read(path, series=1).array)
    with pytest.raises(ImageError, match=r"xz-example\.lif: there is no series yz; .* 0 xzt, 1 xzy, 2 xz"):
        read(path, series="yz")
    with open_lazily(FOLDER / "LeicaLASX_wavelength-sweep_example.lif") as lazy:
        assert "the first (x_y_lambdaEmi) is read; left out: 1 x_y_lambdaExc" in lazy.notes[0]


@needs_samples
def test_a_scan_without_y_is_read_with_axes_and_is_what_another_program_exported():
    image = read(FOLDER / "xz-example.lif", series=0, axes="TCYX")
    assert image.axes == "TCYX"
    for channel, time in ((0, 0), (1, 8)):
        exported = tifffile.imread(FOLDER / "xz-example-expected" / f"c{channel}t{time}.tif")
        np.testing.assert_array_equal(image.array[time, channel], exported)


def test_what_is_no_lif_is_refused(tmp_path):
    for content in (b"", b"something else"):
        (tmp_path / "a.lif").write_bytes(content)
        with pytest.raises(ImageError, match=r"a\.lif cannot be read as LIF"):
            read(tmp_path / "a.lif")
