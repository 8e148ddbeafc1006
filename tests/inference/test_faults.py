"""Killed, full, torn: what is finished stays, and the second run ends with the bytes of an undisturbed one."""

import multiprocessing
import os
import random
import resource
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from biounet.config import ModelConfig
from biounet.config.object_rules import ObjectRules
from biounet.core.errors import ImageError, OutputError
from biounet.data.normalize import Normalization
from biounet.inference.files import predict_files
from biounet.inference.record import RECORD
from biounet.io import Image, write
from biounet.models import build
from biounet.models.model_file import ModelCard, save_network

pytest.importorskip("zarr")

KILLS = 4
TILE = 32
SIZE = 200  # 7 x 7 tiles


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A model, an image, and the result of an undisturbed run."""
    path = tmp_path_factory.mktemp("faults")
    config = ModelConfig(width=4, depth=2, padding="same")
    # Statistics are those of a training set, so that nothing is read before the first tile.
    card = ModelCard(model=config, normalization=Normalization(offset=(127.0,), scale=(70.0,)))
    save_network(path / "model.safetensors", build(config), card)
    pixels = np.random.default_rng(0).integers(0, 255, (SIZE, SIZE)).astype(np.uint8)
    write(path / "in.zarr", Image(pixels, "YX"))
    run(path, path / "undisturbed" / "out.zarr")
    return path


def run(place: Path, out: Path, **options) -> list[float]:
    """Predict, in numbers that pack alike on any machine; return the shares of the work that were reported."""
    shares: list[float] = []
    options = {"progress": lambda share, text: shares.append(share), "precision": "float32"} | options
    options = {"save": "probabilities", "tile": TILE} | options
    predict_files(place / "model.safetensors", [place / "in.zarr"], out, **options)
    return shares


def run_limited(place: Path, out: Path, largest: int) -> None:
    """Predict where no file may grow beyond `largest` bytes, as on a disk that fills."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    try:
        run(place, out)
    except OutputError as error:
        print(error, flush=True)
        os._exit(2)


