"""Prediction of several images goes on past a bad one, of which nothing is left."""

import shutil

import numpy as np
import pytest
import tifffile

from biounet.config import ModelConfig
from biounet.core.errors import BatchError
from biounet.data.normalize import Normalization
from biounet.inference.files import predict_files
from biounet.io import Image, read, write
from biounet.models import build
from biounet.models.model_file import ModelCard, save_network


@pytest.fixture
def model(tmp_path):
    return save_model(tmp_path / "model.safetensors", "foreground")


def save_model(path, target):
    config = ModelConfig(width=4, depth=2, padding="same")
    save_network(path, build(config), ModelCard(model=config, normalization=Normalization(), target=target))
    return path


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def holed(array):
    """Copy whose last pixel is no number."""
    array = array.copy()
    array.flat[-1] = np.nan
    return array


def write_batch(folder):
    """Four images, of which the second has a pixel that is no number, and the third is torn."""
    for name in "abcd":
        write(folder / f"{name}.tif", Image(noise(40, 50), "YX"))
    tifffile.imwrite(folder / "b.tif", holed(noise(40, 50)))
    (folder / "c.tif").write_bytes((folder / "c.tif").read_bytes()[:300])


def everything(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_others_are_done_and_carried_by_the_error(model, tmp_path):
    write_batch(tmp_path / "in")
    out, lines = tmp_path / "out", []
    for resume in (False, True):
        lines.clear()
        with pytest.raises(BatchError, match=r"^2 of 4 images .* b\.tif, c\.tif; .* --resume$") as caught:
            predict_files(model, [tmp_path / "in"], out, resume=resume, report=lines.append)
        assert caught.value.done == [out / "a.tif", out / "d.tif"]
        assert [path.name for path in caught.value.failures] == ["b.tif", "c.tif"]
        assert ["b.tif" in line for line in lines[-2:]] == [True, False]
        assert "c.tif cannot be read as TIFF" in lines[-1]
        assert everything(out) == ["a.tif", "d.tif"]
    before = (out / "a.tif").read_bytes()
    for name in "bc":
        write(tmp_path / "in" / f"{name}.tif", Image(noise(40, 50), "YX"), overwrite=True)
    assert len(predict_files(model, [tmp_path / "in"], out, resume=True)) == 4
    assert (out / "a.tif").read_bytes() == before
    np.testing.assert_array_equal(read(out / "c.tif").array, read(out / "a.tif").array)


def test_images_that_are_missing_or_do_not_fit_are_failures_too(model, tmp_path):
    write(tmp_path / "a.tif", Image(noise(40, 50), "YX"))
    write(tmp_path / "b.tif", Image(noise(3, 40, 50), "CYX"))
    inputs = [tmp_path / name for name in ("nothing.tif", "b.tif", "a.tif")]
    with pytest.raises(BatchError, match="2 of 3") as caught:
        predict_files(model, inputs, tmp_path / "out")
    assert list(caught.value.failures) == inputs[:2]
    assert everything(tmp_path / "out") == ["a.tif"]


@pytest.mark.parametrize("target", ["foreground", "classes"])
def test_nothing_half_written_is_left_of_a_zarr(tmp_path, target):
    pytest.importorskip("zarr")
    model, films = save_model(tmp_path / "model.safetensors", target), tmp_path / "in"
    write(films / "a.zarr", Image(noise(8, 40, 50), "TYX"))
    write(films / "b.zarr", Image(holed(noise(8, 40, 50)), "TYX"))
    shares = []
    with pytest.raises(BatchError, match=r"1 of 2 images .*NaN"):
        predict_files(
            model, [films], tmp_path / "out", confidence=True, progress=lambda share, text: shares.append(share)
        )
    assert max(shares) > 0.5, "frames of b.zarr were predicted"
    assert [name for name in everything(tmp_path / "out") if "b.zarr" in name] == []
    assert (tmp_path / "out" / "a.zarr").is_dir()


def test_what_an_earlier_run_has_begun_is_kept(model, tmp_path):
    pytest.importorskip("zarr")
    films, out = tmp_path / "in", tmp_path / "out"
    write(films / "a.zarr", Image(noise(3, 40, 50), "TYX"))

    def stop(share, text):
        if share > 0.6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_files(model, [films / "a.zarr"], out, progress=stop)
    (films / "a.zarr").rename(tmp_path / "as it was.zarr")
    write(films / "a.zarr", Image(holed(noise(3, 40, 50)), "TYX"))
    write(films / "b.zarr", Image(noise(3, 40, 50), "TYX"))
    with pytest.raises(BatchError, match="1 of 2 images"):
        predict_files(model, [films], out, resume=True)
    shutil.rmtree(films / "a.zarr")
    (tmp_path / "as it was.zarr").rename(films / "a.zarr")
    lines = []
    predict_files(model, [films], out, resume=True, report=lines.append)
    assert "a.zarr: 1 tiles are left to do" in lines
    np.testing.assert_array_equal(read(out / "a.zarr").array, read(out / "b.zarr").array)


def test_a_result_that_was_to_be_replaced_stays_if_its_image_is_torn(model, tmp_path):
    for name in "ab":
        write(tmp_path / "in" / f"{name}.tif", Image(noise(40, 50), "YX"))
    _, old = predict_files(model, [tmp_path / "in"], tmp_path / "out")
    before = old.read_bytes()
    (tmp_path / "in" / "b.tif").write_bytes(b"torn")
    with pytest.raises(BatchError):
        predict_files(model, [tmp_path / "in"], tmp_path / "out", overwrite=True)
    assert old.read_bytes() == before
