"""What may be replaced: links and other spellings are the input that they lead to, and other kinds of files stay."""

import os

import pytest

from biounet.core.errors import OutputError
from biounet.core.overwriting import KINDS, Inputs, check_kind

BEGINNINGS = {
    "TIFF": b"II*\0" + bytes(40),
    "PNG": b"\x89PNG\r\n\x1a\n",
    "NIfTI": b"\x5c\1\0\0" + bytes(40),
    "JSON": b'{"scores": {}}',
    "page": b"<!doctype html><html></html>",
    "table": "image,größe\na.tif,3\n".encode(),
    "zip": b"PK\3\4" + bytes(40),
    "ONNX": b"\x08\x0a\x12\x07pytorch",
}


def test_every_kind_replaces_its_own_and_no_binary_of_another():
    assert set(BEGINNINGS) == set(KINDS)


@pytest.mark.parametrize("kind", BEGINNINGS)
@pytest.mark.parametrize("other", BEGINNINGS)
def test_a_file_is_replaced_by_one_of_its_kind_only(tmp_path, kind, other):
    path = tmp_path / "result"
    path.write_bytes(BEGINNINGS[other])
    if kind == other or (kind, other) in {("table", text) for text in ("JSON", "PNG", "ONNX", "page")}:  # may be text
        check_kind(path, kind)
    else:
        with pytest.raises(OutputError, match=rf"result is not an? {kind}"):
            check_kind(path, kind)


def test_an_empty_file_may_be_replaced_and_what_is_no_file_may_not(tmp_path):
    (tmp_path / "empty").touch()
    check_kind(tmp_path / "empty", "TIFF")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(OutputError, match="is not a file"):
            check_kind(path, "TIFF")


@pytest.fixture
def inputs(tmp_path, monkeypatch):
    """An input that is called in a way of its own, and a link to another one."""
    (tmp_path / "in").mkdir()
    for name in ("a.tif", "b.tif"):
        (tmp_path / "in" / name).write_bytes(BEGINNINGS["TIFF"])
    (tmp_path / "link.tif").symlink_to(tmp_path / "in" / "b.tif")
    monkeypatch.chdir(tmp_path / "in")
    return Inputs(
        {
            "an image": [tmp_path / "in" / ".." / "in" / "a.tif", tmp_path / "missing"],
            "the model": [tmp_path / "link.tif"],
        }
    )


def test_an_input_is_known_under_every_name(inputs, tmp_path):
    (tmp_path / "hard.tif").hardlink_to("a.tif")
    (tmp_path / "soft.tif").symlink_to("in/a.tif")
    (tmp_path / "folder").symlink_to("in")
    for path in ("a.tif", tmp_path / "hard.tif", tmp_path / "soft.tif", tmp_path / "folder" / "a.tif"):
        with pytest.raises(OutputError, match=r"\.tif is an image \(a\.tif\), which this command reads"):
            inputs.check(type(tmp_path)(path), kind="TIFF")
    for path in (tmp_path / "link.tif", tmp_path / "in" / "b.tif"):
        with pytest.raises(OutputError, match=r"is the model \(link\.tif\)"):
            inputs.check(path, kind="TIFF")


def test_a_folder_that_holds_an_input_is_not_replaced(inputs, tmp_path):
    (tmp_path / "folder").symlink_to("in")
    for path in (tmp_path, tmp_path / "in", tmp_path / "folder"):
        with pytest.raises(OutputError, match=r"holds (an image|the model)"):
            inputs.check(path)


def test_other_files_may_be_replaced_if_that_is_asked_for(inputs, tmp_path):
    (tmp_path / "c.tif").write_bytes(BEGINNINGS["TIFF"])
    inputs.check(tmp_path / "c.tif", kind="TIFF")
    inputs.check(tmp_path / "new.tif", overwrite=False, kind="TIFF")
    (tmp_path / "dangling.tif").symlink_to("nowhere")
    for name in ("c.tif", "dangling.tif"):
        with pytest.raises(OutputError, match="exists already"):
            inputs.check(tmp_path / name, overwrite=False, kind="TIFF")
