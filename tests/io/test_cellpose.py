"""Masks of Cellpose: its own files, and pickles that would run a program."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from biounet.core.errors import LabelError, OutputError
from biounet.io import Image, read
from biounet.io.cellpose import read_masks, write_masks
from biounet.io.shapes import Grid

SAMPLES = Path(os.environ.get("BIOUNET_DATA", "")) / "formats"
needs_samples = pytest.mark.skipif(not (SAMPLES / "cellpose").exists(), reason="BIOUNET_DATA is not set")


@needs_samples
@pytest.mark.parametrize(("name", "objects"), [("made_cells_seg.npy", 26), ("made_old_seg.npy", 5)])
def test_files_of_the_window_have_their_masks(name, objects):
    masks = read_masks(SAMPLES / "cellpose" / name)
    told = np.load(SAMPLES / "cellpose" / name, allow_pickle=True).item()["masks"]
    np.testing.assert_array_equal(masks.array, told)
    assert (masks.axes, masks.array.max()) == ("YX", objects)


@needs_samples
@pytest.mark.parametrize("name", ["made_cells_cp_masks.png", "made_train_masks.tif"])
def test_masks_are_images(name):
    truth = read(SAMPLES / "coco" / "made_cells_labels.tif", labels=True).array
    np.testing.assert_array_equal(read_masks(SAMPLES / "cellpose" / name).array, truth)


def save(path, masks, protocol=4, **others):
    content = np.array({"masks": masks, "flows": [np.zeros((2, 2), np.float32), None], **others}, dtype=object)
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "|O", "fortran_order": False, "shape": ()})
        pickle.dump(content, stream, protocol=protocol)


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize("dtype", ["<u2", ">u2", "<i4", "<u4"])
def test_masks_come_back_from_every_protocol(tmp_path, protocol, dtype):
    masks = np.asfortranarray(np.arange(12).reshape(3, 4).astype(dtype))
    save(tmp_path / "a_seg.npy", masks, protocol, filename="Ä.tif", diameter=np.float64(3), names=np.array(["a", "bc"]))
    np.testing.assert_array_equal(read_masks(tmp_path / "a_seg.npy").array, masks)


class Runs:
    """An object that calls a function when it is unpickled."""

    def __init__(self, function, *words):
        self.function, self.words = function, words

    def __reduce__(self):
        return self.function, self.words


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        (lambda mark: Runs(os.mkdir, str(mark)), "mkdir"),
        (lambda mark: Runs(eval, f"open({str(mark)!r}, 'w')"), "builtins.eval"),
        (lambda mark: Runs(getattr, "a", "upper"), "builtins.getattr"),
        (lambda mark: Runs(np.load, "a"), "numpy.load"),
        (lambda mark: Path("a"), "pathlib"),
    ],
)
def test_a_pickle_that_would_run_a_program_is_refused_and_runs_nothing(tmp_path, bad, named):
    mark = tmp_path / "ran"
    save(tmp_path / "a_seg.npy", np.zeros((2, 2), int), img=bad(mark))
    with pytest.raises(LabelError, match=rf"a_seg\.npy: it names .*{named}.*could run a program"):
        read_masks(tmp_path / "a_seg.npy")
    assert not mark.exists()


@pytest.mark.parametrize(
    "masks",
    [None, "text", np.zeros((2, 2)), np.zeros(4, int), [1, 2], np.array([{}], dtype=object)],
)
def test_files_without_masks_are_refused(tmp_path, masks):
    save(tmp_path / "a_seg.npy", masks)
    with pytest.raises(LabelError, match=r"a_seg\.npy has no masks"):
        read_masks(tmp_path / "a_seg.npy")


@pytest.mark.parametrize(
    "content",
    [
        b"cnumpy.core.multiarray\nscalar\n}b.",  # sets the attributes of a function
        b"cnumpy\nndarray\n}b.",
        b"cnumpy\ndtype\n(Vobject\ntR.",
        b"cnumpy\ndtype\n(VO8\ntR(I3\nV|\nNNNI-1\nI-1\nI0\ntb.",  # an object that says it is plain bytes
        b"r\xff\xff\xff\x7f.",
    ],
)
def test_pickles_that_twist_what_they_may_make_are_refused(tmp_path, content):
    with (tmp_path / "a_seg.npy").open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "|O", "fortran_order": False, "shape": ()})
        stream.write(content)
    with pytest.raises(LabelError, match=r"a_seg\.npy"):
        read_masks(tmp_path / "a_seg.npy")


def test_damaged_files_are_refused(tmp_path):
    save(tmp_path / "a_seg.npy", np.arange(12).reshape(3, 4))
    whole = (tmp_path / "a_seg.npy").read_bytes()
    rng, refused = np.random.default_rng(0), 0
    for _ in range(300):
        content = bytearray(whole[: rng.integers(len(whole))] if rng.random() < 0.3 else whole)
        for at in rng.integers(0, max(len(content), 1), 3):
            content[at : at + 1] = bytes([rng.integers(256)])
        (tmp_path / "b_seg.npy").write_bytes(content)
        try:
            read_masks(tmp_path / "b_seg.npy")
        except LabelError:
            refused += 1
    assert refused > 100


def test_what_masks_cannot_hold_is_refused(tmp_path):
    with pytest.raises(OutputError, match="cannot hold 70000 objects, at most 65535 fit 16 bits"):
        write_masks(tmp_path / "a_masks.tif", Image(np.arange(70_001).reshape(1, -1), "YX"))
    with pytest.raises(OutputError, match="cannot hold unknown pixels"):
        write_masks(tmp_path / "a_masks.tif", Image(np.array([[-1, 1]]), "YX"))
    with pytest.raises(OutputError, match=r"name the file a_masks\.tif"):
        write_masks(tmp_path / "a_seg.npy", Image(np.array([[0, 1]]), "YX"))
    assert list(tmp_path.iterdir()) == []


def test_masks_of_another_image_are_refused(tmp_path):
    save(tmp_path / "a_seg.npy", np.zeros((2, 3), int))
    with pytest.raises(LabelError, match="its masks have 2 x 3 px, the image 9 x 9"):
        read_masks(tmp_path / "a_seg.npy", grid=Grid("YX", (9, 9)))
