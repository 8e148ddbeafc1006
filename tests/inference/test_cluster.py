"""Many processes give the bytes of one; a lost worker is made up for."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from biounet.config import ModelConfig
from biounet.core.errors import BatchError, ClusterError, ImageError
from biounet.data.normalize import Normalization
from biounet.inference.cluster import Cluster, join_scheduler, local_workers
from biounet.inference.confidence_sums import KeptSums
from biounet.inference.files import predict_files
from biounet.io import Image, read, write
from biounet.models import build
from biounet.models.model_file import ModelCard, save_network

pytest.importorskip("distributed")
pytest.importorskip("zarr")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

TILES = 36


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("cluster")
    config = ModelConfig(width=4, depth=2, padding="same")
    save_network(path / "model.safetensors", build(config), ModelCard(model=config, normalization=Normalization()))
    pixels = np.random.default_rng(0).integers(0, 255, (180, 180)).astype(np.uint8)
    write(path / "in.zarr", Image(pixels, "YX"))
    predict(path, path / "one" / "out.zarr")
    return path


@pytest.fixture(scope="module")
def workers():
    with local_workers(2) as cluster:
        yield cluster


def predict(place: Path, out: Path, source: str = "in.zarr", **options) -> None:
    options = {"save": "probabilities", "tile": 32} | options
    predict_files(place / "model.safetensors", [place / source], out, **options)


def files(store: Path) -> dict[str, bytes]:
    return {str(path.relative_to(store)): path.read_bytes() for path in sorted(store.rglob("*")) if path.is_file()}


def test_workers_write_the_same_bytes(place, workers, tmp_path):
    predict(place, tmp_path / "out.zarr", run=workers)
    assert files(tmp_path / "out.zarr") == files(place / "one" / "out.zarr")


def test_results_come_back_for_files_that_one_process_writes(place, workers, tmp_path):
    predict(place, tmp_path / "out.tif", run=workers)
    np.testing.assert_array_equal(read(tmp_path / "out.tif").array, read(place / "one" / "out.zarr").array)


def test_workers_keep_the_confidence_of_objects(place, workers, tmp_path):
    config = ModelConfig(width=4, depth=2, padding="same")
    card = ModelCard(model=config, normalization=Normalization(), target="foreground")
    save_network(tmp_path / "model.safetensors", build(config), card)
    kept = []
    for out, options in (("one.zarr", {}), ("many.zarr", {"run": workers}), ("many.tif", {"run": workers})):
        options |= {"tile": 32, "confidence": True}
        predict_files(tmp_path / "model.safetensors", [place / "in.zarr"], tmp_path / out, **options)
        kept += KeptSums(tmp_path / out).of(1)
    assert len(kept[0].labels) > 1
    for sums in kept[1:]:
        np.testing.assert_array_equal(sums.labels, kept[0].labels)
        np.testing.assert_allclose(sums.sums, kept[0].sums, rtol=1e-6)


def test_tiles_of_a_killed_worker_are_computed_by_another(place, workers, tmp_path):
    killed = []

    def kill_once(share: float, text: str) -> None:
        if not killed:
            (pid, *_) = workers.client.run(os.getpid).values()
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    predict(place, tmp_path / "out.zarr", run=workers, progress=kill_once)
    assert killed
    assert files(tmp_path / "out.zarr") == files(place / "one" / "out.zarr")


def test_what_a_worker_cannot_read_is_said_here(place, workers, tmp_path):
    pixels = np.random.default_rng(1).integers(0, 255, (2, 180, 180)).astype(np.uint8)
    config = ModelConfig(width=4, depth=2, padding="same")
    fixed = ModelCard(model=config, normalization=Normalization(offset=(127.0,), scale=(70.0,)))
    save_network(tmp_path / "model.safetensors", build(config), fixed)
    write(tmp_path / "in.zarr", Image(pixels, "TYX"))
    chunk = tmp_path / "in.zarr" / "0" / "c" / "1" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:50])
    with pytest.raises(ImageError, match="chunk 0/c/1/0/0"):
        predict(tmp_path, tmp_path / "out.zarr", run=workers)


def test_a_scheduler_that_is_not_there_is_said():
    with (
        pytest.raises(ClusterError, match=r"no dask scheduler answers at tcp://127.0.0.1:9"),
        join_scheduler("tcp://127.0.0.1:9", patience=1.0),
    ):
        pass


def test_a_scheduler_without_workers_is_said(place, tmp_path):
    import distributed

    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=":0", processes=False) as empty,
        join_scheduler(empty.scheduler_address) as cluster,
        pytest.raises(ClusterError, match="has no workers"),
    ):
        predict(place, tmp_path / "out.zarr", run=cluster)
    assert isinstance(cluster, Cluster)


def test_workers_go_on_past_a_bad_image_of_which_nothing_is_left(place, workers, tmp_path):
    pixels = np.random.default_rng(1).integers(0, 255, (2, 180, 180)).astype(np.uint8)
    config = ModelConfig(width=4, depth=2, padding="same")
    fixed = ModelCard(model=config, normalization=Normalization(offset=(127.0,), scale=(70.0,)))
    save_network(tmp_path / "model.safetensors", build(config), fixed)
    for name in "ab":
        write(tmp_path / "in" / f"{name}.zarr", Image(pixels, "TYX"))
    chunk = tmp_path / "in" / "a.zarr" / "0" / "c" / "1" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:50])
    with pytest.raises(BatchError, match=r"1 of 2 images .*chunk 0/c/1/0/0"):
        predict(tmp_path, tmp_path / "out", source="in", run=workers)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.zarr"]
    predict(tmp_path, tmp_path / "alone.zarr", source="in/b.zarr")
    np.testing.assert_array_equal(read(tmp_path / "out" / "b.zarr").array, read(tmp_path / "alone.zarr").array)
