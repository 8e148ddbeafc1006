"""Subgroups of images that are also scored by themselves: from a table, or grey images and colour images."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from biounet.core.csv_file import read_csv
from biounet.core.errors import ConfigError, DatasetError
from biounet.core.text_file import Record, TextFile
from biounet.data import images_in
from biounet.evaluation.pairing import FilePair
from biounet.io import is_image, plain_name, read

__all__ = ["groups_of", "read_groups"]


class _Row(Record, extra="ignore"):
    """Row of a table of groups, which may have further columns."""

    name: str
    group: str


def read_groups(source: Path) -> dict[str, str]:
    r"""Group of each image, from a table or from the images.

    Parameters
    ----------
    source : Path
        A CSV file with columns ``name`` and ``group``. Or images that results were predicted from (a file, a folder, a
        dataset), which are ``grey`` where all channels are equal, else ``colour``.

    Returns
    -------
    name without the suffix of an image -> group

    Raises
    ------
    ConfigError
        If a table lacks columns, or names an image twice with different groups.
    DatasetError
        If there is no such file, or a folder holds no images.

    Examples
    --------
    >>> import tempfile
    >>> table = Path(tempfile.mkdtemp()) / "groups.csv"
    >>> _ = table.write_text("name,group\na.png,grey fluorescence\nb,stained tissue\n")
    >>> read_groups(table)
    {'a': 'grey fluorescence', 'b': 'stained tissue'}
    """
    if not source.exists():
        raise DatasetError(f"{source}: there is no such file or folder; give a CSV file, or images")
    if source.suffix.lower() == ".csv":
        return _read_table(source)
    files = [source] if is_image(source) else images_in(source) if source.is_dir() else []
    if not files:
        raise DatasetError(f"{source} holds no images; give a CSV file with columns name and group, or images")
    return {plain_name(path): "colour" if _is_coloured(path) else "grey" for path in files}


def groups_of(pairs: Sequence[FilePair], groups: Mapping[str, str]) -> list[str]:
    """Group of each pair of files; `groups` may name more images.

    Raises
    ------
    ConfigError
        If a result has no group.

    Examples
    --------
    >>> groups_of([FilePair("a.tif", Path("a.tif"), (Path("truth.tif"),))], {"a": "grey", "b": "colour"})
    ['grey']
    """
    names = [plain_name(pair.result) for pair in pairs]
    missing = [name for name in names if name not in groups]
    if missing:
        others = f", nor are {len(missing) - 1} others" if len(missing) > 1 else ""
        raise ConfigError(f"{missing[0]} is of no group{others}; name a group for every result")
    return [groups[name] for name in names]


def _read_table(path: Path) -> dict[str, str]:
    """Name and group of each row of a CSV file."""
    file = TextFile(str(path), ConfigError, "give a CSV file with columns name and group")
    found: dict[str, str] = {}
    for number, row in read_csv(path, _Row, file):
        name, group = row.name.strip(), row.group.strip()
        if not name or not group:
            raise file.refused("wanted are a name and a group", line=number)
        if found.setdefault(plain_name(Path(name)), group) != group:
            raise ConfigError(
                f"{path}, line {number}: {name} is of {found[plain_name(Path(name))]} already; keep one group"
            )
    return found


def _is_coloured(path: Path) -> bool:
    """Whether the channels of an image differ anywhere."""
    image = read(path)
    channels = np.moveaxis(image.array, image.axes.index("C"), 0) if "C" in image.axes else image.array[np.newaxis]
    return bool((channels != channels[:1]).any())
