"""What `biounet predict` says of images that are unlike those that the model learnt from."""

from pathlib import Path
from typing import Any

from biounet.cli.progress import say
from biounet.inference.object_size import Sizes
from biounet.inference.unlike import tell_unlike, unlike
from biounet.io import DecodingRoom, Selection
from biounet.models.model_file import ModelCard

__all__ = ["find_unlike"]


def find_unlike(
    card: ModelCard, pairs: list[tuple[Path, Path]], options: dict[str, Any], *, selection: Selection
) -> dict[Path, str]:
    """Differences of predicted images from those that the model learnt from; a line says which images differ.

    Parameters
    ----------
    card : of the model
    pairs : images and results
    options : of `biounet.inference.predict_files`
    selection : what was read of the images

    Returns
    -------
    result -> differences in words, as of `biounet.inference.unlike.unlike`
        Without entries where the model does not know what it learnt from.
    """
    if card.learnt is None:
        return {}
    numbered = card.task.saves_objects(options["save"])
    seen: dict[str, Any] = {"selection": selection, "room": DecodingRoom(options["memory"])}
    found = dict[Path, str]()
    for image, result in pairs:
        diameter = options["diameters"].get(image, options["diameter"])
        factor, _ = Sizes(diameter, options["pixel_size"]).factor(card)
        found[result] = unlike(card, image, labels=result if numbered else None, factor=factor, **seen)
    adaptable = card.model.norm == "batch" and not options["adapt"]
    line = tell_unlike({image: found[result] for image, result in pairs}, adaptable=adaptable)
    if line:
        say(f"note: {line}")
    return found
