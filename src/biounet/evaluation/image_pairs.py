"""Scores of predicted images against true images."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from biounet.core.errors import ShapeError
from biounet.evaluation.pairing import FilePair
from biounet.evaluation.reading import pick_sections
from biounet.evaluation.results import Scores
from biounet.io import Image, read_selected
from biounet.metrics.image_quality import ImageErrors, image_errors, image_scores

__all__ = ["score_drawn"]


def score_drawn(
    pairs: Sequence[FilePair],
    parts: Sequence[str],
    *,
    sections: slice | None = None,
    progress: Callable[[float], None] | None = None,
) -> Scores:
    """Scores of predicted images: of all together, as if they were one, of each subgroup, and of each image.

    Parameters
    ----------
    pairs : of files with images of any axes and number types
    parts : subgroup of each pair; "" is none
    sections : slice
        The frames that are compared; of a file without frames, the sections.
    progress : called with the share that is done, from 0 to 1

    Raises
    ------
    ImageError
        If a file cannot be read.
    ConfigError
        If `sections` selects nothing.
    ShapeError
        If a predicted image and the true one have different axes or sizes.
    """
    counts: dict[str, ImageErrors] = {}
    for number, pair in enumerate(pairs, 1):
        files = ((pair.truth[0], pair.of_truth), (pair.result, pair.of_result))
        truth, result = (_without_single_channel(read_selected(path, selection)) for path, selection in files)
        axis = next((truth.axes.index(name) for name in "TZ" if name in truth.axes), None)
        if sections is not None and axis is not None:
            chosen = pick_sections(truth.array, result.array, sections, name=pair.truth[0].name, axis=axis)
            truth, result = (replace(image, array=array) for image, array in zip((truth, result), chosen, strict=True))
        if (truth.axes, truth.array.shape) != (result.axes, result.array.shape):
            raise ShapeError(
                f"{pair.result} has axes {result.axes} {result.array.shape}, {pair.truth[0].name} has {truth.axes} "
                f"{truth.array.shape}; compare images of one size"
            )
        counts[pair.name] = image_errors(truth.array, result.array)
        if progress is not None:
            progress(number / len(pairs))
    of_parts = {
        part: image_scores([counts[pair.name] for pair, other in zip(pairs, parts, strict=True) if other == part])
        for part in sorted(set(parts) - {""})
    }
    of_each = {name: image_scores([count]) for name, count in counts.items()}
    return Scores(image_scores(list(counts.values())), of_each, {}, (), of_parts)


def _without_single_channel(image: Image) -> Image:
    """Drop an axis of a single channel."""
    at = image.axes.find("C")
    if at < 0 or image.array.shape[at] > 1:
        return image
    return Image(image.array.squeeze(at), image.axes.replace("C", ""), image.spacing)
