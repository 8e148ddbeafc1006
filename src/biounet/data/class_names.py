"""Names of classes that stand beside labels: in ``classes.txt``, or in ``dataset.json`` of nnU-Net."""

from pathlib import Path

from biounet.core.errors import DatasetError
from biounet.core.text_file import TextFile
from biounet.data.layouts import LAYOUTS
from biounet.data.paired_files import file_in

__all__ = ["CLASSES", "class_names_beside", "listed_classes"]


CLASSES = "classes.txt"
"""A file with a name per line, in the order of the numbers; the background may be left out."""

MOST = 2**16
"""Bytes of such a file."""


def listed_classes(folder: Path) -> tuple[str, ...]:
    r"""Names in the file ``classes.txt`` of a folder; none without such a file.

    Raises
    ------
    DatasetError
        If it cannot be read, is empty, or has a name twice.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "classes.txt").write_text("background\nnucleus\n")
    >>> listed_classes(folder)
    ('background', 'nucleus')
    """
    path = file_in(folder, CLASSES) if folder.is_dir() else None
    if path is None:
        return ()
    file = TextFile(str(path), DatasetError, "write a name per line, or move it away", most=MOST)
    names = [line.strip() for line in file.read(path).splitlines()]
    names = [name for name in names if name]
    double = next((name for name in names if names.count(name) > 1), None)
    if not names or double is not None:
        raise file.refused(f"the name {double} is there twice" if names else "no name is in it")
    return tuple(names)


def class_names_beside(labels: Path) -> tuple[str, ...]:
    """Names of classes that stand in a folder of labels, in that around it, or beside a label file."""
    for folder in (labels, labels.parent):
        found = listed_classes(folder) or next(
            filter(None, (each.class_names(folder) for each in LAYOUTS.values())), ()
        )
        if found:
            return found
    return ()
