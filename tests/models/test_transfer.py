"""Weights of one network for another: what fits is taken, grey images give the same, others are refused."""

import pytest
import torch

from biounet.config import ModelConfig
from biounet.core.errors import ConfigError
from biounet.models import MODELS, build
from biounet.models.transfer import plan_transfer, transfer

WIDTHS = {"ternausnet": 8, "fcn-32s": 8, "fcn-16s": 8, "fcn-8s": 8, "dense-unet": 8}


def config_of(name: str, **settings) -> ModelConfig:
    dims = 3 if name == "unet3d" else 2
    return ModelConfig(name=name, dims=dims, width=WIDTHS.get(name, 4), depth=2, dropout=0.0, **settings)


def begun(source: ModelConfig, wanted: ModelConfig, *, new_head: bool = False):
    """A trained network, one that begins with it, and the plan."""
    before, after = build(source, seed=1).eval(), build(wanted, seed=2).eval()
    plan = plan_transfer(source, wanted, new_head=new_head)
    transfer(after, before.state_dict(), plan)
    return before, after, plan


@pytest.mark.parametrize("name", MODELS)
def test_all_weights_are_taken_where_channels_and_classes_are_the_same(name):
    config = config_of(name)
    before, after, plan = begun(config, config)
    assert set(plan.taken) == set(before.state_dict())
    assert all(torch.equal(value, before.state_dict()[key]) for key, value in after.state_dict().items())


@pytest.mark.parametrize("name", MODELS)
def test_another_number_of_classes_draws_some_weights_anew_and_takes_most(name):
    before, after, plan = begun(config_of(name), config_of(name, classes=5))
    assert plan.drawn
    assert not plan.adapted
    assert len(plan.taken) > 2 * len(plan.drawn)
    taken = before.state_dict()
    assert all(torch.equal(after.state_dict()[key], taken[key]) for key in plan.taken)


@pytest.mark.parametrize("channels", [(1, 3), (3, 1), (2, 3), (3, 2)])
def test_a_grey_image_gives_the_same_logits_in_other_channels(channels):
    source, wanted = (config_of("unet", in_channels=count) for count in channels)
    before, after, plan = begun(source, wanted)
    assert plan.adapted == ("contracting.0.0.weight",)
    grey = torch.randn(1, 1, 60, 60, generator=torch.Generator().manual_seed(0))
    wide = [grey.expand(-1, count, -1, -1) for count in channels]
    assert torch.allclose(before(wide[0]), after(wide[1]), atol=1e-5)


def test_a_first_layer_that_takes_other_maps_too_is_drawn_or_adapted_never_of_a_wrong_shape():
    for name in MODELS:
        _, after, plan = begun(config_of(name), config_of(name, in_channels=3))
        assert plan.adapted or plan.drawn
        assert set(plan.taken) | set(plan.adapted) | set(plan.drawn) == set(after.state_dict())


def test_the_output_layer_is_drawn_where_it_means_something_else():
    before, after, plan = begun(config_of("unet"), config_of("unet"), new_head=True)
    assert plan.drawn == ("head.weight", "head.bias")
    assert not torch.equal(before.state_dict()["head.weight"], after.state_dict()["head.weight"])


@pytest.mark.parametrize(
    ("field", "value"), [("width", 8), ("depth", 1), ("norm", "batch"), ("name", "unet++"), ("coarse", 2)]
)
def test_another_architecture_is_refused_by_the_name_of_the_setting(field, value):
    source = config_of("unet", padding="same")
    with pytest.raises(ConfigError, match=rf"^model\.{field} is .* leave model\.{field} out"):
        plan_transfer(source, source.model_copy(update={field: value}))
