"""Problems of files that are looked at together: all of them are told, not only the first."""

from collections.abc import Iterator
from contextlib import contextmanager

from biounet.core.errors import BiounetError, DatasetError, ImageError, LabelError, ProblemsError, ShapeError

__all__ = ["LISTED", "Problems"]


LISTED = 20
"""Number of problems that are listed one by one."""

OF_FILES = (DatasetError, ImageError, LabelError, ShapeError)
"""Errors of files; others end the work at once."""


class Problems:
    """Problems that were met so far; one alone is raised as it is, several as one `ProblemsError`.

    Examples
    --------
    >>> problems = Problems()
    >>> for name in ("a.tif", "b.tif"):
    ...     with problems.noting():
    ...         raise ImageError(f"{name} is torn")
    >>> problems.finish("data")
    Traceback (most recent call last):
    biounet.core.errors.ProblemsError: data: 2 problems: a.tif is torn; b.tif is torn
    """

    def __init__(self) -> None:
        self._found: dict[str, BiounetError] = {}  # by message: a file may be looked at twice

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, error: BiounetError) -> None:
        """Note a problem."""
        for each in error.problems if isinstance(error, ProblemsError) else (error,):
            self._found.setdefault(str(each), each)

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Context of the work on a file, in which an error of the file is noted; the work on others goes on."""
        try:
            yield
        except OF_FILES as error:
            self.add(error)

    def finish(self, name: str) -> None:
        """Do nothing if there are no problems.

        Parameters
        ----------
        name : of the dataset that has them

        Raises
        ------
        BiounetError
            The only problem.
        ProblemsError
            Several problems.
        """
        found = list(self._found.values())
        if len(found) == 1:
            raise found[0]
        if found:
            some = "; ".join(map(str, found[:3])) + "; ..." * (len(found) > 3)
            raise ProblemsError(f"{name}: {len(found)} problems: {some}", problems=found)
