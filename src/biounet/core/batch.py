"""Batches: files of one command, of which a bad file does not stop the others."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from biounet.core.errors import BatchError, BiounetError, ImageError, LabelError, ShapeError

__all__ = ["BAD_FILE", "Batch"]


BAD_FILE = (ImageError, LabelError, ShapeError)
"""Errors of one file, which say nothing about the others."""


class Batch:
    """Files that a command works on one after the other; it notes the errors of bad files, and goes on.

    One file alone is no batch: its error is raised.

    Parameters
    ----------
    files : number of files
    verb : what is done with them
    kind : what they are
    again : option with which a later run does what is missing

    Examples
    --------
    >>> batch = Batch(2, verb="read", again="--resume")
    >>> for name in ("a.tif", "b.tif"):
    ...     with batch.noting(Path(name)):
    ...         if name == "b.tif":
    ...             raise ImageError("b.tif is torn")
    >>> batch.finish([Path("a.tif")])
    Traceback (most recent call last):
    biounet.core.errors.BatchError: 1 of 2 images could not be read: b.tif is torn; put it right and run again with --resume
    """  # noqa: E501

    def __init__(self, files: int, *, verb: str, again: str, kind: str = "images") -> None:
        self._files, self._verb, self._again, self._kind = files, verb, again, kind
        self.failures: dict[Path, BiounetError] = {}

    @contextmanager
    def noting(self, path: Path) -> Iterator[None]:
        """Context of the work on a file, in which an error of this file is noted; after that it is in `failures`.

        Raises
        ------
        ImageError, LabelError, ShapeError
            If it is the only file.
        """
        try:
            yield
        except BAD_FILE as error:
            if self._files == 1:
                raise
            self.failures[path] = error

    def finish(self, done: Sequence[Path] = (), *, report: Callable[[str], None] = lambda line: None) -> None:
        """Report each failure in one line, and raise one error for all; do nothing if no file has failed.

        Parameters
        ----------
        done : results of the other files
        report : function that takes lines for a person

        Raises
        ------
        BatchError
            With the failures and the results.
        """
        if not self.failures:
            return
        lines = [_line(path, error) for path, error in self.failures.items()]
        if len(lines) > 1:
            for line in lines:
                report(line)
            lines, pronoun = [path.name for path in self.failures], "them"
        else:
            pronoun = "it"
        some = ", ".join(lines[:3]) + ", ..." * (len(lines) > 3)
        raise BatchError(
            f"{len(lines)} of {self._files} {self._kind} could not be {self._verb}: {some}; put {pronoun} right and "
            f"run again with {self._again}",
            failures=self.failures,
            done=done,
        )


def _line(path: Path, error: BiounetError) -> str:
    """The error of a file in words that name the file."""
    return str(error) if path.name in str(error) else f"{path.name}: {error}"
