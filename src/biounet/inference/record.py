"""Record of a result: image and settings that its pixels depend on, so that a run that resumes it has the same."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

from pydantic import NonNegativeInt, PositiveInt

from biounet.core.atomic_files import replacing
from biounet.core.errors import ImageError, ModelFileError, OutputError
from biounet.core.json_file import parse_json, read_json
from biounet.core.text_file import Record, TextFile
from biounet.inference.job import Job
from biounet.io import format_of
from biounet.io.identity import FileIdentity
from biounet.io.ome_zarr import DamagedChunkError

__all__ = ["RECORD", "ResultRecord", "is_complete", "note_on", "noting_damage", "read_record", "write_record"]


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
    close_gaps: bool = False
    adapt: bool = False
    input: InputRecord | None = None
    damaged: str | None = None
    """A chunk of the image that could not be read; the identity is of all other files."""

    @classmethod
    def of(cls, job: Job) -> "ResultRecord":
        """Settings of a job."""
        return cls(
            model=_digest(tuple((path, _changed(path)) for path in job.settings.models)),
            shape=job.image.shape,
            save=job.settings.save,
            tile=job.tiles.step,
            device=job.net.device.type,
            precision=str(job.net.precision).removeprefix("torch."),
            tta=job.settings.tta,
            depth=job.settings.depth,
            link=job.settings.link,
            close_gaps=job.closes_gaps,
            factor=job.settings.factor,
            adapt=job.settings.adapt,
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
        _check_settings(path, found, wanted)
    _write(path, wanted)


def note_on(job: Job) -> str:
    """The record of a result as text, for files that can hold a note."""
    return json.dumps(ResultRecord.of(job).model_dump(exclude_defaults=True))


def check_complete(path: Path, job: Job) -> None:
    """Refuse to keep a complete file as the result of a run if it is that of other settings or of another image.

    Files that hold no record must be younger than the image and the models.

    Raises
    ------
    OutputError, ImageError
        As `write_record`.
    """
    note_of = format_of(path).note_of
    text = "" if note_of is None else note_of(path)
    if text:
        found = parse_json(text, ResultRecord, TextFile(str(path), OutputError, "give --overwrite to begin again"))
        _check_input(path, job, found)
        _check_settings(path, found, ResultRecord.of(job), without=("tile",))
        return
    inputs = [(job.settings.input, 0 if job.identity is None else job.identity.changed)]
    made = path.stat().st_mtime_ns
    for file, changed in (*inputs, *((model, _changed(model)) for model in job.settings.models)):
        if changed > made:
            raise OutputError(
                f"{path} is older than {file.name}, which may have changed since; predict it anew with --overwrite"
            )


def is_complete(path: Path, job: Job, *, overwrite: bool) -> bool:
    """Whether a file is the result of a job; that of another job is refused, unless it may be overwritten."""
    if not path.is_file():
        return False
    try:
        check_complete(path, job)
    except (ImageError, OutputError):
        if not overwrite:
            raise
        return False
    return True


def _check_settings(path: Path, found: ResultRecord, wanted: ResultRecord, *, without: Sequence[str] = ()) -> None:
    """Refuse to go on with a result of other settings."""
    for (key, before), (_, now) in zip(found, wanted, strict=True):
        if before == now or key in ("input", "damaged", *without):
            continue
        if key == "model":
            raise OutputError(f"{path} was begun with model weights other than these; give that model, or --overwrite")
        raise OutputError(f"{path} was begun with {key} {before}, this run has {now}; use the same or --overwrite")


def _changed(model: Path) -> int:
    """When a model file was last changed, in nanoseconds."""
    try:
        return model.stat().st_mtime_ns
    except OSError as error:
        raise ModelFileError(f"{model} is gone since it was read; put it back, and predict again") from error


@lru_cache(maxsize=8)
def _digest(models: tuple[tuple[Path, int], ...]) -> str:
    """SHA-256 of model files, which are known by their times of change, too."""
    return hashlib.sha256(b"".join(path.read_bytes() for path, _ in models)).hexdigest()


def _check_input(path: Path, job: Job, found: ResultRecord) -> None:
    """Refuse to go on with a result whose image has changed since it was begun."""
    if job.identity is None:
        return
    now = job.identity if not found.damaged else FileIdentity.of(job.settings.input, without=found.damaged)
    change = "its record does not say which"
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
