"""Listeners: whoever wants to hear of everything that happens in a workspace."""

import queue
import threading
from collections.abc import Mapping
from typing import Any

__all__ = ["Events", "Listeners"]


QUEUED = 1000
"""Events that wait for a listener at most; one that does not listen loses the oldest."""

Events = queue.Queue[Mapping[str, Any]]


class Listeners:
    """Queues that all get the same events.

    Examples
    --------
    >>> listeners = Listeners()
    >>> events = listeners.listen()
    >>> listeners.tell({"event": "labels"})
    >>> events.get()
    {'event': 'labels'}
    """

    def __init__(self) -> None:
        self._queues: set[Events] = set()
        self._lock = threading.Lock()

    def listen(self) -> Events:
        """Return a queue that gets all events from now on, until `leave` is called with it."""
        events: Events = queue.Queue(QUEUED)
        with self._lock:
            self._queues.add(events)
        return events

    def leave(self, events: Events) -> None:
        """Send no more events to a queue."""
        with self._lock:
            self._queues.discard(events)

    def tell(self, event: Mapping[str, Any]) -> None:
        """Send an event to all."""
        with self._lock:
            for events in self._queues:
                while True:
                    try:
                        events.put_nowait(event)
                        break
                    except queue.Full:
                        events.get_nowait()
