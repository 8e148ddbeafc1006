"""What may be replaced: a file of the same kind that is no input of the command."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from biounet.core.atomic_files import check_absent
from biounet.core.errors import OutputError

__all__ = ["KINDS", "Inputs", "check_kind"]


KINDS: Mapping[str, tuple[bytes, ...]] = MappingProxyType(
    {
        "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
        "PNG": (b"\x89PNG",),
        "NIfTI": (b"\x1f\x8b", b"\x5c\1\0\0", b"\0\0\1\x5c", b"\x1c\2\0\0", b"\0\0\2\x1c"),
        "JSON": (b"{", b"["),
        "table": (),
        "page": (b"<!doctype html",),
        "zip": (b"PK\3\4", b"PK\5\6"),
        "ONNX": (b"\x08",),
    }
)
"""Kind of a file -> the bytes that one begins with. A table is text."""

BEGINNING = 512
"""Bytes that are looked at."""


class Inputs:
    """Files and folders that a command reads, so that it replaces none of them, under whatever name.

    Links, and other spellings of a path, are the file that they lead to.

    Parameters
    ----------
    roles : what a file is for the command -> the files; some may be missing

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.tif").write_bytes(b"II*")
    >>> (folder / "b.tif").hardlink_to(folder / "a.tif")
    >>> Inputs({"the model": [folder / "a.tif"]}).check(folder / "b.tif", kind="TIFF")
    Traceback (most recent call last):
    biounet.core.errors.OutputError: ...b.tif is the model (a.tif), which this command reads; choose another name for what it writes
    """  # noqa: E501

    def __init__(self, roles: Mapping[str, Iterable[Path]]) -> None:
        self._files: dict[tuple[int, int], str] = {}
        self._folders: dict[str, str] = {}
        known: set[Path] = set()
        for role, path in ((role, path) for role, paths in roles.items() for path in paths):
            try:
                stat = path.stat()
            except OSError:  # whoever reads it says so
                continue
            words = f"{role} ({path.name}), which this command reads"
            self._files.setdefault((stat.st_dev, stat.st_ino), words)
            places = {path.parent, Path(os.path.realpath(path)).parent} if path.is_symlink() else {path.parent}
            for place in places - known:
                real = Path(os.path.realpath(place))
                self._folders |= {str(folder): words for folder in (real, *real.parents)}
            known |= places

    def check(self, out: Path, *, overwrite: bool = True, kind: str | None = None) -> None:
        """Refuse to write to a path if that would replace one of them, or anything unasked or of another kind.

        Parameters
        ----------
        out : Path
        overwrite : whether anything may be replaced
        kind : of the file that will be written, one of `KINDS`; None: it is a folder

        Raises
        ------
        OutputError
        """
        check_absent(out, overwrite=overwrite, file=kind is not None)
        try:
            stat = out.stat()
        except OSError:
            return
        same, inside = self._files.get((stat.st_dev, stat.st_ino)), self._folders.get(os.path.realpath(out))
        if same or inside:
            raise OutputError(
                f"{out} {'is' if same else 'holds'} {same or inside}; choose another name for what it writes"
            )
        if kind is not None:
            check_kind(out, kind)


def check_kind(path: Path, kind: str) -> None:
    """Refuse to replace a file that is of another kind than what is written to it.

    Parameters
    ----------
    path : a file that exists
    kind : one of `KINDS`

    Raises
    ------
    OutputError

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "scores.json"
    >>> _ = path.write_text("two years of work")
    >>> check_kind(path, "JSON")
    Traceback (most recent call last):
    biounet.core.errors.OutputError: ...scores.json is not a JSON file, so it is not replaced; choose another name
    """
    if not path.is_file():
        raise OutputError(f"{path} is not a file, so it is not replaced; choose another name")
    try:
        with path.open("rb") as stream:
            beginning = stream.read(BEGINNING)
    except OSError as error:
        raise OutputError(
            f"{path} cannot be read ({error.strerror}), so it is not replaced; choose another name"
        ) from None
    known = not beginning or (beginning.startswith(KINDS[kind]) if KINDS[kind] else b"\0" not in beginning)
    if not known:
        article = "an" if kind == "ONNX" else "a"
        raise OutputError(
            f"{path} is not {article} {kind}{'' if kind == 'table' else ' file'}, so it is not replaced; choose another"
            " name"
        )
