"""Images of another dataset that a run learns from as well (``--also``), so that a model does not forget them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from biounet.config.tasks import task_of
from biounet.core.errors import DatasetError
from biounet.data.dataset import Pair
from biounet.data.discover import find_dataset
from biounet.data.split import DatasetSplit

__all__ = ["with_further_images"]


def with_further_images(
    dataset_split: DatasetSplit, further: Path, *, silver: bool = False, ignore_value: int | None = None
) -> DatasetSplit:
    """A dataset that is divided already, with all images of another one to train on; none of these is held out.

    Parameters
    ----------
    dataset_split : DatasetSplit
    further : Path
        Another dataset. Its labels are read as those of the first: as classes or as objects.
    silver, ignore_value : as of `biounet.data.find_dataset`

    Returns
    -------
    DatasetSplit
        Its further images come last, and their names begin with that of their dataset. Where some images are grey and
        others in colour, grey ones are repeated in three channels.

    Raises
    ------
    DatasetError, ImageError, LabelError, ShapeError
        As of `biounet.data.find_dataset`; or if images differ in axes or channels, or one dataset has labels and the
        other target images.
    """
    task = task_of(dataset_split.target)
    found = find_dataset(further, silver=silver, kind=task.name if task.has_labels else None, ignore_value=ignore_value)
    if found.pairs[0].task.has_labels != task.has_labels:
        raise DatasetError(f"{found.name} (--also) has no targets of the kind of {dataset_split.dataset.name}")
    given = [*dataset_split.train, *dataset_split.held_out]
    shapes = {pair.shape[0]: pair for pair in (*given, *found.pairs)}
    axes = {len(pair.shape) for pair in (*given, *found.pairs)}
    if len(axes) > 1 or (len(shapes) > 1 and set(shapes) != {1, 3}):
        raise DatasetError(
            f"{found.pairs[0].name} of {found.name} (--also) has shape {found.pairs[0].shape} (channels first), "
            f"{given[0].name} has {given[0].shape}; bring all images to the same channels and axes"
        )
    channels = max(shapes)

    def fit(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
        return tuple(replace(pair, channels=channels, shape=(channels, *pair.shape[1:])) for pair in pairs)

    others = [
        replace(pair, name=f"{found.name}/{pair.name}", group=f"{found.name}/{pair.group}") for pair in found.pairs
    ]
    notes = [f"{len(others)} images of {found.name} are learnt from as well (--also), and none of them is held out"]
    if len(shapes) > 1:
        notes.append("grey images are repeated in 3 channels, to fit those in colour")
    return replace(
        dataset_split,
        train=fit([*dataset_split.train, *others]),
        held_out=fit(dataset_split.held_out),
        notes=[*dataset_split.notes, *notes],
        further=len(others),
    )
