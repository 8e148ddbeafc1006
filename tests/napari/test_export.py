"""A model is written for another program from the window."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.filterwarnings("ignore")  # napari and its libraries have warnings of their own


def test_a_model_is_written(viewer, dock, wait, model, tmp_path):
    panel = dock("Export")
    panel.worker.run()
    wait(lambda: panel.worker.thread is None)
    assert panel.worker.line.value.startswith("a model is wanted")
    panel.model.value, panel.out.value = model, tmp_path / "model.zip"
    panel.to.value = "torchscript"
    assert Path(panel.out.value) == tmp_path / "model.pt"
    assert not panel.author.enabled
    panel.worker.run()
    wait(lambda: panel.worker.thread is None)
    assert (tmp_path / "model.pt").is_file(), panel.worker.line.value
    assert "differs from biounet by at most" in panel.worker.line.value
