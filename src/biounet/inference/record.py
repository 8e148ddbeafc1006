"""Record of a result: the settings that its pixels depend on, so that a run that resumes it must have the same."""

import hashlib
import json
from pathlib import Path

from pydantic import PositiveInt

from biounet.core.atomic_files import replacing
from biounet.core.errors import OutputError
from biounet.core.json_file import read_json
from biounet.core.text_file import Record, TextFile
from biounet.inference.job import Job

__all__ = ["RECORD", "ResultRecord", "read_record", "write_record"]


RECORD = "biounet.json"
"""Name of the record in the folder of a result."""


class ResultRecord(Record):
    """Settings that the bytes of a result depend on, besides the pixels of the image."""

    model: str
    """SHA-256 of the model files."""
    shape: tuple[PositiveInt, ...]
    """Pixels per axis of the image."""
    save: str
    tile: tuple[PositiveInt, ...]
    """Pixels per spatial axis that a tile delivers."""
    device: str
    precision: str
    tta: bool
    depth: int | None
    link: bool

    @classmethod
    def of(cls, job: Job) -> "ResultRecord":
        """Settings of a job."""
        return cls(
            model=hashlib.sha256(b"".join(path.read_bytes() for path in job.settings.models)).hexdigest(),
            shape=job.image.shape,
            save=job.settings.save,
            tile=job.tiles.step,
            device=job.net.device.type,
            precision=str(job.net.precision).removeprefix("torch."),
            tta=job.settings.tta,
            depth=job.settings.depth,
            link=job.settings.link,
        )


def write_record(path: Path, job: Job) -> None:
    """Write the record of a result, or check a run against the record that is there.

    Raises
    ------
    OutputError
        If the result was begun with other settings; the message says which differ. If the record cannot be read.
    """
    found, wanted = read_record(path), ResultRecord.of(job)
    for (key, before), (_, now) in zip(found or (), wanted, strict=False):
        if before != now:
            raise OutputError(f"{path} was begun with {key} {before}, this run has {now}; use the same or --overwrite")
    with replacing(path / RECORD, overwrite=True) as temporary:
        temporary.write_text(json.dumps(wanted.model_dump(), indent=1))


def read_record(path: Path) -> ResultRecord | None:
    """Record of a result; None if there is none.

    Raises
    ------
    OutputError
        If there is one that cannot be read.
    """
    place = path / RECORD
    if not place.exists():
        return None
    return read_json(place, ResultRecord, TextFile(str(place), OutputError, "give --overwrite to begin again"))
