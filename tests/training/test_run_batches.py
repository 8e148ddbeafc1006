"""The second part of a run: when it begins, what it draws from, and which network is kept."""

import pytest
from lightning_fabric import Fabric

from biounet.config import RunConfig
from biounet.data.patches import PatchSampler
from biounet.models import build
from biounet.models.model_file import read_card
from biounet.training.run_batches import RunBatches
from biounet.training.step import State
from runs import SMALL, run, squares


class Second:
    """Samples for the second half of a run: one of the squares."""

    def __init__(self, *, takes_last=False, known=False):
        self.after, self.takes_last, self.known, self.made = 0.5, takes_last, known, []

    def source(self):
        config = RunConfig.preset("default").updated(SMALL)
        samples, geometry = squares()[:1], build(config.model).geometry
        return PatchSampler(samples, geometry, (32, 32), config.augment, config.train)

    def begun(self, step):
        return self.source() if self.known else None

    def begin(self, net, step):
        self.made.append(step)
        return self.source(), "made"


def test_it_begins_once_at_its_share_of_the_run(tmp_path):
    later, steps = Second(), []
    run(tmp_path / "run", options={"later": later}, yielded=steps)
    assert later.made == [4]  # of 8
    assert [step.number for step in steps if step.note == "made"] == [5]


@pytest.mark.parametrize("known", [False, True])
def test_a_run_that_goes_on_draws_what_it_knows(known):
    config = RunConfig.preset("default").updated(SMALL)
    later, state, fabric = Second(known=known, takes_last=True), State.begin(config, "cpu"), Fabric(accelerator="cpu")
    first = PatchSampler(squares()[1:], later.source().geometry, (32, 32), config.augment, config.train)
    batches = RunBatches(first, later, state, fabric, lambda: 0.0)
    assert batches.takes_last == known
    drawn, told = batches.draw(0.0)
    expected = (later.source() if known else first).batch(0)
    assert drawn.image.equal(expected.image)
    assert not told
    batches.draw(0.9)
    assert batches.takes_last
    assert len(later.made) == 1 - known


@pytest.mark.parametrize(("takes_last", "kept"), [(False, 2), (True, 8)])
def test_the_last_network_is_kept_where_too_little_is_held_out(tmp_path, takes_last, kept):
    options = {"later": Second(takes_last=takes_last)}
    run(tmp_path / "run", options=options, scores=[0.9, 0.3, 0.5, 0.4], train__reports=4)
    assert read_card(tmp_path / "run" / "model.safetensors").training["step"] == kept
