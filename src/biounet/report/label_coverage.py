"""Shares of labelled pixels: of each class and of unknown pixels, in all images together and in each."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from biounet.report.templates import render
from biounet.report.views import Picture

__all__ = ["coverage", "coverage_of_pictures"]


LISTED = 24
"""Rows of the table; of more images, the ones with the fewest labels have a row."""

UNKNOWN = "not labelled"

Counts = NDArray[np.int64]
"""Numbers of unknown pixels, and of pixels of each class, (1 + classes,)."""


def coverage(images: Mapping[str, Counts], class_names: Sequence[str]) -> str:
    """Shares of each class and of unknown pixels as HTML: a bar for all images, and a row of a table for each.

    Parameters
    ----------
    images : name -> pixels that are unknown, and of each class; (1 + classes,)
    class_names : one per class

    Returns
    -------
    HTML
        Of more than 24 images, up to 24 that have unknown pixels have a row: the ones with the fewest labels.
    """
    if not images:
        return ""
    shares = {name: counts[0] / max(counts.sum(), 1) for name, counts in images.items()}
    listed, heading = list(images), "image"
    if len(images) > LISTED:
        listed = sorted((name for name in images if shares[name] > 0), key=lambda name: -shares[name])[:LISTED]
        heading = f"those of {len(images):,} images with the fewest labels"
    rows = [(name, [f"{share:.1%}" if share else "–" for share in _shares(images[name])]) for name in listed]
    total = np.sum(list(images.values()), axis=0)
    return _bar(total, class_names, rows=rows, head=[heading, *class_names, UNKNOWN])


def coverage_of_pictures(pictures: Sequence[Picture], class_names: Sequence[str]) -> str:
    """A bar with the shares of each class and of unknown pixels in the truth of pictures, and its count of objects."""
    truths = [picture for picture in pictures if picture.truth is not None and picture.kind != "image"]
    if not truths:
        return ""
    total, objects = np.zeros(1 + len(class_names), np.int64), 0
    for picture in truths:
        assert picture.truth is not None
        numbered = picture.kind == "objects"
        objects += int(np.count_nonzero(np.unique(picture.truth) > 0)) if numbered else 0
        classes = np.minimum(picture.truth, 1) if numbered else picture.truth
        total += np.bincount(1 + np.maximum(classes, -1).ravel(), minlength=len(total))
    return _bar(total, class_names, objects=objects)


def _bar(
    counts: Counts,
    class_names: Sequence[str],
    *,
    objects: int = 0,
    rows: Sequence[tuple[str, list[str]]] = (),
    head: Sequence[str] = (),
) -> str:
    """Shares as one bar, with a key, and a table if there are rows."""
    kinds = [f"k{place % 8}" for place in range(len(class_names))] + ["unknown"]
    named = list(zip(kinds, [*class_names, UNKNOWN], _shares(counts).tolist(), strict=True))
    return render(
        "coverage.html",
        bar=[(kind, f"{share:.6f}") for kind, _, share in named if share > 0],
        key=[(kind, name, f"{share:.1%}") for kind, name, share in named],
        objects=objects,
        rows=rows,
        head=head,
    )


def _shares(counts: Counts) -> NDArray[np.float64]:
    """Shares of each class, then of unknown pixels; (classes + 1,)."""
    shares: NDArray[np.float64] = np.roll(counts, -1) / max(int(counts.sum()), 1)
    return shares
