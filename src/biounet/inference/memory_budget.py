"""Memory that a command may use, and how its processes, images and tiles share it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from biounet.core.errors import ImageError, MemoryBudgetError
from biounet.core.memory import format_bytes
from biounet.inference.job import Job
from biounet.inference.memory_plan import SLACK_BYTES, Plan, plan_prediction
from biounet.inference.tiles import tile_sides
from biounet.io import DecodingRoom
from biounet.segmentation.gaps import TABLE_BYTES_PER_PIXEL
from biounet.segmentation.regions import BYTES_PER_PIXEL

__all__ = ["MemoryBudget"]


@dataclass(frozen=True)
class MemoryBudget:
    """Memory of a command, and how it is shared.

    memory : bytes for all processes of this machine together
    held : bytes that each process holds beside its tiles
    processes : that predict; if several, this process only reads and writes
    region_memory : bytes for a region in which objects are numbered
    """

    memory: int
    held: int
    processes: int
    region_memory: int

    @property
    def room(self) -> DecodingRoom:
        """Memory for what must be decoded of an image at once, in each process."""
        copies = self.processes + (self.processes > 1)
        held = self.held + SLACK_BYTES
        return DecodingRoom(max(0, self.memory // copies - held), held * copies, "--memory")

    def plan(self, job: Job, tile: int | Sequence[int] | None, batch: int) -> Plan:
        """Plan the tiles of an image; its memory is that of all processes together.

        Raises
        ------
        ImageError
            If what must be decoded of it at once leaves no memory for a tile.
        MemoryBudgetError
            If no image has a tile that fits.
        """
        tile_sides(tile, job.net.dims)
        first, decoding = job.frames[0], job.image.decoding_bytes
        # Memory for a region of a whole frame comes on top, because the memory of tiles is not all given back.
        numbering = min(self.region_memory, BYTES_PER_PIXEL * math.prod(first.shape[1:]))
        table = TABLE_BYTES_PER_PIXEL * math.prod(first.shape[1:]) * job.closes_gaps
        apart = (self.held + decoding) * (self.processes > 1)  # of the process that only reads and writes
        try:
            plan = plan_prediction(
                job.net,
                first.shape,
                classes=job.card.model.classes,
                itemsize=job.image.dtype.itemsize,
                held=self.held + decoding + numbering * job.by_frame + table,
                budget=max(0, self.memory - apart) // self.processes,
                frames=len(job.frames),
                tile=tile,
                batch=batch,
            )
        except MemoryBudgetError as error:
            name = job.settings.input.name
            wanted = f"for each of {self.processes} workers, {error}" if self.processes > 1 else str(error)
            if table > max(decoding, SLACK_BYTES):
                raise MemoryBudgetError(
                    f"{name}: {format_bytes(table)} go to closing gaps in all of a section, and {wanted}, or "
                    "--no-close-gaps"
                ) from error
            if decoding < SLACK_BYTES:
                raise MemoryBudgetError(wanted) from error
            raise ImageError(
                f"{name}: {format_bytes(decoding)} go to what must be decoded of it at once, and {wanted}, or save it "
                "as a tiled TIFF or OME-Zarr"
            ) from error
        return replace(plan, bytes=apart + self.processes * plan.bytes)
