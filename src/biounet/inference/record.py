"""Record of a result: the settings that its pixels depend on, so that a run that resumes it must have the same."""

import hashlib
import json
from pathlib import Path
from typing import Any

from biounet.core.atomic_files import replacing
from biounet.core.errors import OutputError
from biounet.inference.job import Job

__all__ = ["RECORD", "read_record", "write_record"]


RECORD = "biounet.json"
"""Name of the record in the folder of a result."""


def write_record(path: Path, job: Job) -> None:
    """Write the record of a result, or check a run against the record that is there.

    Raises
    ------
    OutputError
        If the result was begun with other settings; the message says which differ.
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
    """Record of a result; empty if there is none."""
    try:
        found: dict[str, Any] = json.loads((path / RECORD).read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise OutputError(f"{path / RECORD} is torn; give --overwrite to begin again") from error
    return found


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
    }
