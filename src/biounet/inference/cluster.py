"""Prediction on many processes: workers on this machine, or of a running dask cluster."""

import logging
import os
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from biounet.core.batch import BAD_FILE
from biounet.core.errors import ClusterError, need
from biounet.inference.ensemble import Ensemble
from biounet.inference.job import Job, JobSettings, TileTask, load_ensemble
from biounet.inference.tile_store import TileStore
from biounet.io import DecodingRoom, Selection

__all__ = ["Cluster", "join_scheduler", "local_workers"]


GROUP = 4
"""Tiles that a worker is given at a time: while it computes one, it reads the next and writes the last."""

AHEAD = 2
"""Groups per worker that are on their way, so that none waits."""

PATIENCE = 10.0
"""Seconds until a scheduler is given up, and until it is asked whether there still are workers."""

ONE_AT_A_TIME = threading.Lock()
"""Workers with several threads would need the memory of several tiles."""


@dataclass(frozen=True)
class Cluster:
    """Workers that predict tiles; a `biounet.inference.files.Run`.

    Parameters
    ----------
    client : distributed.Client
    """

    client: Any

    def __call__(self, job: Job, tasks: Iterable[TileTask], store: TileStore, *, batch: int = 1) -> Iterator[int]:
        """Predict tiles on the workers; see `biounet.inference.files.Run`.

        Workers put tiles into a shared store themselves. Of another store, tiles are sent here.

        Raises
        ------
        ClusterError
            If all workers are gone, or the scheduler, or if the same tiles end one worker after the other.
        """
        machines = self._machines()
        if not machines:
            raise ClusterError("the scheduler has no workers; start some with: dask worker ADDRESS --nthreads 1")
        fair = len(job.tiles) * len(job.frames) // (AHEAD * machines.total())
        left, size = iter(tasks), max(batch, min(GROUP, fair))
        path = store.path if store.shared else None
        sent: dict[Any, list[TileTask]] = {}
        try:
            while True:
                work = _Work(job.settings, job.tiles.step, batch, path, max(machines.values(), default=1))
                while len(sent) < AHEAD * max(1, machines.total()) and (group := list(islice(left, size))):
                    sent[self.client.submit(work, group, pure=False)] = group
                if not sent:
                    return
                future = self._next(sent)
                group = sent.pop(future)
                for task, pixels in zip(group, _result(future), strict=True):
                    if pixels is not None:
                        store.put(task, pixels)
                yield len(group)
                machines = self._machines()  # workers come and go, as jobs of a queue do
        except BAD_FILE:
            while sent:  # until no worker writes into the store, which may be deleted
                sent.pop(self._next(sent))
            raise
        finally:
            self.client.cancel(list(sent))

    def _machines(self) -> "Counter[str]":
        """How many workers there are now on each machine."""
        workers = self.client.scheduler_info(n_workers=-1)["workers"]
        return Counter(worker["host"] for worker in workers.values())

    def _next(self, sent: Iterable[Any]) -> Any:
        """Wait for a result. Dask gives the tiles of a lost worker to another, if there is one."""
        distributed = need("distributed")
        while True:
            try:
                return next(iter(distributed.wait(list(sent), timeout=PATIENCE, return_when="FIRST_COMPLETED").done))
            except TimeoutError:
                if not self._machines():
                    raise ClusterError("all workers are gone; start some and run again with --resume") from None
            except (distributed.CancelledError, OSError) as error:
                raise ClusterError("the scheduler is gone; start it and run again with --resume") from error


def _result(future: Any) -> list[NDArray[Any] | None]:
    """Tiles that a worker sent; an error that it raised is raised here."""
    distributed = need("distributed")
    try:
        result: list[NDArray[Any] | None] = future.result()
    except distributed.KilledWorker as error:
        raise ClusterError(
            "one worker after the other ended on the same tiles; they may lack memory: give less --memory, "
            "then run again with --resume"
        ) from error
    except distributed.CancelledError as error:
        raise ClusterError("the scheduler is gone; start it and run again with --resume") from error
    return result


@dataclass(frozen=True)
class _Work:
    """Work that is sent to a worker, and called there with a group of tiles."""

    settings: JobSettings
    step: tuple[int, ...]
    batch: int
    path: Path | None
    crowd: int

    def __call__(self, tasks: list[TileTask]) -> list[NDArray[Any] | None]:
        with ONE_AT_A_TIME:
            job = _open_here(self.settings, self.step, self.crowd)
            results: dict[TileTask, NDArray[Any]] = {}
            put = results.__setitem__ if self.path is None else TileStore.attach(job, self.path).put
            for _ in job.run(tasks, put, batch=self.batch):
                pass
            return [results.get(task) for task in tasks]


@lru_cache(maxsize=1)
def _open_here(settings: JobSettings, step: tuple[int, ...], crowd: int) -> Job:
    """Open a job once per worker process."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(max(1, cores // crowd))
    room = DecodingRoom(sys.maxsize)  # the process that planned the tiles has looked
    networks = _load_here(replace(settings, input=Path(), selection=Selection()))
    return Job(settings, networks, step=step, room=room)


@lru_cache(maxsize=1)
def _load_here(settings: JobSettings) -> Ensemble:
    """Load networks once per worker process; of several GPUs, workers take one each."""
    name = need("distributed").get_worker().name
    if settings.device in ("auto", "cuda") and torch.cuda.device_count() > 1 and str(name).isdecimal():
        settings = replace(settings, device=f"cuda:{int(name) % torch.cuda.device_count()}")
    return load_ensemble(settings)


@contextmanager
def local_workers(count: int) -> Iterator[Cluster]:
    """Worker processes on this machine, for the time of a ``with`` statement.

    Parameters
    ----------
    count : int

    Raises
    ------
    ClusterError
        If they do not start.
    """
    distributed = need("distributed")
    # What matters is raised; dask's own words on how workers come and go are not for the user.
    options = {"threads_per_worker": 1, "memory_limit": 0, "dashboard_address": ":0", "silence_logs": logging.CRITICAL}
    try:
        cluster = distributed.LocalCluster(n_workers=count, processes=True, **options)
    except (OSError, RuntimeError, TimeoutError) as error:
        raise ClusterError(f"{count} workers did not start ({error}); give fewer --workers") from error
    with cluster, distributed.Client(cluster) as client:
        yield Cluster(client)


@contextmanager
def join_scheduler(address: str, *, patience: float = PATIENCE) -> Iterator[Cluster]:
    """Workers of a running cluster, started by ``dask scheduler`` and ``dask worker``.

    Parameters
    ----------
    address : as the scheduler prints it, such as ``tcp://10.0.0.1:8786``
    patience : seconds to wait for its answer

    Raises
    ------
    ClusterError
        If there is no scheduler.
    """
    distributed = need("distributed")
    try:
        client = distributed.Client(address, timeout=patience)
    except (OSError, ValueError, TimeoutError) as error:
        raise ClusterError(
            f"no dask scheduler answers at {address}; start one with: dask scheduler, and give the address it prints"
        ) from error
    with client:
        yield Cluster(client)
