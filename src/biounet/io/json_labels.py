"""Labels in JSON of other programs: read with a bound, and what stands in it by its type."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.errors import LabelError
from biounet.io.shapes import finite

__all__ = ["entries", "read_document", "ring_of", "table"]


MOST = 2**30
"""Bytes of a file that is read."""


def read_document(path: Path, kind: str) -> Any:
    """What a JSON file holds.

    Parameters
    ----------
    path : Path
    kind : what the file should be, for messages

    Raises
    ------
    LabelError
        If it is missing, damaged, nested too deeply, or larger than 1 GiB.
    """
    try:
        if path.stat().st_size > MOST:
            raise LabelError(f"{path} has {path.stat().st_size >> 20} MiB, {kind} of at most {MOST >> 20} are read")
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise LabelError(f"{path} cannot be read as {kind} ({error.strerror}); check the name") from error
    except (ValueError, RecursionError) as error:
        said = "lists are nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise LabelError(f"{path} cannot be read as {kind} ({said[:100]}); copy it again or save it anew") from error


def table(thing: Any, path: Path, what: str) -> Mapping[str, Any]:
    """A JSON object, where one must stand.

    Raises
    ------
    LabelError

    Examples
    --------
    >>> table([], Path("a.geojson"), "a feature")
    Traceback (most recent call last):
    biounet.core.errors.LabelError: a.geojson: a feature must be a JSON object, got list; save the file anew
    """
    if not isinstance(thing, dict):
        raise LabelError(f"{path}: {what} must be a JSON object, got {type(thing).__name__}; save the file anew")
    return thing


def entries(thing: Any, path: Path, what: str) -> list[Any]:
    """A JSON list, where one must stand.

    Raises
    ------
    LabelError
    """
    if not isinstance(thing, list):
        raise LabelError(f"{path}: {what} must be a JSON list, got {type(thing).__name__}; save the file anew")
    return thing


def ring_of(numbers: Any, path: Path) -> NDArray[np.float64]:
    """Corners of a ring, (K, 2), Y and X, from ``[[x, y], ...]`` or ``[x, y, x, y, ...]``.

    Raises
    ------
    LabelError
        If these are no pairs of numbers.

    Examples
    --------
    >>> ring_of([1, 2, 3, 4], Path("a.json")).tolist()
    [[2.0, 1.0], [4.0, 3.0]]
    """
    try:
        corners = np.array(entries(numbers, path, "a ring"), np.float64)
        corners = corners.reshape(-1, 2) if corners.ndim == 1 else corners[:, :2]
        return finite(corners.reshape(-1, 2)[:, ::-1], path)
    except (ValueError, TypeError, OverflowError, IndexError) as error:
        if isinstance(error, LabelError):
            raise
        raise LabelError(f"{path}: corners must be pairs of numbers; save the outlines anew") from error
