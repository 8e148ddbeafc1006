"""No result is of two images: one that changes while it is predicted, or before a resumed run, is told."""

import json
import os
import shutil

import numpy as np
import pytest

from biounet.config import ModelConfig
from biounet.core.errors import BatchError, ImageError, ModelFileError, OutputError
from biounet.data.normalize import Normalization
from biounet.inference import job as jobs
from biounet.inference.files import predict_files, run_here
from biounet.inference.record import RECORD
from biounet.inference.tile_store import TileStore
from biounet.io import Image, open_lazily, read, write
from biounet.models import build
from biounet.models.model_file import ModelCard, save_network

SIZE, TILE = 70, 32


class StoppedError(Exception):
    """The process is killed."""


@pytest.fixture
def model(tmp_path):
    config = ModelConfig(width=2, depth=1, padding="same")
    path = tmp_path / "model.safetensors"
    save_network(
        path, build(config), ModelCard(model=config, normalization=Normalization(offset=(99.0,), scale=(9.0,)))
    )
    return path


def draw(path, seed, overwrite=False):
    pixels = np.random.default_rng(seed).integers(0, 255, (SIZE, SIZE)).astype(np.uint8)
    write(path, Image(pixels, "YX"), overwrite=overwrite)
    return path


def after_two_tiles(change):
    """Computer of tiles, which changes something once two tiles are done."""

    def run(job, tasks, store, *, batch):
        for done, count in enumerate(run_here(job, tasks, store, batch=batch)):
            if done == 2:
                change()
            yield count

    return run


def kill():
    raise StoppedError


def replaced_by_name(path):
    draw(path.with_name(f"other{path.suffix}"), 2)
    shutil.rmtree(path) if path.is_dir() else None
    path.with_name(f"other{path.suffix}").rename(path)


def overwritten_in_place(path):
    if path.is_dir():
        other = draw(path.with_name("other.zarr"), 2)
        for file in (file for file in other.rglob("*") if file.is_file()):
            (path / file.relative_to(other)).write_bytes(file.read_bytes())
    else:
        content = draw(path.with_name("other.tif"), 2).read_bytes()
        with path.open("r+b") as stream:
            stream.write(content)


def deleted(path):
    shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize("change", [replaced_by_name, overwritten_in_place, deleted])
@pytest.mark.parametrize("suffix", [".tif", ".zarr"])
@pytest.mark.parametrize("out", ["out.tif", "out.zarr"])
def test_an_image_that_changes_while_it_is_predicted_gives_no_result(model, tmp_path, suffix, out, change):
    source = draw(tmp_path / f"in{suffix}", 1)
    run = after_two_tiles(lambda: change(source))
    with pytest.raises(ImageError, match=rf"in{suffix}"):
        predict_files(model, [source], tmp_path / out, save="probabilities", tile=TILE, run=run)
    with pytest.raises(ImageError, match=r"no such file|not complete"):
        open_lazily(tmp_path / out)


@pytest.mark.parametrize("change", [replaced_by_name, overwritten_in_place])
@pytest.mark.parametrize("suffix", [".tif", ".zarr"])
def test_a_run_that_was_killed_goes_on_with_the_same_image_only(model, tmp_path, suffix, change):
    source, out = draw(tmp_path / f"in{suffix}", 1), tmp_path / "out.zarr"
    options = {"save": "probabilities", "tile": TILE}
    predict_files(model, [source], tmp_path / "whole.zarr", **options)
    with pytest.raises(StoppedError):
        predict_files(model, [source], out, **options, run=after_two_tiles(kill))
    kept = source.with_name(f"kept{suffix}")
    source.rename(kept)
    draw(source, 3)
    change(source)
    with pytest.raises(ImageError, match=r"out.zarr was begun with another in.* --overwrite, or put the image back"):
        predict_files(model, [source], out, **options, resume=True)
    deleted(source)
    kept.rename(source)
    predict_files(model, [source], out, **options, resume=True)
    np.testing.assert_array_equal(read(out).array, read(tmp_path / "whole.zarr").array)


@pytest.mark.parametrize("suffix", [".zarr", ".tif"])
def test_a_complete_result_is_not_taken_for_that_of_another_image(model, tmp_path, suffix):
    source, out = draw(tmp_path / "in.tif", 1), tmp_path / f"out{suffix}"
    predict_files(model, [source], out, save="classes")
    predict_files(model, [source], out, save="classes", resume=True)
    draw(source, 2, overwrite=True)
    with pytest.raises(ImageError, match=r"begun with another in.tif"):
        predict_files(model, [source], out, save="classes", resume=True)


