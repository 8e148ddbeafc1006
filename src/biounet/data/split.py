"""Splits of a dataset into training and validation, in which neighbours stay together and the same images always go."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from pathlib import Path

from biounet.config.tasks import TARGETS_OF_TASKS, task_of
from biounet.core.errors import DatasetError, ShapeError
from biounet.data.dataset import Dataset, Pair, has_labels
from biounet.data.discover import find_dataset
from biounet.data.subset import choose_validated
from biounet.io import Selection, plain_name

__all__ = ["DatasetSplit", "Split", "folds", "split", "split_dataset"]


@dataclass(frozen=True)
class Split:
    """Images to train on, images to validate on, and what a person should know of the choice."""

    train: tuple[Pair, ...]
    validation: tuple[Pair, ...]
    notes: tuple[str, ...] = ()


def split(dataset: Dataset, fraction: float) -> Split:
    """Hold out a share of the images.

    Parameters
    ----------
    dataset : Dataset
    fraction : in [0, 1)
        Of each stack or sequence its last sections, of single images every so many, in the order of
        their sizes. At least one is held out and one is left; 0 holds out none.

    Returns
    -------
    Split
        Of one single image the last quarter of its rows is held out.

    Raises
    ------
    DatasetError
        If `fraction` is not in [0, 1), or the only image is too small to be divided.

    Examples
    --------
    >>> from pathlib import Path
    >>> pairs = tuple(Pair(f"stack[{z}]", Path("stack.tif"), (Path("labels.tif"),), "stack") for z in range(24))
    >>> [pair.name for pair in split(Dataset("stack", "ISBI 2012", pairs), 1 / 6).validation]
    ['stack[20]', 'stack[21]', 'stack[22]', 'stack[23]']
    """
    if not 0 <= fraction < 1:
        raise DatasetError(f"the share of images for validation must be at least 0 and below 1, got {fraction}")
    if fraction == 0:
        return Split(dataset.pairs, ())
    if len(dataset.pairs) == 1:
        return _split_rows(dataset.pairs[0])
    stacks, singles = _groups(dataset.pairs)
    held: list[Pair] = []
    for stack in stacks:
        held += stack[len(stack) - _share(len(stack), fraction) :]
    if len(singles) > 1:
        count = _share(len(singles), fraction)
        held += [singles[int((i + 0.5) * len(singles) / count)] for i in range(count)]
    return _split(dataset.pairs, held)


def folds(dataset: Dataset, count: int) -> tuple[Split, ...]:
    """Divide the images for cross-validation: each is held out in exactly one of `count` splits.

    Parameters
    ----------
    dataset : Dataset
    count : int
        Stacks and sequences are cut into that many blocks of neighbours, single images are dealt in turn.

    Raises
    ------
    DatasetError
        If there are fewer than two folds, or too few images for them.
    """
    stacks, singles = _groups(dataset.pairs)
    largest = max([len(stack) for stack in stacks] + [len(singles)])
    if not 2 <= count <= largest:
        raise DatasetError(f"{dataset.name}: between 2 and {largest} folds are possible, got {count}")
    result = []
    for fold in range(count):
        held = list(singles[fold::count])
        for stack in stacks:
            held += stack[fold * len(stack) // count : (fold + 1) * len(stack) // count]
        result.append(_split(dataset.pairs, held))
    return tuple(result)


def _groups(pairs: Sequence[Pair]) -> tuple[list[list[Pair]], list[Pair]]:
    """Divide into groups of neighbours, and single images in the order of their sizes."""
    groups: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        groups[pair.group].append(pair)
    stacks = [group for group in groups.values() if len(group) > 1]
    singles = [group[0] for group in groups.values() if len(group) == 1]
    return stacks, sorted(singles, key=lambda pair: (pair.shape, plain_name(Path(pair.name))))


def _share(count: int, fraction: float) -> int:
    """Number of images to hold out: at least one, and one is left."""
    return min(max(1, round(count * fraction)), count - 1)


def _split(pairs: Sequence[Pair], held: Sequence[Pair]) -> Split:
    """Split pairs in their order, with a note that names the images held out."""
    names = {pair.name for pair in held}
    train = tuple(pair for pair in pairs if pair.name not in names)
    validation = tuple(pair for pair in pairs if pair.name in names)
    held_out = [pair.name for pair in validation]
    listed = ", ".join(held_out) if len(held_out) <= 4 else f"{held_out[0]}, {held_out[1]}, ..., {held_out[-1]}"
    return Split(train, validation, (f"held out for validation: {len(held_out)} of {len(pairs)} images ({listed})",))


def _split_rows(pair: Pair) -> Split:
    """Hold out the last quarter of the rows of a single image."""
    rows = pair.shape[-2]
    if rows < 4:
        raise DatasetError(
            f"{pair.name}: {rows} rows are too few to hold some out; add images or train with validation 0"
        )
    cut = rows - rows // 4
    return Split(
        (replace(pair, name=f"{pair.name} (rows 0 to {cut - 1})", rows=(0, cut)),),
        (replace(pair, name=f"{pair.name} (rows {cut} to {rows - 1})", rows=(cut, rows)),),
        (f"there is one image: its last {rows - cut} of {rows} rows are held out; annotate another one",),
    )


@dataclass(frozen=True)
class DatasetSplit:
    """Images to train on and images held out, before any of them is read.

    dataset : with the images to train on
    other : with the images held out, which may be the same
    train, held_out : images
    target : what is learnt of labels, as `biounet.data.training_set.TrainingSet` has it
    notes : what a person should know of how files were found and divided
    further : how many of the images to train on, the last ones, are of another dataset
    """

    dataset: Dataset
    other: Dataset
    train: Sequence[Pair]
    held_out: Sequence[Pair]
    target: str
    notes: Sequence[str]
    further: int = 0

    @classmethod
    def of(cls, dataset: Dataset, other: Dataset, held: Split, *, target: str, pixels: float = inf) -> "DatasetSplit":
        """Choose what is validated on of the images held out, and check that all go together; see `split_dataset`."""
        held_out, notes = choose_validated(held.validation, most=pixels, labelled=has_labels)
        target = _choose_target(dataset, other, target)
        _check_alike([*held.train, *held_out])
        return cls(
            dataset, other, held.train, held_out, target, [*_recognised(dataset), *dataset.notes, *held.notes, *notes]
        )

    def anew(self, held: Split, *, pixels: float = inf) -> "DatasetSplit":
        """The same dataset divided otherwise; it is not found again."""
        return DatasetSplit.of(self.dataset, self.dataset, held, target=self.target, pixels=pixels)


def split_dataset(
    dataset: Path,
    *,
    validation: float | str,
    target: str = "auto",
    silver: bool = False,
    ignore_value: int | None = None,
    pixels: float = inf,
    selection: Selection = Selection(),
) -> DatasetSplit:
    """Find annotated images and divide them into training and validation.

    Parameters
    ----------
    dataset : Path
    validation : a fraction to hold out, or another dataset
    target : auto, paper, classes, one of `biounet.data.targets.TARGETS`, or image
        What labels mean. ``auto`` and ``paper`` follow the layout of the dataset.
    silver : bool
        Whether computer-made annotations count, where the layout has them.
    ignore_value : number in the labels that means unknown
    pixels : int
        Most pixels to validate on, see `biounet.data.subset.choose_validated`.
    selection : what is read of each image file

    Raises
    ------
    DatasetError, ImageError, ShapeError
        One line each, naming the file.
    """
    task = TARGETS_OF_TASKS.get(target)
    kind = task.name if task and task.has_labels else None
    find = partial(find_dataset, kind=kind, ignore_value=ignore_value, selection=selection)
    annotated = find(dataset, silver=silver)
    if not isinstance(validation, str):
        return DatasetSplit.of(annotated, annotated, split(annotated, validation), target=target, pixels=pixels)
    other = find(Path(validation))
    held = Split(annotated.pairs, other.pairs, other.notes)
    return DatasetSplit.of(annotated, other, held, target=target, pixels=pixels)


def _recognised(dataset: Dataset) -> list[str]:
    """Say which layout a dataset was recognised as, and by what."""
    return [f"recognised as {dataset.layout}, by {dataset.sign}"] if dataset.sign else []


def _choose_target(dataset: Dataset, other: Dataset, target: str) -> str:
    """Target of the network: that of the settings, if the datasets have it."""
    task = dataset.pairs[0].task
    target = {"auto": task.target, "paper": task.paper_target}.get(target, target)
    for each in (dataset, other):
        images = not each.pairs[0].task.has_labels
        if images == task_of(target).has_labels:
            have, wanted = ("targets", "labels") if images else ("labels", "targets, one target image per image")
            raise DatasetError(f"{each.name} has {have}, train.target is {target}; it needs a folder {wanted}")
    return target


def _check_alike(pairs: Sequence[Pair]) -> None:
    """Refuse images of different channels or axes, before any is read."""
    first = pairs[0]
    for pair in pairs:
        if pair.shape[0] != first.shape[0] or len(pair.shape) != len(first.shape):
            raise ShapeError(
                f"{pair.name} has shape {pair.shape} (channels first), {first.name} has {first.shape}; "
                "bring all images to the same channels and axes"
            )
