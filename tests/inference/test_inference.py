"""The room of prediction offers its main names, and imports torch only when one of them is asked for."""

import subprocess
import sys

import pytest

import biounet.inference
from biounet.inference.files import predict_files
from biounet.inference.model import Model, load_model


def test_main_names_are_offered():
    wanted = {"Model": Model, "load_model": load_model, "predict_files": predict_files}
    assert {name: getattr(biounet.inference, name) for name in biounet.inference.__all__} == wanted
    assert set(wanted) <= set(dir(biounet.inference))
    with pytest.raises(AttributeError, match="has no attribute 'predict'"):
        biounet.inference.predict  # noqa: B018


def test_the_room_is_imported_without_torch():
    code = "import sys, biounet.inference; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
