"""The record of a result: what its pixels depend on, so that a second run adds only what is made in the same way."""

import hashlib
import json
from pathlib import Path
from typing import Any

from biounet.core.atomic_files import replacing
from biounet.core.errors import OutputError
from biounet.inference.job import OpenJob

__all__ = ["RECORD", "read_record", "write_record"]


RECORD = "biounet.json"
"""File in a store that tells how its chunks were made."""


def write_record(path: Path, job: OpenJob) -> None:
    """Write down in a store how its chunks are made; refuse if others were made in another way.

    Raises
    ------
    OutputError
        It says what differs.
    """
    found, wanted = read_record(path), _record(job)
    for key in sorted(set(found) & set(wanted)):
        if found[key] != wanted[key]:
            raise OutputError(
                f"{path} was begun with {key} {found[key]}, this run has {wanted[key]}; use the same or --overwrite"
            )
    with replacing(path / RECORD, overwrite=True) as temporary:
        temporary.write_text(json.dumps(wanted, indent=1))


def read_record(path: Path) -> dict[str, Any]:
    """Read how the chunks of a store were made; nothing if there are none."""
    try:
        found: dict[str, Any] = json.loads((path / RECORD).read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise OutputError(f"{path / RECORD} is torn; give --overwrite to begin again") from error
    return found


def _record(job: OpenJob) -> dict[str, Any]:
    """All that the bytes of a result depend on, other than the pixels of the image."""
    return {
        "model": hashlib.sha256(b"".join(path.read_bytes() for path in job.job.models)).hexdigest(),
        "shape": list(job.image.shape),
        "save": job.job.save,
        "tile": list(job.tiles.step),
        "device": job.net.device.type,
        "precision": str(job.net.precision).removeprefix("torch."),
        "tta": job.job.tta,
        "depth": job.job.depth,
        "link": job.job.link,
    }
