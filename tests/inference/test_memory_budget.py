"""Memory of a command: what its processes hold together is inside the budget, and said."""

import numpy as np
import pytest

from biounet.config import ModelConfig
from biounet.core.errors import ImageError, MemoryBudgetError
from biounet.data.normalize import Normalization
from biounet.inference.job import Job, JobSettings, load_ensemble
from biounet.inference.memory_budget import MemoryBudget
from biounet.io import Image, write
from biounet.models import build
from biounet.models.model_file import ModelCard, save_network

HELD = 300 * 2**20


@pytest.fixture
def job(tmp_path):
    config = ModelConfig(width=8, depth=2, padding="same")
    card = ModelCard(model=config, normalization=Normalization(), target="foreground")
    save_network(tmp_path / "model.safetensors", build(config), card)
    write(tmp_path / "in.tif", Image(np.zeros((3000, 2000), np.uint8), "YX"))
    settings = JobSettings((tmp_path / "model.safetensors",), tmp_path / "in.tif")
    with Job(settings, load_ensemble(settings)) as job:
        yield job


@pytest.mark.parametrize("processes", [1, 2, 5])
def test_what_is_said_is_of_all_processes_and_inside_the_budget(job, processes):
    copies = processes + (processes > 1)  # where there are workers, this process holds libraries, too
    memory = copies * HELD + processes * 400 * 2**20
    plan = MemoryBudget(memory, HELD, processes, 2**20).plan(job, None, 1)
    assert copies * HELD < plan.bytes <= memory
    assert plan.bytes > 0.8 * memory


def test_workers_that_get_too_little_are_counted(job):
    with pytest.raises(MemoryBudgetError, match=r"^the smallest tile needs"):
        MemoryBudget(HELD, HELD, 1, 2**20).plan(job, None, 1)
    with pytest.raises(MemoryBudgetError, match=r"^for each of 3 workers, the smallest tile needs"):
        MemoryBudget(4 * HELD, HELD, 3, 2**20).plan(job, None, 1)
    job.image.decoding_bytes = 2**30
    with pytest.raises(ImageError, match=r"1\.00 GiB go to what must be decoded .* for each of 3 workers, the"):
        MemoryBudget(4 * 2**30, HELD, 3, 2**20).plan(job, None, 1)
