"""The same images train the same network, whatever the format and the layout they come in."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

import biounet
from biounet.io import Image, write
from runs import TINY

NAMES = ("a", "a-b", "a_b", "a b", "a.b", "Z", "1", "10", "2", "ü")


def pictures():
    """Names, images and masks of discs."""
    rng, (y, x) = np.random.default_rng(0), np.mgrid[:32, :32]
    for name in NAMES:
        (cy, cx), radius = rng.uniform(8, 24, 2), rng.uniform(4, 8)
        mask = ((y - cy) ** 2 + (x - cx) ** 2 < radius**2).astype(np.uint8)
        yield name, (60 + 90 * mask + rng.normal(0, 9, mask.shape)).astype(np.uint8), mask


def folders(images, labels, suffix, *, image_end="", label_end=""):
    """Function that writes all images and masks into two folders."""

    def make(folder):
        for name, image, mask in pictures():
            write(folder / images / f"{name}{image_end}{suffix}", Image(image, "YX"))
            write(folder / labels / f"{name}{label_end}{suffix}", Image(mask, "YX"))
        return folder

    return make


def nnunet(folder):
    told = {"channel_names": {"0": "grey"}, "labels": {"background": 0, "cell": 1}, "file_ending": ".png"}
    folders("imagesTr", "labelsTr", ".png", image_end="_0000")(folder)
    (folder / "dataset.json").write_text(json.dumps(told))
    return folder


MAKERS = {
    "TIFF": folders("images", "labels", ".tif"),
    "OME-Zarr": folders("images", "masks", ".zarr"),
    "nnU-Net": nnunet,
    "StarDist": folders("train/images", "train/masks", ".tif"),
    "Cellpose": folders("", "", ".tif", label_end="_cp_masks"),
    "names with an end": folders("Images", "Masks", ".png", label_end="_mask"),
}


def weights(make, folder):
    biounet.train(make(folder / "data"), folder / "run", settings=TINY, report=False)
    return load_file(folder / "run" / "model.safetensors")


@pytest.fixture(scope="module")
def of_png(tmp_path_factory):
    return weights(folders("images", "labels", ".png"), tmp_path_factory.mktemp("png"))


@pytest.mark.parametrize("name", MAKERS)
def test_format_and_layout_do_not_change_the_network(of_png, tmp_path, name):
    if name == "OME-Zarr":
        pytest.importorskip("zarr", reason="the extra zarr is not installed")
    same = weights(MAKERS[name], tmp_path)
    assert of_png.keys() == same.keys()
    for key, array in of_png.items():
        assert array.tobytes() == same[key].tobytes(), key
