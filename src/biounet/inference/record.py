"""Record of a result: image and settings that its pixels depend on, so that a run that resumes it has the same."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from pydantic import NonNegativeInt, PositiveInt

from biounet.core.atomic_files import replacing
from biounet.core.errors import ImageError, OutputError
from biounet.core.json_file import read_json
from biounet.core.text_file import Record, TextFile
from biounet.inference.job import Job
from biounet.io.identity import FileIdentity
from biounet.io.ome_zarr import DamagedChunkError

__all__ = ["RECORD", "ResultRecord", "noting_damage", "read_record", "write_record"]


RECORD = "biounet.json"
"""Name of the record in the folder of a result."""


class InputRecord(Record):
    """Identity of the image, see `biounet.io.identity.FileIdentity`."""

    files: NonNegativeInt
    size: NonNegativeInt
    changed: int
    digest: str


class ResultRecord(Record):
    """Image and settings that the bytes of a result depend on."""

    model: str
    """SHA-256 of the model files."""
    shape: tuple[PositiveInt, ...]
    """Pixels per axis of the image."""
    save: str
    factor: float = 1.0
    """Factor by which the image was scaled before it was predicted."""
    tile: tuple[PositiveInt, ...]
    """Pixels per spatial axis that a tile delivers."""
    device: str
    precision: str
    tta: bool
    depth: int | None
    link: bool
    input: InputRecord | None = None
    damaged: str | None = None
    """A chunk of the image that could not be read; the identity is of all other files."""

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
            factor=job.settings.factor,
            input=None if job.identity is None else InputRecord(**asdict(job.identity)),
        )


def write_record(path: Path, job: Job) -> None:
    """Write the record of a result, or check a run against the record that is there.

    Raises
    ------
    OutputError
        If the result was begun with other settings; the message says which differ. If the record cannot be read.
    ImageError
        If it was begun with another image, or with this one before it was changed.
    """
    found, wanted = read_record(path), ResultRecord.of(job)
    if found is not None:
        _check_input(path, job, found)
        for (key, before), (_, now) in zip(found, wanted, strict=True):
            if before != now and key not in ("input", "damaged"):
                raise OutputError(
                    f"{path} was begun with {key} {before}, this run has {now}; use the same or --overwrite"
                )
    _write(path, wanted)


def _check_input(path: Path, job: Job, found: ResultRecord) -> None:
    """Refuse to go on with a result whose image has changed since it was begun."""
    if job.identity is None:
        return
    now = job.identity if not found.damaged else FileIdentity.of(job.settings.input, without=found.damaged)
    change = "what it was then was not kept"
    if found.input is not None:
        change = FileIdentity(**found.input.model_dump()).difference(now)
    if change:
        raise ImageError(
            f"{path.name} was begun with another {job.settings.input.name} ({change}); begin again with --overwrite, "
            "or put the image back as it was"
        )


@contextmanager
def noting_damage(path: Path, job: Job) -> Iterator[None]:
    """Context of a run, in which a chunk of the image that cannot be read is noted in the record of the result.

    No tile is made of such a chunk. So once it is copied again, a later run goes on, if nothing else has changed.
    """
    try:
        yield
    except DamagedChunkError as error:
        image, record = job.settings.input, read_record(path)
        if record is not None and job.identity == FileIdentity.of(image):
            rest = InputRecord(**asdict(FileIdentity.of(image, without=error.name)))
            _write(path, record.model_copy(update={"input": rest, "damaged": error.name}))
        raise


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


def _write(path: Path, record: ResultRecord) -> None:
    with replacing(path / RECORD, overwrite=True) as temporary:
        temporary.write_text(json.dumps(record.model_dump(exclude_defaults=True), indent=1))
