"""Record of a result: image and settings that its pixels depend on, so that a run that resumes it has the same."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from biounet.core.atomic_files import replacing
from biounet.core.errors import ImageError, OutputError
from biounet.inference.job import Job
from biounet.io.identity import FileIdentity
from biounet.io.ome_zarr import DamagedChunkError

__all__ = ["RECORD", "noting_damage", "read_record", "write_record"]


RECORD = "biounet.json"
"""Name of the record in the folder of a result."""


def write_record(path: Path, job: Job) -> None:
    """Write the record of a result, or check a run against the record that is there.

    Raises
    ------
    OutputError
        If the result was begun with other settings; the message says which differ.
    ImageError
        If it was begun with another image, or with this one before it was changed.
    """
    found, wanted = read_record(path), _record(job)
    _check_input(path, job, found)
    for key in sorted(set(found) & set(wanted) - {"input"}):
        if found[key] != wanted[key]:
            raise OutputError(
                f"{path} was begun with {key} {found[key]}, this run has {wanted[key]}; use the same or --overwrite"
            )
    _write(path, wanted)


def _check_input(path: Path, job: Job, found: dict[str, Any]) -> None:
    """Refuse to go on with a result whose image has changed since it was begun."""
    if not found or job.identity is None:
        return
    now, damaged = job.identity, found.get("damaged")
    if damaged:
        now = FileIdentity.of(job.settings.input, without=str(damaged))
    try:
        change = FileIdentity(**found["input"]).difference(now)
    except (KeyError, TypeError, ValueError):
        change = "what it was then was not kept"
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
        if record and job.identity == FileIdentity.of(image):
            rest = FileIdentity.of(image, without=error.name)
            _write(path, record | {"input": asdict(rest), "damaged": error.name})
        raise


def read_record(path: Path) -> dict[str, Any]:
    """Record of a result; empty if there is none."""
    try:
        found: dict[str, Any] = json.loads((path / RECORD).read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise OutputError(f"{path / RECORD} is torn; give --overwrite to begin again") from error
    return found


def _write(path: Path, record: dict[str, Any]) -> None:
    with replacing(path / RECORD, overwrite=True) as temporary:
        temporary.write_text(json.dumps(record, indent=1))


def _record(job: Job) -> dict[str, Any]:
    """Settings that the bytes of a result depend on, besides the pixels of the image."""
    return {
        "model": hashlib.sha256(b"".join(path.read_bytes() for path in job.settings.models)).hexdigest(),
        "shape": list(job.image.shape),
        "save": job.settings.save,
        "tile": list(job.tiles.step),
        "device": job.net.device.type,
        "precision": str(job.net.precision).removeprefix("torch."),
        "tta": job.settings.tta,
        "depth": job.settings.depth,
        "link": job.settings.link,
        "input": None if job.identity is None else asdict(job.identity),
    }
