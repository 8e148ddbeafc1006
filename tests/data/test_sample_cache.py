"""Samples in files give the patches of samples in memory, and are there whole or not at all."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from biounet.config import RunConfig
from biounet.core.errors import OutputError, TrainingError
from biounet.core.labels import IGNORE
from biounet.data import sample_cache
from biounet.data.annotated_image import AnnotatedImage
from biounet.data.augment import Sample
from biounet.data.patches import PatchSampler
from biounet.data.sample_cache import SampleFiles, SamplesOnDevice, choose_sample_device, free_bytes
from biounet.data.training_set import TrainingSet
from biounet.models.receptive_field import unet_geometry

CPU = torch.device("cpu")


def samples(*, weighted=True):
    rng = np.random.default_rng(0)
    found = []
    for shape in ((40, 50), (90, 30), (12, 12)):
        labels = torch.from_numpy(rng.integers(IGNORE, 3, shape))
        image = torch.from_numpy(rng.normal(size=(2, *shape)).astype(np.float32))
        found.append(Sample(image, labels, torch.rand(shape) if weighted else None))
    return found


def stored(folder, found):
    kept = SampleFiles(folder, len(found))
    kept.prepare([len(sample.labels) for sample in found], lambda number: [found[number]])
    return kept


def test_samples_on_a_device_are_taken_whole_and_once():
    found, store, asked = samples(), SamplesOnDevice(torch.device("meta")), []
    for _ in range(2):
        store.prepare([40, 90, 12], lambda number: asked.append(number) or [found[number]])
    assert (len(store), asked) == (3, [0, 1, 2])
    assert {tensor.device.type for tensor in store[1]} == {"meta"}


def source(found, *, padded=True, device=None):
    config = RunConfig.preset("default").updated({"train.batch": 4, "train.oversample": 0.5})
    geometry = unet_geometry(((2, 2),) * 2, padded=padded)
    size = (32, 32) if padded else geometry.input_size((20, 20))
    return PatchSampler(found, geometry, size, config.augment, config.train, device)


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_patches_from_files_are_those_from_memory_to_the_bit(tmp_path, padded, weighted):
    found = samples(weighted=weighted)
    here = source(found, padded=padded).batches(3)
    there = source(stored(tmp_path, found), padded=padded, device=CPU).batches(3)
    for _ in range(4):
        for ours, theirs in zip(vars(next(here)).values(), vars(next(there)).values(), strict=True):
            assert (ours is None and theirs is None) or (torch.equal(ours, theirs) and ours.dtype == theirs.dtype)
    there.close()


def test_images_to_draw_stay_as_they_are(tmp_path):
    image = torch.rand(1, 20, 20)
    kept = SampleFiles(tmp_path, 1)
    kept.prepare([20], lambda number: [Sample(image, image / 3)])
    (sample,) = kept
    assert torch.equal(sample.labels, image / 3)


def test_what_is_there_is_not_made_again_and_processes_share_the_work(tmp_path):
    made = []
    kept = SampleFiles(tmp_path, 3)
    for rank in (0, 1, 0):
        kept.prepare([40, 90, 12], lambda number: made.append(number) or [samples()[number]], rank=rank, ranks=2)
    assert made == [0, 2, 1]


@pytest.mark.parametrize("shape", [(40, 50), (3, 40, 50)])
def test_strips_of_an_image_make_the_files_of_the_whole(tmp_path, shape):
    whole = Sample(torch.rand(2, *shape), torch.randint(IGNORE, 3, shape), torch.rand(shape))
    for name, cuts in (("whole", []), ("strips", [1, 13, 20])):
        edges = [0, *cuts, 40]
        strips = [
            Sample(*(tensor.narrow(-2, first, last - first) for tensor in whole)) for first, last in pairwise(edges)
        ]
        SampleFiles(tmp_path / name, 1).prepare([40], lambda _, strips=strips: strips)
    for file in ("image", "labels", "weights"):
        paths = [tmp_path / name / "0" / f"{file}.npy" for name in ("whole", "strips")]
        assert paths[0].read_bytes() == paths[1].read_bytes()
        np.testing.assert_array_equal(np.load(paths[0]), getattr(whole, file).numpy())


def test_a_sample_that_cannot_be_written_is_not_there(tmp_path, monkeypatch):
    def full(file, strip):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sample_cache.RowsFile, "add", full)
    with pytest.raises(OutputError, match="the disk is full"):
        stored(tmp_path, samples())
    with pytest.raises(TrainingError, match="0 is gone"):
        SampleFiles(tmp_path, 3)[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "kind", "bytes_per_pixel"),
    [
        ({}, "classes", 8 + 8),
        ({"train.class_balance": True}, "classes", 8 + 8 + 4),
        ({"train.border_weight": 1.0}, "classes", 8 + 8 + 4),
        ({"train.border_weight": 1.0}, "images", 8 + 4),
    ],
)
def test_samples_are_on_the_gpu_if_its_share_of_free_memory_holds_them(monkeypatch, settings, kind, bytes_per_pixel):
    """Two images of 20 pixels and two channels; those to draw have one."""
    labels = np.zeros((1, 4, 5) if kind == "images" else (4, 5), np.int64)
    images = [
        AnnotatedImage(name, np.zeros((2, 4, 5), np.float32), labels, np.zeros((4, 5), np.int64)) for name in "ab"
    ]
    data = TrainingSet(images, [], kind, ())
    config = RunConfig.preset("default").updated({"train.memory": 0.25, **settings})
    device = torch.device("cuda", 0)
    needed = 40 * bytes_per_pixel
    monkeypatch.setattr(sample_cache, "free_bytes", lambda _: 4.0 * needed)
    assert choose_sample_device(data, config, device) == (device, "")
    monkeypatch.setattr(sample_cache, "free_bytes", lambda _: 4.0 * needed - 1)
    sample_device, why = choose_sample_device(data, config, device)
    assert sample_device == CPU
    assert "the processor cuts the patches" in why


def test_memory_of_a_processor_is_told_elsewhere():
    assert free_bytes(CPU) == np.inf
