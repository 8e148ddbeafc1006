"""Prediction of a whole image that is in memory."""

from collections.abc import Generator, Sequence

from biounet.core.boxes import Reader
from biounet.data.normalize import Normalization
from biounet.inference.ensemble import Ensemble, normalise
from biounet.inference.overlap_tile import Floats, predict_image_in_steps
from biounet.inference.tiles import read_mirrored
from biounet.segmentation import close_gaps

__all__ = ["predict_whole_in_steps"]


def predict_whole_in_steps(
    net: Ensemble, image: Reader, ways: Sequence[Normalization], *, tile: int | None
) -> Generator[tuple[float, Floats]]:
    """Share that is done and result so far of an image, after every tile; gaps in membranes are closed at the end.

    Parameters
    ----------
    net : Ensemble
    image : (C, *spatial), as it comes from the microscope
    ways : the normalisations of the networks, with the statistics of the image
    tile : largest tile in pixels

    Yields
    ------
    float in (0, 1], and (classes, *spatial), float32, as `biounet.inference.overlap_tile.predict_image_in_steps`
    """
    steps = predict_image_in_steps(
        net, image.shape[1:], lambda at: normalise(read_mirrored(image, at.input), ways), tile=tile
    )
    for share, result in steps:
        yield share, result
    if net.card.close_gaps:
        result[1] = close_gaps(result[1])
        result[0] = 1 - result[1]
        yield share, result
