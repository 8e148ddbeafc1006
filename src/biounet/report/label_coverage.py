"""Shares of labelled pixels: of each class and of unknown pixels, in all images together and in each."""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

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
    rows, heading = list(images), "image"
    if len(images) > LISTED:
        rows = sorted((name for name in images if shares[name] > 0), key=lambda name: -shares[name])[:LISTED]
        heading = f"those of {len(images):,} images with the fewest labels"
    table = _table({name: images[name] for name in rows}, class_names, heading) if rows else ""
    return f"{_bar(np.sum(list(images.values()), axis=0), class_names)}{table}"


def coverage_of_pictures(pictures: Sequence[Picture], class_names: Sequence[str]) -> str:
    """A bar with the shares of each class and of unknown pixels in the truth of pictures, and its count of objects."""
    truths = [picture for picture in pictures if picture.truth is not None]
    if not truths:
        return ""
    total, objects = np.zeros(1 + len(class_names), np.int64), 0
    for picture in truths:
        assert picture.truth is not None
        objects += int(np.count_nonzero(np.unique(picture.truth) > 0)) if picture.objects else 0
        classes = np.minimum(picture.truth, 1) if picture.objects else picture.truth
        total += np.bincount(1 + np.maximum(classes, -1).ravel(), minlength=len(total))
    return _bar(total, class_names, f"<span><b>{objects:,}</b> objects</span>" if objects else "")


def _bar(counts: Counts, class_names: Sequence[str], more: str = "") -> str:
    """Shares as one bar, with a key."""
    shares = _shares(counts)
    bar, key = [], []
    for place, (name, share) in enumerate(zip([*class_names, UNKNOWN], shares, strict=True)):
        kind = "unknown" if place == len(class_names) else f"k{place % 8}"
        if share > 0:
            bar.append(f'<i class="{kind}" style="flex:{share:.6f}"></i>')
        key.append(f'<span><i class="chip {kind}"></i>{escape(name)} <b>{share:.1%}</b></span>')
    return f'<div class="bar">{"".join(bar)}</div><p class="key">{"".join(key)}{more}</p>'


def _table(images: Mapping[str, Counts], class_names: Sequence[str], heading: str) -> str:
    """A row of shares per image."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in [heading, *class_names, UNKNOWN])
    rows = []
    for name, counts in images.items():
        shares = _shares(counts)
        cells = "".join(f"<td>{share:.1%}</td>" if share else "<td>–</td>" for share in shares)
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
    return (
        f'<div class="scroll"><table class="scores"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _shares(counts: Counts) -> NDArray[np.float64]:
    """Shares of each class, then of unknown pixels; (classes + 1,)."""
    shares: NDArray[np.float64] = np.roll(counts, -1) / max(int(counts.sum()), 1)
    return shares
