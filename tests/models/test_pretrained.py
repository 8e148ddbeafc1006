"""Weights of public classifiers in our trunks: the same layout, and clear words where they are of another network."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from biounet.config import ModelConfig
from biounet.core.errors import ConfigError, ModelFileError
from biounet.models import build
from biounet.models.model_file import load_network
from biounet.models.pretrained import check_model, load_pretrained
from biounet.models.vgg import LEVELS
from runs import experiment, run


def public_layout(depth: int, *, norm: bool = False, width: int = 2) -> dict[str, torch.Tensor]:
    """Random weights with the names of the torchvision files, numbered as models/vgg.py of torchvision does."""
    generator, weights, number, channels = torch.Generator().manual_seed(depth), {}, 0, 3
    for level, convolutions in enumerate(LEVELS[depth]):
        after = width * min(2**level, 8)
        for _ in range(convolutions):
            shapes = {f"{number}.weight": (after, channels, 3, 3), f"{number}.bias": (after,)}
            if norm:
                names = ("weight", "bias", "running_mean", "running_var")
                shapes |= {f"{number + 1}.{name}": (after,) for name in names}
            weights |= {f"features.{name}": torch.rand(shape, generator=generator) for name, shape in shapes.items()}
            number, channels = number + (3 if norm else 2), after
        number += 1
    for name, before, after in (("0", channels * 49, 64 * width), ("3", 64 * width, 64 * width), ("6", 64 * width, 10)):
        weights[f"classifier.{name}.weight"] = torch.rand(after, before, generator=generator)
        weights[f"classifier.{name}.bias"] = torch.rand(after, generator=generator)
    return weights


@pytest.fixture
def file(tmp_path):
    def write(*args, **options):
        save_file(public_layout(*args, **options), tmp_path / "vgg.safetensors")
        return tmp_path / "vgg.safetensors"

    return write


def settled(name: str, **settings) -> ModelConfig:
    return ModelConfig(**({"name": name, "width": 2, "padding": "same", "dropout": 0.0} | settings))


def made(name: str, **settings) -> nn.Module:
    return build(settled(name, **settings)).eval()


def test_the_layout_of_this_test_is_the_public_one():
    # Names as listed in the state dicts of torchvision: last convolutions of vgg11, vgg11_bn, vgg16 and vgg16_bn.
    for depth, norm, last in ((11, False, 18), (11, True, 25), (16, False, 28), (16, True, 40)):
        names = public_layout(depth, norm=norm)
        assert f"features.{last}.weight" in names
        assert max(int(name.split(".")[1]) for name in names if name.startswith("features.")) == last + norm


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize(("name", "depth"), [("ternausnet", 11), ("fcn-8s", 16)])
def test_trunks_take_public_weights(file, name, depth, norm):
    net = made(name, in_channels=3, norm="batch" if norm else "none")
    before = {key: value.clone() for key, value in net.state_dict().items()}
    check_model(settled(name, norm="batch" if norm else "none", pretrained=str(file(depth, norm=norm))))
    load_pretrained(net, file(depth, norm=norm))
    given = public_layout(depth, norm=norm)
    taken = 0
    for key, value in net.state_dict().items():
        if key in given and not key.startswith("classifier.6"):
            assert torch.equal(value, given[key].view(value.shape)), key
            taken += 1
        else:
            assert torch.equal(value, before[key]), key
    assert taken == len(given) - (2 if name == "fcn-8s" else 6)


def test_a_convolution_of_7x7_is_the_fully_connected_layer(file):
    net = made("fcn-32s")
    load_pretrained(net, file(16))
    given = public_layout(16)
    maps = torch.randn(1, 16, 7, 7, generator=torch.Generator().manual_seed(0))
    expected = nn.functional.linear(maps.flatten(1), given["classifier.0.weight"], given["classifier.0.bias"])
    torch.testing.assert_close(net.classifier[0](maps).flatten(1), expected)


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_an_image_of_other_channels_counts_as_grey(file, channels):
    grey = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    responses = []
    for number in (3, channels):
        net = made("ternausnet", in_channels=number)
        load_pretrained(net, file(11))
        responses.append(net.features(grey.expand(-1, number, -1, -1)))
    torch.testing.assert_close(*responses, rtol=1e-4, atol=0)


@pytest.mark.parametrize(
    ("given", "settings", "words"),
    [
        ({"depth": 16}, {}, r"stands on vgg11, the weights are of vgg16 .*; get .* 'biounet download vgg11 --out DIR'"),
        (
            {"depth": 11},
            {"norm": "batch"},
            r"stands on vgg11_bn, .* are of vgg11 .*; set model.norm=none, or get .* 'biounet download vgg11_bn",
        ),
        (
            {"depth": 11, "norm": True},
            {},
            r"stands on vgg11, .* are of vgg11_bn .*; set model.norm=batch, or get .* 'biounet download vgg11 ",
        ),
        ({"depth": 11, "width": 4}, {}, r"the shape \(4, 3, 3, 3\), .* wants \(2, 1, 3, 3\); .* model.width=64"),
    ],
)
def test_weights_of_another_network_are_refused(file, given, settings, words):
    path = file(given.pop("depth"), **given)
    with pytest.raises(ModelFileError, match=words) as caught:
        load_pretrained(made("ternausnet", **settings), path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelFileError) as known_before:
        check_model(settled("ternausnet", pretrained=str(path), **settings))
    assert str(known_before.value) == str(caught.value)


def refused_unchanged(name: str, weights: dict[str, torch.Tensor], path, words: str) -> None:
    """The weights are refused in one line, and the network keeps all of its own."""
    save_file(weights, path)
    net = made(name, in_channels=3)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    with pytest.raises(ModelFileError, match=words) as caught:
        load_pretrained(net, path)
    assert "\n" not in str(caught.value)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def channels_last(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.movedim(1, -1).contiguous() if value.dim() == 4 else value for name, value in weights.items()}


@pytest.mark.parametrize(("name", "depth", "first"), [("ternausnet", 11, 3), ("fcn-8s", 16, 2)])
def test_as_many_numbers_in_another_order_are_refused(tmp_path, name, depth, first):
    # The first layer is 3 x 3 x 3 in either order; the next one tells.
    words = (
        rf"features.{first}.weight has the shape \(\d+, 3, 3, 2\), the network wants \(\d+, 2, 3, 3\); take the file"
    )
    refused_unchanged(name, channels_last(public_layout(depth)), tmp_path / "last.safetensors", words)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("weight", (128, 7, 7, 16)), ("weight", (128, 784, 1)), ("weight", (784, 128)), ("bias", (1, 128))],
)
def test_only_fully_connected_layers_become_convolutions(tmp_path, name, shape):
    name, weights = f"classifier.0.{name}", public_layout(16)
    weights[name] = weights[name].reshape(shape)
    refused_unchanged("fcn-8s", weights, tmp_path / "vgg.safetensors", rf"{name} has the shape")


def test_flat_filters_are_refused(tmp_path):
    weights = {name: value.flatten(1) if value.dim() == 4 else value for name, value in public_layout(11).items()}
    refused_unchanged("ternausnet", weights, tmp_path / "vgg.safetensors", r"features.0.weight has the shape \(2, 27\)")


@pytest.mark.parametrize("missing", [True, False])
def test_a_network_without_vgg_is_refused_whatever_the_file(file, missing):
    path = "missing.safetensors" if missing else str(file(11))
    with pytest.raises(ConfigError, match=r"UNet takes no public weights.* ternausnet or an fcn"):
        check_model(settled("unet", pretrained=path))


def test_what_is_no_safetensors_file_is_said(tmp_path):
    path = tmp_path / "vgg11.pth"
    with pytest.raises(ModelFileError, match=r"is missing; get the weights with 'biounet download vgg11 --out"):
        load_pretrained(made("ternausnet"), path)
    torch.save(public_layout(11), path)
    with pytest.raises(
        ModelFileError, match=rf"no safetensors file .*'biounet download vgg11 --from {path} --out DIR'"
    ):
        load_pretrained(made("ternausnet"), path)
    torn = path.rename(tmp_path / "vgg11.safetensors")
    with pytest.raises(ModelFileError, match=r"torn .*'biounet download vgg11 --out DIR'"):
        check_model(settled("ternausnet", pretrained=str(torn)))


def test_training_begins_with_them_and_its_model_stands_alone(file, tmp_path):
    path, settings = file(11), {"model__name": "ternausnet", "model__width": 2, "model__norm": "none"}
    settings |= {"model__pretrained": str(path), "train__steps": 1, "train__learning_rate": 1e-9}
    run(tmp_path / "run", **settings)
    path.unlink()
    net, card = load_network(tmp_path / "run")
    assert card.model.pretrained == str(path)
    for name, given in public_layout(11).items():
        if name.startswith("features.") and name != "features.0.weight":
            torch.testing.assert_close(net.state_dict()[name], given, atol=1e-6, rtol=0)
    assert run(tmp_path / "run", resume=True, **settings) == []


def test_weights_of_another_network_are_said_before_anything_is_written(file, tmp_path):
    settings = {"model.name": "ternausnet", "model.norm": "none", "model.pretrained": str(file(16))}
    with pytest.raises(ModelFileError, match="weights are of vgg16"):
        list(experiment(tmp_path / "run", **settings).run())
    assert not (tmp_path / "run").exists()
