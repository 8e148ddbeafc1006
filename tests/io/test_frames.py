"""Images of any axes as frames, and statistics taken without holding the image."""

import numpy as np
import pytest

from biounet.core.boxes import Box
from biounet.core.errors import ShapeError
from biounet.data.normalize import Normalization, measure, sampling_step, subsample
from biounet.io import ArrayImage, Image
from biounet.io.frames import frames_of


def image(shape, axes):
    return ArrayImage(Image(np.arange(np.prod(shape), dtype=np.uint16).reshape(shape), axes))


def divide(shape, axes, *, dims=2, channels=1):
    return frames_of(image(shape, axes), dims=dims, channels=channels, name="cells.tif")


@pytest.mark.parametrize(
    ("shape", "axes", "dims", "channels", "count", "each"),
    [
        ((4, 5), "YX", 2, 1, 1, (1, 4, 5)),
        ((3, 4, 5), "ZYX", 2, 1, 3, (1, 4, 5)),
        ((3, 4, 5), "ZYX", 3, 1, 1, (1, 3, 4, 5)),
        ((2, 3, 4, 5), "TZYX", 2, 1, 6, (1, 4, 5)),
        ((2, 3, 4, 5), "TZYX", 3, 1, 2, (1, 3, 4, 5)),
        ((2, 6, 3, 4, 5), "TCZYX", 3, 6, 2, (6, 3, 4, 5)),
        ((2, 6, 3, 4, 5), "TCZYX", 2, 6, 6, (6, 4, 5)),
        ((4, 5), "YX", 2, 3, 1, (3, 4, 5)),
    ],
)
def test_frames_are_what_a_network_takes(shape, axes, dims, channels, count, each):
    found = divide(shape, axes, dims=dims, channels=channels)
    assert len(found) == count
    assert {frame.shape for frame in found} == {each}


def test_frames_read_their_own_pixels():
    found = divide((2, 6, 3, 4, 5), "TCZYX", dims=2, channels=6)
    array = found[0].source.image.array
    np.testing.assert_array_equal(found[4].read(Box((0, 1, 2), (6, 3, 5))), array[1, :, 1, 1:3, 2:5])


def test_grey_is_repeated_for_a_network_of_colours():
    (frame,) = divide((4, 5), "YX", channels=3)
    pixels = frame.read(Box((0, 0, 0), (3, 4, 5)))
    assert pixels.shape == (3, 4, 5)
    assert (pixels == pixels[:1]).all()


def test_colours_that_differ_are_no_grey():
    (frame,) = divide((3, 4, 5), "CYX", channels=1)
    with pytest.raises(ShapeError, match="1 channels are wanted, it has 3"):
        frame.read(Box((0, 0, 0), (1, 4, 5)))


def test_places_in_an_output():
    frame = divide((2, 6, 3, 4, 5), "TCZYX", dims=3, channels=6)[1]
    box = Box((0, 1, 2), (3, 3, 5))
    assert frame.place("TZYX", box, 1) == Box((1, 0, 1, 2), (2, 3, 3, 5))
    assert frame.place("TCZYX", box, 4) == Box((1, 0, 0, 1, 2), (2, 4, 3, 3, 5))


def test_wrong_channels_and_axes_ask_for_axes():
    with pytest.raises(ShapeError, match=r"cells.tif: the network takes 2 channels, the image has 3.*--axes"):
        divide((3, 4, 5), "CYX", channels=2)
    with pytest.raises(ShapeError, match=r"volumes, axes ZYX, the image has YX.*--axes"):
        divide((4, 5), "YX", dims=3)


@pytest.mark.parametrize("kind", ["z-score", "percentile"])
@pytest.mark.parametrize(("shape", "axes"), [((61, 47), "YX"), ((9, 20, 17), "ZYX"), ((2, 30, 41), "CYX")])
def test_statistics_are_those_of_the_image_in_memory(monkeypatch, kind, shape, axes):
    most = 200
    for function in (sampling_step, subsample):
        monkeypatch.setitem(function.__kwdefaults__, "most", most)
    (frame,) = divide(shape, axes, dims=3 if "Z" in axes else 2, channels=shape[0] if "C" in axes else 1)
    whole = frame.read(Box((0,) * len(frame.shape), frame.shape))
    wanted = Normalization(kind)
    got, expected = measure(frame, wanted, strip_bytes=1000), wanted.measured(whole)
    np.testing.assert_allclose(got.offset, expected.offset, rtol=1e-12)
    np.testing.assert_allclose(got.scale, expected.scale, rtol=1e-12)


def test_statistics_of_the_training_set_stay():
    (frame,) = divide((4, 5), "YX")
    fixed = Normalization(offset=(1.0,), scale=(2.0,))
    assert measure(frame, fixed) is fixed


def test_ten_million_frames_are_no_list():
    nothing = np.broadcast_to(np.zeros((), np.uint8), (10**7, 3, 4, 5))
    frames = frames_of(ArrayImage(Image(nothing, "TZYX")), dims=2, channels=1, name="movie.tif")
    assert len(frames) == 3 * 10**7
    assert frames[-1].position == (("T", 10**7 - 1), ("Z", 2))
    assert [frame.position[1] for frame in frames[4:6]] == [("Z", 1), ("Z", 2)]
    with pytest.raises(IndexError):
        frames[3 * 10**7]


@pytest.mark.parametrize("shape", [(3, 90, 70), (40, 50)])
@pytest.mark.parametrize("strip_bytes", [1, 100, 10**6])
def test_statistics_do_not_depend_on_what_is_read_at_a_time(monkeypatch, shape, strip_bytes):
    monkeypatch.setattr("biounet.data.normalize.SAMPLES", 500)
    monkeypatch.setattr(sampling_step, "__kwdefaults__", {"most": 500})
    pixels = np.random.default_rng(0).integers(0, 2**16, shape).astype(np.uint16)
    (frame,) = frames_of(ArrayImage(Image(pixels, "ZYX"[-len(shape) :])), dims=len(shape), channels=1, name="a.tif")
    step = sampling_step(shape)
    assert step > 1
    wanted = Normalization().measured(pixels[np.newaxis][(slice(None), *(slice(None, None, step),) * len(shape))])
    assert measure(frame, Normalization(), strip_bytes=strip_bytes) == wanted
