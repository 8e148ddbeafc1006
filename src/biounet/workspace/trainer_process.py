"""The process that learns, as its owner sees it: it is started, told what to do, listened to, and ended."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from biounet.core.errors import BiounetError, TrainingError
from biounet.core.json_file import parse_json
from biounet.core.text_file import ForeignRecord, TextFile

__all__ = ["PATIENCE", "TrainerProcess"]

PATIENCE = 20.0
"""Seconds that the process has to come to its end when nobody gives orders any more."""

LINE = TextFile("message of the process that learns", TrainingError, "see trainer.log")


class _Message(ForeignRecord):
    """A message of the process that learns; what else it holds depends on the event."""

    event: str


class TrainerProcess:
    """A process that learns in a folder, until this one ends or closes it.

    Parameters
    ----------
    folder : Path
    hear : what is done with each of its messages; called in a thread
    model : model to begin with
    log : file that takes what it prints
    """

    def __init__(
        self, folder: Path, hear: Callable[[Mapping[str, Any]], None], *, model: Path | None = None, log: Path
    ) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self._hear = hear
        self._log = log
        words = [sys.executable, "-m", "biounet.workspace.trainer", str(folder), *([str(model)] if model else [])]
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=os.environ
            )
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        self._closed = False

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def tell(self, **order: Any) -> None:
        """Give an order; a process that has ended takes none."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            return

    def close(self) -> None:
        """Let it finish its step and write its state; one that does not end in time is killed."""
        self._closed = True
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join(5)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        for line in self._process.stdout:
            try:
                message = parse_json(line, _Message, LINE).model_dump()
            except BiounetError as error:
                message = {"event": "problem", "text": str(error)}
            try:
                self._hear(message)
            except BiounetError as error:
                self._hear({"event": "problem", "text": str(error)})
        code = self._process.wait()
        self._process.stdout.close()
        if not self._closed:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
            killed = "it was killed, perhaps since memory was short" if code < 0 else "it said nothing"
            lines = self._log.read_text(errors="replace").strip().splitlines() if self._log.exists() else []
            self._hear({"event": "ended", "text": [killed, *lines][-1][:300]})
