"""Suggestions for words that were mistyped."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches

__all__ = ["did_you_mean"]


VERY_CLOSE, CLOSE = 0.85, 0.6
"""Similarity, from 0 to 1, of words that are suggested together, and least similarity of a word that is suggested."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A question that names the known words nearest to a mistyped one; empty where none is near.

    Words of two parts, ``train.batch``, are also found by their last part.

    >>> did_you_mean("batch", ["train.batch", "train.patch", "model.width"])
    'did you mean train.batch?'
    >>> did_you_mean("train.learning_rte", ["train.learning_rate", "train.batch"])
    'did you mean train.learning_rate?'
    >>> did_you_mean("colour", ["train.batch"])
    ''
    """
    words, found = list(known), []
    if "." not in word:
        parts = {each.rpartition(".")[2] for each in words}
        meant = _nearest(word, parts)
        found = [each for each in words if each.rpartition(".")[2] in meant]
    found = found or _nearest(word, words)
    return f"did you mean {' or '.join(found)}?" if found else ""


def _nearest(word: str, known: Collection[str]) -> list[str]:
    """The word itself if it is known; else up to two that are very close, or the closest."""
    if word in known:
        return [word]
    return get_close_matches(word, known, n=2, cutoff=VERY_CLOSE) or get_close_matches(word, known, n=1, cutoff=CLOSE)
