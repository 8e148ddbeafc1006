"""The store of tiles: what is put is found again, by this process, by others and by later runs."""

import numpy as np
import pytest

from biounet.config import ModelConfig
from biounet.core.errors import OutputError
from biounet.data.normalize import Normalization
from biounet.inference.job import Job, JobSettings, load_ensemble
from biounet.inference.tile_store import TileStore
from biounet.io import Image, read, write
from biounet.models import build
from biounet.models.model_file import ModelCard, save_network

SHAPE = (3, 20, 30)
STEP = (16, 16)


@pytest.fixture
def opened(tmp_path):
    """Opens a job on three sections, cut into four tiles each."""
    write(tmp_path / "in.tif", Image(np.random.default_rng(0).integers(0, 255, SHAPE).astype(np.uint8), "ZYX"))
    config = ModelConfig(width=2, depth=1, padding="same")

    def opened(target, **settings):
        card = ModelCard(model=config, normalization=Normalization(), target=target)
        save_network(tmp_path / "model.safetensors", build(config), card, overwrite=True)
        given = JobSettings((tmp_path / "model.safetensors",), tmp_path / "in.tif", **settings)
        return Job(given, load_ensemble(given), step=STEP)

    return opened


@pytest.mark.parametrize("suffix", [".tif", ".zarr"])
def test_pixels_of_tiles_lie_in_the_result(opened, tmp_path, suffix):
    if suffix == ".zarr":
        pytest.importorskip("zarr")
    path, expected = tmp_path / f"out{suffix}", np.zeros(SHAPE, np.uint8)
    with opened("classes") as job, TileStore.begin(job, path, STEP) as store:
        assert store.left == 12
        for number, task in enumerate(list(store.missing(range(3)))):
            store.put(task, np.full((1, *task.tile.output.shape), number, np.uint8))
            expected[task.frame][task.tile.output.slices] = number
        assert store.left == (0 if store.shared else 12)
    np.testing.assert_array_equal(read(path, labels=True).array, expected)


@pytest.mark.parametrize(("target", "confidence"), [("classes", False), ("foreground", False), ("foreground", True)])
def test_others_put_tiles_and_later_runs_keep_them(opened, tmp_path, target, confidence):
    pytest.importorskip("zarr")

    class StoppedError(Exception):
        """Where a run is stopped."""

    def stop(store):
        tasks = list(store.missing([1]))
        other = TileStore.attach(store.job, store.path)
        for task, put in zip(tasks, (store.put, other.put), strict=False):
            put(task, np.zeros((1 + confidence, *task.tile.output.shape), np.uint8))
        assert not any(store.holds(0, task.tile.output) for task in tasks)
        raise StoppedError

    with opened(target, confidence=confidence) as job:
        with pytest.raises(StoppedError), TileStore.begin(job, tmp_path / "out.zarr", STEP) as store:
            stop(store)
        with TileStore.begin(job, tmp_path / "out.zarr", STEP, resume=True) as store:
            assert store.left == 10
            assert [task.tile.index for task in store.missing([1])] == [(1, 0), (1, 1)]
        assert not store.folder.exists()
        with TileStore.begin(job, tmp_path / "out.zarr", STEP, overwrite=True) as store:
            assert store.left == 12


def test_what_png_cannot_hold_is_refused_before_anything_is_written(opened, tmp_path):
    with opened("classes") as job, pytest.raises(OutputError, match=r"save it as \.tif"):
        TileStore.begin(job, tmp_path / "out.png", STEP)
    assert not (tmp_path / "out.png").exists()
