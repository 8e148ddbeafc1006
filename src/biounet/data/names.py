"""Names of images and of their labels: which belong together, where they are not equal."""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence

__all__ = ["LABEL_ENDS", "match_names", "without_ends"]


LABEL_ENDS = (
    "cp_masks", "masks", "mask", "labels", "label", "segmentation", "seg", "groundtruth", "gt", "truth", "annotations",
    "annotation", "manual",
)  # fmt: skip
"""Words that names of label files end or begin with, beside the name of the image."""

IMAGE_ENDS = ("images", "image", "img", "raw")
"""Words that names of images end or begin with."""


def match_names(images: Collection[str], labels: Collection[str]) -> dict[str, str]:
    """Pairs of names: equal ones; else those without words such as ``_mask``; else without what all names share.

    Accents may be composed or not (NFC, NFD). Of these ways the one is taken that finds most pairs.

    Parameters
    ----------
    images, labels : names without suffixes

    Returns
    -------
    dict
        Image -> labels; what has no partner is left out.

    Examples
    --------
    >>> match_names(["a", "b"], ["b_mask", "a_mask"])
    {'a': 'a_mask', 'b': 'b_mask'}
    >>> match_names(["21_training", "22_training"], ["21_manual1", "22_manual1"])
    {'21_training': '21_manual1', '22_training': '22_manual1'}
    >>> match_names(["img_01", "img_02"], ["lab_11", "lab_12"])
    {}
    """
    ways: tuple[tuple[Callable[[str], str], Callable[[str], str]], ...] = (
        (_composed, _composed),
        (lambda name: without_ends(name, IMAGE_ENDS), lambda name: without_ends(name, LABEL_ENDS)),
        (_without_shared(images), _without_shared(labels)),
    )
    best: dict[str, str] = {}
    for of_image, of_labels in ways:
        first, second = _keyed(images, of_image), _keyed(labels, of_labels)
        found = {name: second[key] for key, name in first.items() if key in second}
        best = found if len(found) > len(best) else best
        if len(best) == max(len(images), len(labels)):
            break
    return best


def without_ends(name: str, words: Iterable[str]) -> str:
    """A name in lower case without a word at its end or begin, and what divides it from the rest.

    >>> without_ends("Cell 3-MASK", LABEL_ENDS), without_ends("seg_07", LABEL_ENDS), without_ends("Maske", LABEL_ENDS)
    ('cell 3', '07', 'maske')
    """
    name, either = _composed(name).casefold(), "|".join(words)
    short = re.sub(rf"[ _.-](?:{either})$", "", name)
    return short if short != name else re.sub(rf"^(?:{either})[ _.-]", "", name)


def _composed(name: str) -> str:
    """The name with accents and letters in one character."""
    return unicodedata.normalize("NFC", name)


def _without_shared(names: Collection[str]) -> Callable[[str], str]:
    """Function that takes from a name what all names begin and end with, but no digits of a number."""
    composed = [_composed(name).casefold() for name in names]
    if len(composed) < 2:
        return _composed
    begin = _shared(composed).rstrip("0123456789")
    end = _shared([name[len(begin) :][::-1] for name in composed])[::-1].lstrip("0123456789")
    return lambda name: _composed(name).casefold().removeprefix(begin).removesuffix(end)


def _shared(names: Sequence[str]) -> str:
    """Letters that all names begin with."""
    first, last = min(names), max(names)  # what these share, those between share
    differing = (at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other)
    return first[: next(differing, len(first))]


def _keyed(names: Iterable[str], key: Callable[[str], str]) -> dict[str, str]:
    """Names by their keys; none where two have one key."""
    names = list(names)
    found = {key(name): name for name in names}
    return found if len(found) == len(names) and "" not in found else {}
