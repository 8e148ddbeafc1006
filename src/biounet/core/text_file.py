"""Text files that are read back: bounded in size, in UTF-8, validated; what is wrong is said in one line."""

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from biounet.core.errors import BiounetError
from biounet.core.words import shortened, shortened_name

__all__ = ["DEEPEST", "ForeignRecord", "Record", "TextFile"]


R = TypeVar("R", bound=BaseModel)

MOST = 64 * 2**20
"""Bytes of a text file, if nothing else is said."""

DEEPEST = 32
"""Levels of lists and tables in each other that a file may have."""

NESTED = (dict, list)


class Record(BaseModel):
    """Base of what a file holds: frozen, validated, no unknown entries."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class ForeignRecord(BaseModel):
    """Base of what another program has written: frozen, known entries validated, others kept."""

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())


@dataclass(frozen=True)
class TextFile:
    """A text file that is read back, or a text inside of a file, as messages speak of it.

    Parameters
    ----------
    name : what messages call it, such as its path
    error : type of the error if it cannot be read
    remedy : what the person can do then
    most : bytes that it may have

    Examples
    --------
    >>> from biounet.core.errors import ConfigError
    >>> str(TextFile("c.toml", ConfigError, "mend it").refused("the key is there twice", line=4))
    'c.toml, line 4: the key is there twice; mend it'
    """

    name: str
    error: type[BiounetError]
    remedy: str
    most: int = MOST

    def refused(self, why: str, *, line: int | None = None) -> BiounetError:
        """The error that says why the text cannot be read, to be raised."""
        place = "" if line is None else f", line {line}"
        return self.error(f"{self.name}{place}: {why}; {self.remedy}")

    def read(self, path: Path) -> str:
        """Text of a file.

        Raises
        ------
        error
            If it is missing, no regular file, too large, or not UTF-8.
        """
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                raise self.refused("it is a folder or a device, and no file")
            with path.open("rb") as stream:
                content = stream.read(self.most + 1)
        except BiounetError:
            raise
        except FileNotFoundError as error:
            raise self.refused("the file is missing") from error
        except (OSError, ValueError) as error:
            raise self.refused(f"it cannot be read ({getattr(error, 'strerror', None) or error})") from error
        return self.decode(content)

    def decode(self, content: bytes) -> str:
        """Text of the bytes of a file.

        Raises
        ------
        error
            If there are too many bytes, or they are not UTF-8.
        """
        if len(content) > self.most:
            raise self.refused(f"such a file has at most {self.most / 2**20:g} MiB, and it has more")
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise self.refused(
                f"the text is damaged (byte {content[error.start]:#04x} is not UTF-8)", line=line
            ) from error

    def check_depth(self, data: Any) -> None:
        """Refuse data with more than `DEEPEST` lists and tables in each other.

        Raises
        ------
        error
        """
        level = [data]
        for _ in range(DEEPEST + 1):
            level = [each for node in level if isinstance(node, NESTED) for each in _children(node)]
            if not level:
                return
        raise self.too_deep()

    def too_deep(self) -> BiounetError:
        """The error that says that lists and tables are in each other too deeply."""
        return self.refused(f"more than {DEEPEST} lists or tables are nested in each other")

    def validated(self, kind: type[R], data: Any, *, line: int | None = None) -> R:
        """Data as a frozen model.

        Raises
        ------
        error
            If something is missing, unknown or of a wrong type; the message names it.
        """
        if not isinstance(data, Mapping):
            raise self.refused(f"a table of names and values is wanted, got {shortened(data)}", line=line)
        try:
            return kind.model_validate(data)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name, got = shortened_name(first["loc"]) or "it", shortened(first["input"])
            words = {"missing": f"{name} is missing", "extra_forbidden": f"{name} is unknown"}
            why = f"{name}: {first['msg'].removeprefix('Value error, ')}, got {got}"
            raise self.refused(words.get(first["type"], why), line=line) from error


def _children(node: dict[Any, Any] | list[Any]) -> list[Any]:
    return list(node.values()) if isinstance(node, dict) else node
