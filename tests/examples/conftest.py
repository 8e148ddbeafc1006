"""Modules of the examples that are folders, imported as their scripts do."""

import importlib
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example(request, monkeypatch):
    """Function that imports a module of the example folder that the test module names as ``EXAMPLE``."""
    folder = EXAMPLES / request.module.EXAMPLE
    names = {path.stem for path in folder.glob("*.py")}
    monkeypatch.syspath_prepend(folder)
    before = {name: sys.modules.pop(name) for name in names & set(sys.modules)}
    yield importlib.import_module
    for name in names & set(sys.modules):
        del sys.modules[name]
    sys.modules.update(before)
