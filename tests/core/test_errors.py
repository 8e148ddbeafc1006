"""The tree of errors."""

import sys

import pytest

from biounet.core import errors


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name.endswith("Error")])
def test_every_error_is_in_the_tree_and_in_its_drawing(name):
    assert issubclass(getattr(errors, name), errors.BiounetError)
    assert name in errors.__doc__


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(errors.EXTRAS, "no_such_library", "zarr")
    with pytest.raises(errors.MissingExtraError, match=r"pip install 'biounet\[zarr\]'"):
        errors.need("no_such_library")


@pytest.mark.parametrize("module", ["onnx", "onnxruntime", "yaml"])
def test_the_extra_of_exports_is_named(monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(errors.MissingExtraError, match=r"pip install 'biounet\[onnx\]'"):
        errors.need(module)


def test_a_message_can_be_printed_whatever_the_name_of_a_file():
    for error in (errors.ImageError("zelle-\udcff.tif is torn"), errors.OutputError("zelle-\udcff.tif is torn")):
        assert str(error) == "zelle-\\xff.tif is torn"