@pytest.fixture(scope="module")
def processes():
    """Processes that have torch loaded already, but not used."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["biounet.inference.files"])
    return context


def files(store: Path) -> dict[str, bytes]:
    return {str(path.relative_to(store)): path.read_bytes() for path in sorted(store.rglob("*")) if path.is_file()}


def tiles_done(store: Path) -> int:
    return len([path for path in store.glob("0/c/*/*") if path.suffix != ".partial"])


def test_a_killed_run_is_resumed_to_the_same_bytes(place, processes, tmp_path):
    out = tmp_path / "out.zarr"
    chance = random.Random(0)
    for kill in range(1, KILLS + 1):
        process = processes.Process(target=run, args=(place, out), kwargs={"resume": out.exists()})
        process.start()
        while tiles_done(out) < kill * 49 // (KILLS + 2) and process.is_alive():
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.02))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        done = tiles_done(out)
        assert done > 0
    computed = run(place, out, resume=True)
    assert len(computed) == 49 - done  # whatever is there is not computed again
    assert files(out) == files(place / "undisturbed" / "out.zarr")


def test_a_run_killed_before_its_first_tile_is_resumed(place, tmp_path):
    out = tmp_path / "out.zarr"
    shutil.copytree(place / "undisturbed" / "out.zarr", out)
    shutil.rmtree(out / "0" / "c")
    (out / RECORD).unlink()
    for level in out.glob("[1-9]"):
        shutil.rmtree(level / "c")
    run(place, out, resume=True)
    assert files(out) == files(place / "undisturbed" / "out.zarr")


def test_a_killed_run_leaves_no_tiff_under_the_name(place, processes, tmp_path):
    out = tmp_path / "out.tif"
    process = processes.Process(target=run, args=(place, out))
    process.start()
    while not list(tmp_path.iterdir()):
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not out.exists()
    run(place, out, resume=True)
    assert out.exists()


def test_a_resumed_run_cuts_as_the_first_did(place, tmp_path):
    out = tmp_path / "out.zarr"
    shutil.copytree(place / "undisturbed" / "out.zarr", out)
    shutil.rmtree(out / "0" / "c" / "3")
    assert len(run(place, out, resume=True, tile=None)) == 7
    assert files(out) == files(place / "undisturbed" / "out.zarr")


def test_what_was_made_otherwise_is_not_added_to(place, tmp_path):
    out = tmp_path / "out.zarr"
    shutil.copytree(place / "undisturbed" / "out.zarr", out)
    with pytest.raises(OutputError, match=r"begun with tta False, this run has True.*--overwrite"):
        run(place, out, resume=True, tta=True)
    (out / RECORD).write_text("{")
    with pytest.raises(OutputError, match=r"the text is torn.*--overwrite"):
        run(place, out, resume=True)


def test_a_disk_that_fills_is_said_and_finished_tiles_are_kept(place, processes, tmp_path):
    shutil.copy(place / "model.safetensors", tmp_path)
    pixels = np.random.default_rng(0).integers(0, 255, (SIZE, SIZE)).astype(np.uint8)
    pixels[: 4 * TILE] = 0  # what comes of it is packed into next to nothing: metadata and these chunks fit
    write(tmp_path / "in.zarr", Image(pixels, "YX"))
    out = tmp_path / "out.zarr"
    process = processes.Process(target=run_limited, args=(tmp_path, out, 3000))
    process.start()
    process.join()
    assert process.exitcode == 2
    assert 3 * 7 <= tiles_done(out) < 49
    run(tmp_path, out, resume=True)
    run(tmp_path, tmp_path / "undisturbed" / "out.zarr")
    assert files(out) == files(tmp_path / "undisturbed" / "out.zarr")


def test_a_full_disk_is_seen_before_a_tiff_is_begun(place, monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 90, 10))
    with pytest.raises(OutputError, match="free some room"):
        run(place, tmp_path / "out.tif")
    assert not list(tmp_path.iterdir())


def test_a_torn_chunk_is_named_and_finished_tiles_are_kept(place, tmp_path):
    source, out = tmp_path / "in.zarr", tmp_path / "out.zarr"
    write(source, Image(np.random.default_rng(1).integers(0, 255, (2, SIZE, SIZE)).astype(np.uint8), "TYX"))
    shutil.copytree(source, tmp_path / "whole.zarr")
    chunk = source / "0" / "c" / "1" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:100])
    options = {"save": "classes", "tile": TILE}
    with pytest.raises(ImageError, match=r"chunk 0/c/1/0/0 cannot be read"):
        predict_files(place / "model.safetensors", [source], out, **options)
    kept = len(list(out.glob("0/c/0/*/*")))
    assert kept == 49  # all of the first time point
    shutil.rmtree(source)
    shutil.move(tmp_path / "whole.zarr", source)
    shares: list[float] = []
    options["progress"] = lambda share, text: shares.append(share)
    predict_files(place / "model.safetensors", [source], out, resume=True, **options)
    assert len(shares) == 49


def test_numbered_objects_are_resumed_frame_by_frame(place, tmp_path):
    config = ModelConfig(width=4, depth=2, padding="same")
    card = ModelCard(model=config, normalization=Normalization(), target="foreground")
    save_network(tmp_path / "model.safetensors", build(config), card)
    pixels = np.random.default_rng(1).integers(0, 255, (3, 70, 70)).astype(np.uint8)
    write(tmp_path / "in.zarr", Image(pixels, "TYX"))
    out, lines = tmp_path / "out.zarr", []
    predict_files(tmp_path / "model.safetensors", [tmp_path / "in.zarr"], out, tile=TILE)
    first = files(out)
    shutil.rmtree(out / "0" / "c" / "1")
    predict_files(
        tmp_path / "model.safetensors", [tmp_path / "in.zarr"], out, resume=True, tile=TILE, report=lines.append
    )
    assert lines == ["in.zarr: 9 tiles are left to do"]
    assert files(out) == first


def test_a_frame_of_objects_goes_on_from_the_tiles_it_has(place, tmp_path):
    config = ModelConfig(width=4, depth=2, padding="same", classes=4)
    card = ModelCard(
        model=config, normalization=Normalization(), target="distance", rules=ObjectRules(target="distance")
    )
    save_network(tmp_path / "model.safetensors", build(config), card)
    write(tmp_path / "in.zarr", Image(np.random.default_rng(1).integers(0, 255, (100, 90)).astype(np.uint8), "YX"))

    def stop(share, text):
        if share > 0.5:
            raise KeyboardInterrupt

    def predict(out, **options):
        predict_files(tmp_path / "model.safetensors", [tmp_path / "in.zarr"], out, tile=TILE, **options)

    predict(tmp_path / "undisturbed" / "out.zarr")
    with pytest.raises(KeyboardInterrupt):
        predict(tmp_path / "out.zarr", progress=stop)
    lines = []
    predict(tmp_path / "out.zarr", resume=True, report=lines.append)
    left = int(lines[0].removeprefix("in.zarr: ").split()[0])
    assert 0 < left <= 6  # of 12
    assert files(tmp_path / "out.zarr") == files(tmp_path / "undisturbed" / "out.zarr")
    assert not list(tmp_path.glob(".*.elevation"))
