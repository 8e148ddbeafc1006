"""A trained network that predicts and segments images."""

from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from biounet.core.boxes import ArrayReader
from biounet.core.errors import ConfigError, ModelFileError, ShapeError
from biounet.core.places import path_of
from biounet.data.normalize import Normalization
from biounet.inference.decoding import check_objects, decoder_of
from biounet.inference.ensemble import Ensemble, joint_card, load_members
from biounet.inference.network_input import NetworkInput, Pixels
from biounet.inference.object_size import Sizes
from biounet.inference.tiles import tile_sides
from biounet.inference.whole_image import predict_whole_in_steps
from biounet.io.identity import unchanged
from biounet.models.device import choose_device, choose_precision
from biounet.models.model_file import ModelCard
from biounet.segmentation import link_slices, number_apart

__all__ = ["Model", "load_model"]


@dataclass(frozen=True)
class Model:
    """A trained network with all that is needed to use it; or several, whose probabilities are averaged."""

    net: nn.Module
    card: ModelCard
    others: tuple["Model", ...] = ()
    """The further members of an ensemble; each normalises images in its own way."""
    path: Path | None = None
    """The model file or the folder of the run that the network was read from."""

    def understand(self, image: Pixels, *, axes: str | None = None) -> str:
        """The axes of an image in words, as `predict` and `segment` take it, without reading its pixels.

        Parameters
        ----------
        image, axes : as for `predict`

        Returns
        -------
        str
            Such as ``Z=5 sections of Y=512 X=512, 1 channel``.

        Raises
        ------
        ImageError, ShapeError
            As `predict`.
        """
        given = NetworkInput.of(image, self.card.model, axes=axes)
        with given.source:
            return str(given)

    def predict(
        self,
        image: Pixels,
        *,
        axes: str | None = None,
        tile: int | None = None,
        tta: bool = False,
        diameter: float | None = None,
        pixel_size: float | None = None,
        adapt: bool = False,
        device: str = "auto",
        precision: str = "auto",
    ) -> NDArray[np.float32]:
        """The probability of every class at every pixel; or the image that the network draws.

        Parameters
        ----------
        image : (C)YX or (C)ZYX, or an image file
            As it comes from the microscope. A 2D network takes a stack section by section: a file, or an array that
            `axes` describes, or an array ZYX for a network of one channel. `understand` says what is understood.
        axes : letters of ``TCZYX``, one per axis of the image, in its order, such as ``"YXC"``
            Where the shape of an array or the file does not tell.
        tile : pixels
            Largest tile delivered at once; the result does not depend on it.
        tta : bool
            Average over the 8 symmetries of the plane YX.
        diameter : pixels
            Of a typical object. The image is scaled, and the result scaled back, if objects differ by more than the
            network learnt to bear, see `biounet.inference.object_size.Sizes`.
        pixel_size : micrometres
            In place of `diameter`, where the network knows the pixel size of the images that it learnt from.
        adapt : bool
            Adapt batch normalisation to the image, see `biounet.inference.adaptation`.
        device, precision
            As for `biounet.models.device.choose_device` and `choose_precision`.

        Returns
        -------
        (classes, *spatial), float32, in [0, 1]; or an image (C, *spatial), float32, in units of the true ones

        Raises
        ------
        ConfigError
            If `tile` is no number of pixels, or the network does not know the size of what it learnt from.
        ImageError
            If the file cannot be read.
        ShapeError
            If the axes cannot be told, or are not those, or the channels, that the network was trained on.
        """
        options: dict[str, Any] = {"axes": axes, "tile": tile, "tta": tta, "device": device, "precision": precision}
        options |= {"diameter": diameter, "pixel_size": pixel_size, "adapt": adapt}
        ((_, result),) = deque(self.predict_in_steps(image, **options), maxlen=1)
        return result

    def predict_in_steps(
        self,
        image: Pixels,
        *,
        axes: str | None = None,
        tile: int | None = None,
        tta: bool = False,
        diameter: float | None = None,
        pixel_size: float | None = None,
        adapt: bool = False,
        device: str = "auto",
        precision: str = "auto",
    ) -> Generator[tuple[float, NDArray[np.float32]]]:
        """What `predict` gives, as far as it is known after every tile; closing the generator stops the work.

        Parameters
        ----------
        image, axes, tile, tta, diameter, pixel_size, adapt, device, precision : as for `predict`

        Yields
        ------
        float in (0, 1], and (classes, *spatial), float32
            The share of the work that is done, and the same array each time: 0 where no tile is predicted yet.

        Raises
        ------
        ImageError, ShapeError
            As `predict`.
        """
        tile_sides(tile, self.card.model.dims)
        where = choose_device(device)
        what = choose_precision(precision, where)
        file = Path(image) if isinstance(image, str | Path) else None
        with unchanged(file, verb="predicted", quick=True):
            given = NetworkInput.of(image, self.card.model, axes=axes)
            image = given.read()
        members = [(member.net, member.card) for member in (self, *self.others)]
        factor, _ = Sizes(diameter, pixel_size).factor(self.card)
        net = Ensemble(members, device=where, precision=what, tta=tta, factor=factor, adaptable=adapt)
        if adapt:
            middle = image[len(image) // 2] if given.sections else image
            net = net.adapted(ArrayReader(middle), _measured(middle, net))
        if not given.sections:
            yield from predict_whole_in_steps(net, ArrayReader(image), _measured(image, net), tile=tile)
            return
        stack: list[NDArray[np.float32]] = []  # made when the number of classes is known
        for z, section in enumerate(image):
            for share, result in predict_whole_in_steps(net, ArrayReader(section), _measured(section, net), tile=tile):
                if not stack:
                    stack.append(np.zeros((len(result), len(image), *result.shape[1:]), np.float32))
                stack[0][:, z] = result
                yield (z + share) / len(image), stack[0]

    def segment(
        self,
        image: Pixels,
        *,
        axes: str | None = None,
        tile: int | None = None,
        tta: bool = False,
        diameter: float | None = None,
        pixel_size: float | None = None,
        adapt: bool = False,
        objects: bool = False,
        link: bool = False,
    ) -> NDArray[Any]:
        """Labels: class numbers, or numbered objects where the network was trained on objects.

        Parameters
        ----------
        image, axes, tile, tta, diameter, pixel_size, adapt : as for `predict`
        objects : bool
            Number the connected components of the foreground, where the network was trained on two classes.
        link : bool
            Give objects that lie over each other one number in all sections of a stack, for a 2D network,
            see `biounet.segmentation.link_slices`. Else no number is in two sections.

        Returns
        -------
        integers, (Z)YX, 0 is background

        Raises
        ------
        ConfigError
            If the network draws images, or there are no objects to number or to link.
        ImageError, ShapeError
            As `predict`; or if there are no sections to link.
        """
        self._check_labels(objects=objects, link=link)
        factor, _ = Sizes(diameter, pixel_size).factor(self.card)
        options: dict[str, Any] = {"axes": axes, "tile": tile, "tta": tta, "adapt": adapt}
        probabilities = self.predict(image, diameter=diameter, pixel_size=pixel_size, **options)
        return replace(self, card=self.card.scaled(factor)).decode(probabilities, objects=objects, link=link)

    def decode(self, probabilities: NDArray[np.float32], *, objects: bool = False, link: bool = False) -> NDArray[Any]:
        """Labels that follow from the probabilities of `predict`.

        Parameters
        ----------
        probabilities : float32 (classes, Y, X) or (classes, Z, Y, X), in [0, 1]
        objects, link : as for `segment`

        Returns
        -------
        integers (Y, X) or (Z, Y, X)
            0 is background.

        Raises
        ------
        ConfigError
            As `segment`.
        ShapeError
            If there are no sections to link.
        """
        self._check_labels(objects=objects, link=link)
        decoder = decoder_of(self.card, save="objects" if objects else "labels")
        decode = partial(decoder.segment, card=self.card)
        if probabilities.ndim - 1 == self.card.model.dims:
            if link:
                sizes = " x ".join(map(str, probabilities.shape[1:]))
                raise ShapeError(f"there are no sections to link, got one image of {sizes} px; leave link out")
            return decode(probabilities)
        sections = np.stack([decode(section) for section in np.moveaxis(probabilities, 1, 0)])
        number = link_slices if link else number_apart
        return number(sections) if decoder.numbers_objects else sections

    def _check_labels(self, *, objects: bool, link: bool) -> None:
        """Refuse to label what has no labels, or to number or to link what has no objects."""
        if not self.card.task.has_labels:
            raise ConfigError("the model draws images, which have no labels; use predict")
        if objects:
            check_objects(self.card)
        elif link and not self.card.task.numbered:
            raise ConfigError("the model was trained on classes, there are no objects to link; leave link out")

    def __repr__(self) -> str:
        """Five lines: task, network, images, scores on held-out images, file."""
        card, model = self.card, self.card.model
        task = f"{model.classes} classes" if card.task.has_classes else f"{card.task.name} (target {card.target})"
        size = f"{model.dims}D, {model.in_channels} channel{'s' * (model.in_channels > 1)}, width {model.width}, "
        size += f"depth {model.depth}, {sum(weight.numel() for weight in self.net.parameters()):,} weights"
        pixel = "unknown" if card.spacing is None else f"{' x '.join(f'{length:g}' for length in card.spacing)} um"
        source = "each image" if card.normalization.offset is None else "the training images"
        scores: dict[str, float] = card.training.get("scores", {})
        shown = [f"{name} {scores[name]:.4g}" for name in scores if not name.startswith(("dice_", "threshold"))]
        ensemble = f", the mean of {1 + len(self.others)} networks" if self.others else ""
        return "\n".join(
            (
                f"Model for {task}{ensemble}",
                f"  network: {model.name}, {size}",
                f"  images: pixel size {pixel}, {card.normalization.kind} normalisation of {source}",
                f"  on held-out images: {', '.join(shown) or 'unknown'}",
                f"  from: {self.path or 'memory'}",
            )
        )


def _measured(image: NDArray[Any], net: Ensemble) -> list[Normalization]:
    """The ways in which networks normalise images, with the statistics of an image."""
    return [normalization.measured(image) for normalization in net.normalizations]


def load_model(
    path: str | Path,
    *,
    others: Sequence[str | Path] = (),
    depth: int | None = None,
    attention: bool = False,
    close_gaps: bool | None = None,
) -> Model:
    """A trained model, or an ensemble, read from files.

    Parameters
    ----------
    path : str or Path
        A model file (``.safetensors``), the folder of a training run, or the name of a shipped model
        (``biounet models``). A folder of ``fold-0/``, ``fold-1/``, ..., as cross-validation leaves it, is an ensemble.
    others : further models
        Their probabilities are averaged with those of the first.
    depth : int
        Of a UNet++, take the U-Net with so many poolings: less good, but faster.
    attention : bool
        Of an attention U-Net, `Model.predict` gives the maps of the gates, ``(maps, *spatial)``, in [0, 1], the
        innermost level first.
    close_gaps : bool
        Close gaps in the membranes between cells, see `biounet.segmentation.close_gaps`; by default as the file says.

    Raises
    ------
    ModelFileError
        If a file is missing, torn, not ours, or of a newer version.
    ConfigError
        If members of an ensemble do not agree, or have no output of this depth or no attention gates,
        see `biounet.inference.ensemble.load_members`.
    """
    files = [path_of(each, ModelFileError, what="a model file or of a run") for each in (path, *others)]
    (net, _), *rest = members = load_members(files, depth=depth, attention=attention, close_gaps=close_gaps)
    return Model(net, joint_card([card for _, card in members]), tuple(Model(*each) for each in rest), files[0])
