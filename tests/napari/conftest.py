"""A viewer of napari without a screen: Qt draws nowhere, and nobody asks the graphics card."""

import importlib
import pkgutil
import time
from pathlib import Path

import numpy as np
import pytest

import biounet
from biounet.config import ModelConfig
from biounet.data.normalize import Normalization
from biounet.models import build
from biounet.models.model_file import ModelCard, save_network

PATIENCE = 120.0  # seconds; busy machines are slow


@pytest.fixture
def viewer(monkeypatch):
    """A viewer that knows the plugin."""
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    pytest.importorskip("napari.viewer", reason="the extra napari is not installed")  # not this folder of tests
    import napari._vispy
    from npe2 import PluginManager, PluginManifest

    for module in pkgutil.walk_packages(napari._vispy.__path__, "napari._vispy."):
        if "_tests" not in module.name:
            loaded = importlib.import_module(module.name)
            for name, answer in (("get_gl_extensions", ""), ("get_max_texture_sizes", (2048, 2048))):
                if hasattr(loaded, name):
                    monkeypatch.setattr(loaded, name, lambda answer=answer: answer)
    plugins = PluginManager.instance()
    if "biounet" not in plugins:
        manifest = Path(biounet.__file__).with_name("napari") / "napari.yaml"
        plugins.register(PluginManifest.from_file(manifest), warn_disabled=False)
    opened = napari.Viewer(show=False)
    yield opened
    opened.close()


@pytest.fixture
def dock(viewer):
    """Open a widget of the plugin as the menu does; return what is behind it."""

    def opened(name):
        _, widget = viewer.window.add_plugin_dock_widget("biounet", name)
        return widget.native.panel

    return opened


@pytest.fixture
def wait():
    """Let the window live until something is so."""
    qt = pytest.importorskip("qtpy.QtWidgets", reason="the extra napari is not installed")

    def until(so):
        end = time.monotonic() + PATIENCE
        while not so():
            assert time.monotonic() < end, "it does not end"
            qt.QApplication.processEvents()
            time.sleep(0.005)

    return until


@pytest.fixture
def model(tmp_path):
    """A small network of two classes that was not trained."""
    config = ModelConfig(width=2, depth=1, padding="same", classes=2)
    save_network(tmp_path / "model.safetensors", build(config), ModelCard(model=config, normalization=Normalization()))
    return tmp_path / "model.safetensors"


@pytest.fixture
def noise():
    """Make an image of noise."""
    return lambda *shape: np.random.default_rng(0).normal(size=shape).astype(np.float32)