def test_of_a_folder_only_results_of_the_same_settings_are_kept(model, tmp_path):
    images = [draw(tmp_path / "in" / f"{name}.png", number) for number, name in enumerate("ab")]
    out, lines = tmp_path / "out", []
    predict_files(model, images, out, save="classes")
    other = predict_files(model, images[:1], tmp_path / "other", save="classes", tta=True)
    os.replace(other[0], out / "a.tif")
    with pytest.raises(OutputError, match=r"a\.tif was begun with tta True, this run has False"):
        predict_files(model, images, out, save="classes", resume=True)
    again = predict_files(model, images, out, save="classes", resume=True, overwrite=True, report=lines.append)
    assert lines[-1] == f"{again[1]} is complete already"
    assert f"{again[0]} is complete already" not in lines
    predict_files(model, images, out, save="classes", resume=True, report=lines.append)
    assert lines[-2:] == [f"{path} is complete already" for path in again]


def test_a_result_that_holds_no_record_is_kept_if_it_is_younger_than_its_image(model, tmp_path):
    source, out = draw(tmp_path / "in.tif", 1), tmp_path / "out.png"
    predict_files(model, [source], out, save="classes")
    predict_files(model, [source], out, save="classes", resume=True)
    os.utime(source)
    with pytest.raises(OutputError, match=r"out.png is older than in.tif"):
        predict_files(model, [source], out, save="classes", resume=True)


@pytest.mark.parametrize(
    "said", ["nothing", None, {"files": 1}, {"files": "x", "size": [], "changed": None, "digest": 3}]
)
def test_a_record_that_does_not_say_which_image_is_no_proof(model, tmp_path, said):
    source, out = draw(tmp_path / "in.tif", 1), tmp_path / "out.zarr"
    predict_files(model, [source], out, save="classes")
    record = json.loads((out / RECORD).read_text())
    (out / RECORD).write_text(json.dumps({**record, "input": said}))
    words = r"begun with another in\.tif|biounet\.json.*input"
    with pytest.raises((ImageError, OutputError), match=words):
        predict_files(model, [source], out, save="classes", resume=True)


def test_the_others_of_a_batch_are_predicted(model, tmp_path):
    images = [draw(tmp_path / f"{name}.tif", number) for number, name in enumerate("abc")]
    changed = []

    def change():
        if not changed:
            changed.append(overwritten_in_place(images[0]))

    with pytest.raises(BatchError, match=r"1 of 3 images could not be predicted: a.tif changed while") as caught:
        predict_files(model, images, tmp_path / "out", save="classes", tile=TILE, run=after_two_tiles(change))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["b.tif", "c.tif"]
    assert [path.name for path in caught.value.done] == ["b.tif", "c.tif"]


def test_a_change_is_found_long_before_the_end(model, tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "LOOK", -1.0)
    monkeypatch.setattr(jobs, "RARELY", 0)
    source, done = draw(tmp_path / "in.tif", 1), []
    run = after_two_tiles(lambda: os.utime(source))
    options = {"save": "classes", "tile": 4, "progress": lambda *_: done.append(1)}
    with pytest.raises(ImageError, match=r"in.tif changed while it was predicted"):
        predict_files(model, [source], tmp_path / "out.tif", **options, run=run)
    assert len(done) < 10  # of 18 x 18


@pytest.mark.parametrize("other", [False, True])
def test_a_chunk_that_could_not_be_read_may_be_put_right_but_no_other(model, tmp_path, other):
    source, out = draw(tmp_path / "in.zarr", 1), tmp_path / "out.zarr"
    shutil.rmtree(source)
    pixels = np.random.default_rng(1).integers(0, 255, (3, SIZE, SIZE)).astype(np.uint8)
    write(source, Image(pixels, "TYX"))
    predict_files(model, [source], tmp_path / "whole.zarr", save="classes")
    last, first = source / "0/c/2/0/0", source / "0/c/0/0/0"
    whole = last.read_bytes()
    last.write_bytes(whole[:50])
    with pytest.raises(ImageError, match="chunk 0/c/2/0/0 cannot be read"):
        predict_files(model, [source], out, save="classes")
    last.write_bytes(whole)
    if other:
        os.utime(first)
        with pytest.raises(ImageError, match=r"begun with another in.zarr"):
            predict_files(model, [source], out, save="classes", resume=True)
        return
    predict_files(model, [source], out, save="classes", resume=True)
    np.testing.assert_array_equal(read(out).array, read(tmp_path / "whole.zarr").array)
    assert "damaged" not in json.loads((out / RECORD).read_text())


def test_a_model_that_is_gone_before_its_result_is_begun_is_told(model, tmp_path, monkeypatch):
    begin = TileStore.begin

    def without_the_model(*given, **options):
        model.unlink()
        return begin(*given, **options)

    monkeypatch.setattr(TileStore, "begin", without_the_model)
    with pytest.raises(ModelFileError, match="is gone since it was read"):
        predict_files(model, [draw(tmp_path / "in.tif", 1)], tmp_path / "out.zarr", save="classes")
