"""The README of a bioimage.io package: what a person should know before using the model in another program."""

from biounet.export.pipeline import Pipeline
from biounet.models.model_file import ModelCard

__all__ = ["channel_names", "package_readme"]


TEXT = """# {name}

A {architecture} that learnt `{target}` ({task}).

* Input: the image as it comes from the microscope{spacing}. It is normalised by the package.
* Output: {output}.
* Sizes are multiples of {grid} pixels; other sizes work with the whole image.

# Blocks

Blocks need a halo of {halo} pixels and have to begin on the grid of {grid} pixels: pad an image to a multiple of it
before blockwise prediction, or blocks at its far end differ. Statistics of the normalisation have to be those of the
whole image, as bioimageio.core takes them for blocks. At its edges biounet mirrors the image without repeating the
outermost pixels; programs that add the halo themselves may do it in another way, and differ there.
{notes}
# Validation

Held-out images of the training set:

{scores}

Weights, read back, differ from biounet in float32 by at most {difference:.1e} in probability.
"""

OBJECTS = """
# Objects

`objects.ijm` makes objects of the probabilities in Fiji and ImageJ, and `objects.groovy`, for images in the plane, in
QuPath. They hold the rules of this model, which stand in `config.biounet` of `rdf.yaml`, too.
"""

CHANNELS = """
# Several channels in Fiji

JDLL, with which Fiji reads packages (July 2026), cannot normalise each channel by a mean and deviation of its own, as
this model needs it. In Fiji use a model of one channel, or one with `normalization = "percentile"`.
"""


def package_readme(pipeline: Pipeline, difference: float, *, name: str) -> str:
    """Text in Markdown with the section on validation that bioimage.io asks for.

    Parameters
    ----------
    pipeline : Pipeline
    difference : float
        Largest difference of a probability between the weights, read back, and torch.
    name : str
        Of the model.
    """
    card = pipeline.card
    scores = {key: value for key, value in card.training.get("scores", {}).items() if isinstance(value, float)}
    sizes = " x ".join(f"{side:g}" for side in card.spacing or ())
    notes, kind = OBJECTS if card.task.numbered else "", "probabilities" if card.task.has_labels else "images"
    return TEXT.format(
        name=name,
        architecture=card.model.name,
        target=card.target,
        task=card.task.name,
        spacing=f", {sizes} micrometres per pixel" if sizes else "",
        output=f"{kind}, with the channels {', '.join(channel_names(card))}",
        grid=" x ".join(map(str, pipeline.grid)),
        halo=" x ".join(map(str, pipeline.halo)),
        notes=notes if normalised_by_jdll(card) else notes + CHANNELS,
        scores="\n".join(f"* {key}: {value:.4f}" for key, value in scores.items()) or "* none were held out",
        difference=difference,
    )


def channel_names(card: ModelCard) -> list[str]:
    """Names of the channels of the output: readers in Java need some."""
    count = card.model.classes
    if not card.task.has_labels:
        return [f"image{number}" for number in range(count)]
    inner = {"border": ["interior", "border"], "foreground": ["object"]}.get(card.target, [])
    kind = "level" if card.task.numbered else "class"
    return ["background", *(inner or [f"{kind}{number}" for number in range(1, count)])][:count]


def normalised_by_jdll(card: ModelCard) -> bool:
    """Whether JDLL normalises as biounet does.

    Of several channels it gives each the mean and deviation of one, or fails if they are fixed; percentiles it takes of
    each.
    """
    normalization = card.normalization
    return card.model.in_channels == 1 or (normalization.kind == "percentile" and normalization.offset is None)
