"""Size of the objects of an image, measured by the network itself, where it is not the size that the network knows.

An image in which a network finds objects of a known size is left as it is. Where it finds few or smaller objects, it
looks at a part of the image four times enlarged. Where it finds few or larger ones, it looks at a part at a quarter.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from biounet.core.batch import BAD_FILE
from biounet.core.boxes import ArrayReader, Box
from biounet.data.annotated_image import anisotropy
from biounet.inference.decoding import decoder_of
from biounet.inference.ensemble import Ensemble
from biounet.inference.job import JobSettings, as_trained, load_ensemble, measured_ways
from biounet.inference.object_size import Sizes, known_sizes, median_diameter
from biounet.inference.whole_image import predict_whole_in_steps
from biounet.io import DecodingRoom, open_selected
from biounet.io.frames import Frame, middle_frame
from biounet.models.model_file import ModelCard

__all__ = ["measure_diameters", "measured_diameter", "tell_scaled"]


ENLARGED, REDUCED = 4.0, 0.25
"""Factors by which parts are scaled to look for objects smaller, or larger, than those that a network knows."""

SIDE = {2: 768, 3: 96}
"""Pixels per axis of the scaled part in the middle of an image in which objects are measured."""

TILE = {2: 256, 3: 64}
"""Largest tile of such a part, which takes little memory."""

LISTED = 3
"""Images that are named in a line."""


def measured_diameter(net: Ensemble, image: Frame, *, steps: Sequence[float]) -> float | None:
    """Median diameter of the objects of an image; None where the network knows this size, or finds few objects.

    Parameters
    ----------
    net : Ensemble
        That does not scale images.
    image : (C, *spatial), as it comes from the microscope
        Of several parts of it, the middle one is looked at.
    steps : pixel size along each spatial axis, divided by that along X

    Returns
    -------
    pixels along X, or None

    Raises
    ------
    ConfigError
        If the network has learnt no numbered objects, or does not know how large they were.
    """
    _, least, most = known_sizes(net.card)
    ways = measured_ways(image, net)
    plain = _median_at(net, image, ways, steps)
    if plain is not None and least <= plain <= most:
        return None
    for factor, tried in ((ENLARGED, plain is None or plain < least), (REDUCED, plain is None or plain > most)):
        found = _median_at(net.scaled(factor), image, ways, steps) if tried else None
        if found is not None and least <= found * factor <= most and not least <= found <= most:
            return found
    return None


def _median_at(net: Ensemble, image: Frame, ways: Sequence[Any], steps: Sequence[float]) -> float | None:
    """Median diameter of the objects that a network finds in the middle of an image, in pixels of the image."""
    side = max(1, round(SIDE[net.dims] / float(net.scale)))
    whole = Box((0,) * len(image.shape), image.shape)
    part = ArrayReader(image.read(whole.middle((image.shape[0], *(side,) * net.dims))))
    *_, (_, probabilities) = predict_whole_in_steps(net, part, ways, tile=TILE[net.dims])
    return median_diameter(decoder_of(net.card).segment(probabilities, net.card), steps=steps)


def measure_diameters(
    settings: JobSettings,
    images: Sequence[Path],
    *,
    room: DecodingRoom | None = None,
    progress: Callable[[float, str], None] = lambda share, text: None,
) -> dict[Path, float]:
    """Median diameters of objects, for the images whose objects have a size that the networks do not know.

    Parameters
    ----------
    settings : JobSettings
        Models and how they are used; its input is not read.
    images : sequence of Path
        Those that cannot be read are left out.
    room : memory for what must be decoded of a file at once; by default that of `biounet.io.open_lazily`
    progress : takes the share of the images that are measured, and the name of the next

    Returns
    -------
    image -> pixels along X

    Raises
    ------
    ConfigError
        As `measured_diameter`.
    """
    net, found = load_ensemble(settings), dict[Path, float]()
    known_sizes(net.card)
    model, (selection, _) = net.card.model, as_trained(settings.selection, net.card)
    for number, image in enumerate(images):
        progress(number / len(images), image.name)
        with suppress(*BAD_FILE), open_selected(image, selection, room=room) as opened:
            frame = middle_frame(opened, dims=model.dims, channels=model.in_channels, name=image.name)
            steps = anisotropy(opened.spacing and opened.spacing[-model.dims :], axes=model.dims)
            diameter = measured_diameter(net, frame, steps=steps)
            if diameter is not None:
                found[image] = diameter
    return found


def tell_scaled(diameters: Mapping[Path, float], images: int, card: ModelCard) -> str:
    """A line about the images that are scaled.

    Parameters
    ----------
    diameters : of `measure_diameters`
    images : number of all images
    card : ModelCard

    Examples
    --------
    >>> from biounet.config import ModelConfig
    >>> from biounet.data.learnt_images import LearntImages
    >>> from biounet.data.normalize import Normalization
    >>> learnt = LearntImages(diameter=20, diameters=(15, 25))
    >>> card = ModelCard(model=ModelConfig(), normalization=Normalization(), learnt=learnt)
    >>> tell_scaled({Path("a.png"): 40.0}, 3, card)
    '1 of 3 images is scaled to objects of 20 px: a.png by 0.5 (objects of 40 px); --diameter PX sets the size'
    >>> tell_scaled({}, 3, card)
    'no image is scaled: objects of 15 to 25 px, or too few of them, were found; --diameter PX sets the size'
    """
    learnt, least, most = known_sizes(card)
    if not diameters:
        return (
            f"no image is scaled: objects of {least:.3g} to {most:.3g} px, or too few of them, were found; "
            "--diameter PX sets the size"
        )
    each = [
        f"{image.name} by {Sizes(diameter).factor(card)[0]:.3g} (objects of {diameter:.3g} px)"
        for image, diameter in diameters.items()
    ]
    listed = ", ".join(each[:LISTED]) + ", ..." * (len(each) > LISTED)
    count = "the image is" if images == 1 else f"{len(each)} of {images} images {'is' if len(each) == 1 else 'are'}"
    return f"{count} scaled to objects of {learnt:.3g} px: {listed}; --diameter PX sets the size"
