"""What the numbers of a result mean: objects, classes with names, probabilities; it stands in the file itself."""

import json
from pathlib import Path
from typing import Literal

import biounet
from biounet.core.errors import ImageError
from biounet.core.json_file import parse_json
from biounet.core.text_file import Record, TextFile

__all__ = ["Meaning", "meaning_of", "meaning_of_text", "software"]


class Meaning(Record):
    """What the numbers of a result mean.

    Examples
    --------
    >>> Meaning(kind="classes", class_names=("background", "nucleus", "fibre")).shown
    'classes (background, nucleus, fibre)'
    """

    kind: Literal["objects", "classes", "parts", "probabilities", "image", "attention"]
    """Numbered objects; classes; parts of objects, such as their borders; or what is no label."""
    class_names: tuple[str, ...] = ()
    """One per class, background first; of two classes, probabilities are of the second."""

    @property
    def numbers_objects(self) -> bool:
        """Whether each number is one object."""
        return self.kind == "objects"

    @property
    def is_labels(self) -> bool:
        """Whether pixels are labels, which no other number may come near."""
        return self.kind in ("objects", "classes", "parts")

    @property
    def shown(self) -> str:
        """It in words."""
        return f"{self.kind} ({', '.join(self.class_names)})" if self.class_names else self.kind


def meaning_of(image: object) -> Meaning | None:
    """What the numbers of an image mean, where its file tells.

    A `biounet.io.LazyImage` whose file tells has an attribute ``meaning``.
    """
    found = getattr(image, "meaning", None)
    assert found is None or isinstance(found, Meaning)
    return found


def software(meaning: Meaning | None) -> str:
    """What the entry ``Software``, which TIFF and PNG have, says of a file of ours: a text in ASCII.

    >>> software(Meaning(kind="objects")).partition(" ")[2]
    '{"kind": "objects"}'
    """
    document = "" if meaning is None else f" {json.dumps(meaning.model_dump(exclude_defaults=True))}"
    return f"biounet-{biounet.__version__}{document}"


def meaning_of_text(text: object, path: Path) -> Meaning | None:
    """The meaning that `software` has written; none where other software wrote.

    Raises
    ------
    ImageError
        If it is damaged.

    Examples
    --------
    >>> meaning_of_text(software(Meaning(kind="objects")), Path("a.tif"))
    Meaning(kind='objects', class_names=())
    """
    name, _, document = str(text or "").partition(" ")
    if not name.startswith("biounet-") or not document:
        return None
    told = TextFile(f"{path.name}: its entry Software", ImageError, "write the result again")
    return parse_json(document.strip(), Meaning, told)
