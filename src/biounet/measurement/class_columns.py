"""Columns with the class of each object and its name, where labels or a model tell it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.measurement.frames import FrameTable

__all__ = ["classes_of_parts", "with_classes"]


def with_classes(frame: FrameTable, class_names: Sequence[str], *, classes: NDArray[Any] | None = None) -> FrameTable:
    """Table with a column ``class_name``, behind the column ``class``.

    Parameters
    ----------
    frame : FrameTable
    class_names : one per class; without names the table is the same
    classes : (N,), the class of each object
        None: the table has it, or else its labels are classes.

    Examples
    --------
    >>> table = FrameTable("a.tif", (), 4, {"label": np.array([1, 2]), "area_px": np.array([3, 1])})
    >>> with_classes(table, ["background", "nucleus", "fibre"]).table["class_name"].tolist()
    ['nucleus', 'fibre']
    """
    if not class_names:
        return frame
    columns = dict(frame.table)
    labels = columns.pop("label")
    own = columns.pop("class", labels)
    numbers = own if classes is None else classes
    names = [class_names[number] if number < len(class_names) else f"class {number}" for number in numbers.tolist()]
    head = {"label": labels, "class": numbers, "class_name": np.array(names, object)}
    return replace(frame, table=head | columns)


def classes_of_parts(parts: NDArray[Any], classes: NDArray[Any]) -> NDArray[Any]:
    """Class of each part, in the order of the numbers of the parts.

    Parameters
    ----------
    parts, classes : integers of one shape
        Each part lies in one class; 0 is background.

    Examples
    --------
    >>> classes_of_parts(np.array([1, 1, 0, 2]), np.array([5, 5, 0, 3]))
    array([5, 3])
    """
    numbers, first = np.unique(parts, return_index=True)
    found: NDArray[Any] = classes.reshape(-1)[first[numbers > 0]]
    return found
