"""Windows that are coarser around the middle: by hand, and the network on them against window by window."""

import numpy as np
import pytest
import torch

from architectures import make, settings_of
from biounet.config import ModelConfig, RunConfig
from biounet.core.errors import ConfigError
from biounet.data.normalize import Normalization
from biounet.data.synthetic import draw_membranes
from biounet.inference.overlap_tile import predict_array
from biounet.models import build
from biounet.models.foveation import Foveation
from biounet.models.model_file import ModelCard, load_network, save_network
from biounet.models.sliding_window import PixelClassifier
from biounet.training.distributed_layers import drop_by_sample, seed_dropout
from biounet.training.losses import cross_entropy

KINDS = ("blur", "sampling", "both")
SIDES = {"blur": 69, "sampling": 95, "both": 99}


def foveated(kind: str, **settings) -> torch.nn.Module:
    return plain(foveation=kind, **settings)


def plain(**settings) -> torch.nn.Module:
    return make("sliding-window", "valid", window=65, **{"width": 2, "norm": "none"} | settings)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def dot(side: int, y: int, x: int) -> torch.Tensor:
    """A square that is 0 but for a pixel, so far from the middle."""
    image = torch.zeros(1, 1, side, side)
    image[0, 0, side // 2 + y, side // 2 + x] = 1
    return image


@pytest.mark.parametrize("kind", KINDS)
def test_a_constant_stays_what_it_is(kind):
    windows = Foveation(kind)(torch.full((2, 3, SIDES[kind] + 2, SIDES[kind]), 7.0))
    assert windows.shape == (2, 3, 1, 3, 65, 65)
    torch.testing.assert_close(windows, torch.full_like(windows, 7.0))


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_in_the_middle_stay_where_and_what_they_are(kind):
    image = noise(1, 1, SIDES[kind], SIDES[kind])
    (window,) = Foveation(kind)(image).view(-1, 65, 65)
    middle = SIDES[kind] // 2
    for offset in range(-16, 17):
        assert window[32 + offset, 32] == image[0, 0, middle + offset, middle]
        assert window[32, 32 + offset] == image[0, 0, middle, middle + offset]
    # A square in the fovea, which is round: sqrt(11**2 + 11**2) < 16.
    assert torch.equal(window[21:44, 21:44], image[0, 0, middle - 11 : middle + 12, middle - 11 : middle + 12])


def test_blur_makes_disks_that_grow_with_the_distance():
    look = Foveation("blur")
    near = look(dot(69, -20, 0)).view(65, 65)  # 12 from the upper edge: a disk of radius 1 is a cross of 5 pixels
    expected = torch.zeros(65, 65)
    expected[11:14, 32] = expected[12, 31:34] = 1 / 5
    torch.testing.assert_close(near, expected)
    far = look(dot(69, 0, 28)).view(65, 65)  # of radius 2: 1, 3, 5, 3 and 1 pixels
    expected = torch.zeros(65, 65)
    for row, half in zip(range(30, 35), (0, 1, 2, 1, 0), strict=True):
        expected[row, 60 - half : 61 + half] = 1 / 13
    torch.testing.assert_close(far, expected)
    beside = look(dot(69, 0, 34)).view(65, 65)  # the edge averages over pixels beyond it, which are in no window of 65
    assert beside.nonzero().tolist() == [[32, 64]]


def test_sampling_takes_pixels_ever_farther_apart_from_those_of_the_middle():
    look = Foveation("sampling")
    places = [look(dot(95, 0, x)).view(65, 65).nonzero().tolist() for x in range(-47, 48)]
    found = {x: place[0][1] - 32 for x, place in zip(range(-47, 48), places, strict=True) if place}
    assert all(len(place) <= 1 for place in places), "a pixel is sampled once or not at all"
    assert sorted(found.values()) == list(range(-32, 33))
    sampled = list(found)
    assert sampled == [-x for x in reversed(sampled)]
    # As they are up to 16; beyond at n + 15 ((n - 16) / 16)**2: 20 + 0.94, 24 + 3.75 and 32 + 15.
    assert [x for x in sampled if found[x] in (0, 16, 20, 24, 32)] == [0, 16, 21, 28, 47]
    assert set(np.diff(sampled)) == {1, 2, 3}
    rows = look(dot(95, 28, 0)).view(65, 65).nonzero().tolist()
    assert rows == [[32 + 24, 32]], "down as across"


def test_both_samples_what_is_blurred():
    window = Foveation("both")(dot(99, 0, 28)).view(65, 65)
    # Samples at 26, 28 and 30 px, 23, 24 and 25 in the window: the first two have disks of radius 1, the last of 2.
    assert window[32, 32 + 24].item() == pytest.approx(1 / 5)
    assert window[32, 32 + 23].item() == 0
    assert window[32, 32 + 25].item() == pytest.approx(1 / 13)


@pytest.mark.parametrize("kind", KINDS)
def test_the_map_is_linear(kind):
    look, (first, second) = Foveation(kind), noise(2, 1, 1, SIDES[kind], SIDES[kind])
    torch.testing.assert_close(look(2 * first - 3 * second), 2 * look(first) - 3 * look(second))


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_those_of_every_window_by_itself(kind):
    net = foveated(kind, classes=3, in_channels=2)
    twin = plain(classes=3, in_channels=2)
    twin.load_state_dict(net.state_dict())
    classify, look, side = PixelClassifier(twin), Foveation(kind), SIDES[kind]
    image = noise(2, 2, side + 1, side + 2)
    with torch.inference_mode():
        scores = net(image)
        assert scores.shape == (2, 3, 2, 3)
        for y, x in np.ndindex(2, 3):
            window = look(image[:, :, y : y + side, x : x + side])[:, 0, 0]
            torch.testing.assert_close(scores[:, :, y, x], classify(window), atol=1e-5, rtol=1e-5)
    assert scores.std() > 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_it_has_the_weights_of_n3_and_no_others(kind):
    config = ModelConfig(name="sliding-window", window=65, width=4)
    ours, theirs = (build(each).state_dict() for each in (config.model_copy(update={"foveation": kind}), config))
    assert list(ours) == list(theirs)
    assert all(torch.equal(weight, theirs[key]) for key, weight in ours.items())


def test_it_is_saved_and_loaded(tmp_path):
    config = settings_of("sliding-window", "valid", window=65, width=2, foveation="both", norm="none")
    net, path = build(config).eval(), tmp_path / "model.safetensors"
    save_network(path, net, ModelCard(model=config, normalization=Normalization()))
    image = noise(1, 1, 99, 99)
    with torch.inference_mode():
        assert torch.equal(load_network(path)[0].eval()(image), net(image))


@pytest.mark.parametrize("kind", KINDS)
def test_the_margin_is_enough_and_tight(kind):
    net, side = foveated(kind), SIDES[kind]
    assert net.geometry.margin == (side // 2,) * 2
    assert net.geometry.output_size((side, side + 4)) == net(torch.zeros(1, 1, side, side + 4)).shape[2:] == (1, 5)
    for at in ((0, side // 2), (side - 1, side // 2), (side // 2, 0), (side // 2, side - 1)):
        image = torch.zeros(1, 1, side, side)
        image[0, 0, at[0], at[1]] = torch.nan
        assert net(image).isnan().all()


@pytest.mark.parametrize("kind", KINDS)
def test_tiles_equal_the_whole(kind):
    net, image = foveated(kind), noise(1, 12, 9).numpy()
    options = {"device": torch.device("cpu"), "precision": torch.float32}
    tiled = predict_array(net, image, tile=8, **options)
    margin = net.geometry.margin[0]
    mirrored = torch.from_numpy(np.pad(image, [(0, 0), (margin,) * 2, (margin,) * 2], mode="reflect"))
    with torch.inference_mode():
        whole = net(mirrored[None]).softmax(dim=1)[0].numpy()
    assert np.abs(tiled - whole).max() <= 1e-5
    assert whole.std() > 1e-4, "the scores say something"


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_reaches_all_weights(kind):
    net = foveated(kind, dropout=0.0, width=4).train()
    scores = net(noise(2, 1, SIDES[kind] + 1, SIDES[kind] + 1))
    (scores * noise(*scores.shape)).mean().backward()
    assert all(weight.grad.isfinite().all() and weight.grad.any() for weight in net.parameters())


def test_drop_out_is_drawn_for_each_patch():
    net, image = foveated("blur", dropout=0.5), noise(2, 1, 71, 71)
    drop_by_sample(net.train())
    drawn = []
    for samples in (range(2), range(1)):
        seed_dropout(net, seed=0, step=3, samples=samples, device=torch.device("cpu"))
        drawn.append(net(image[: len(samples)]))
    torch.testing.assert_close(drawn[0][:1], drawn[1])


def test_a_few_steps_on_one_section_lower_the_loss():
    section, labels = draw_membranes(np.random.default_rng(0), size=(104, 104))
    image = torch.from_numpy(section / 255.0).float()[None, None]
    image, target = (image - image.mean()) / image.std(), torch.from_numpy(labels > 0).long()[None, 49:-49, 49:-49]
    net = build(ModelConfig(name="sliding-window", window=65, foveation="both", width=4, dropout=0.0)).train()
    optimizer, losses = torch.optim.AdamW(net.parameters(), lr=3e-3), []
    for _ in range(12):
        loss = cross_entropy(net(image), target, torch.ones(target.shape))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert min(losses[-3:]) < 0.7 * losses[0], losses


@pytest.mark.parametrize(
    "wrong",
    [{"window": 95}, {"padding": "same"}, {"norm": "batch"}, {"name": "unet"}],
    ids=lambda wrong: "".join(wrong),
)
def test_wrong_combinations_are_said(wrong):
    right = {"name": "sliding-window", "window": 65, "padding": "valid", "norm": "none", "foveation": "blur"}
    right = {f"model.{key}": value for key, value in right.items()}
    assert RunConfig.preset("default").updated(right).model.foveation == "blur"
    with pytest.raises(
        ConfigError, match=r"model\.window to 65, model\.padding to 'valid' and model\.norm to 'none', got"
    ):
        RunConfig().updated(right | {f"model.{key}": value for key, value in wrong.items()})


def test_patches_that_no_memory_holds_are_refused_in_training():
    net = foveated("sampling").train()
    with pytest.raises(
        ConfigError, match=r"2 patches of 256 x 256 px have 52,488 windows.*; train\.patch=126 has 1,024"
    ):
        net(torch.zeros(2, 1, 256, 256))
    assert (126 - 95 + 1) ** 2 == 1024
