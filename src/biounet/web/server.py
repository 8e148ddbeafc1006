"""The server: an address with a token, connections that may not idle for ever, and an end that loses nothing."""

import asyncio
import secrets
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from biounet.core.errors import ConfigError
from biounet.web.app import make_app
from biounet.workspace import Workspace

__all__ = ["LOOPBACK", "check_host", "serve"]


LOOPBACK = ("127.0.0.1", "localhost", "::1")

CONNECTIONS = 200
"""Requests at a time; more are told to come back later."""

PATIENCE = 15.0
"""Seconds after which a connection is closed that has asked for nothing."""


class ImpatientProtocol(H11Protocol):
    """A connection that is closed if it does not ask for anything in time."""

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._first = asyncio.get_running_loop().call_later(PATIENCE, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._first.cancel()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        if getattr(self, "cycle", None) is None:
            self.transport.close()


def check_host(host: str, token: str | None) -> None:
    """Refuse to listen to other machines without a token that was chosen for it.

    Raises
    ------
    ConfigError
    """
    if host not in LOOPBACK and not token:
        raise ConfigError(
            f"--host {host} lets other machines in; give a --token that they need, or leave --host out and use ssh -L"
        )
    if token is not None and len(token) < 8:
        raise ConfigError("a token needs 8 characters or more; leave --token out to have one drawn")


def serve(
    folder: Path,
    *,
    model: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    say: Callable[[str], None] = print,
    learn: bool = True,
) -> None:
    """Serve the page of a folder until Ctrl-C.

    Parameters
    ----------
    folder : Path
    model : model file, run folder or name of a shipped model to begin with
    host, port : where to listen; port 0 takes a free one
    token : that the address bears; drawn if there is none
    say : what is done with a line for the person at the terminal
    learn : whether a network learns meanwhile

    Raises
    ------
    ConfigError
        If other machines are let in without a token, or the port is taken.
    DatasetError
        If the folder has no images.
    """
    check_host(host, token)
    token = token or secrets.token_urlsafe(24)
    listener = _listen(host, port)
    port = listener.getsockname()[1]
    with listener, Workspace(folder, model=model, learn=learn) as workspace:
        local = host in LOOPBACK
        names = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")} if local else set()
        app = make_app(workspace, token=token, hosts=frozenset(names))
        options: dict[str, Any] = {"http": ImpatientProtocol, "limit_concurrency": CONNECTIONS, "log_level": "warning"}
        config = uvicorn.Config(
            app, lifespan="off", ws="none", access_log=False, server_header=False,
            timeout_graceful_shutdown=1, **options,
        )  # fmt: skip
        shown = "127.0.0.1" if local else host
        say(f"{len(workspace.project.images)} images in {workspace.project.folder}")
        say(f"open http://{shown}:{port}/#{token}")
        say("Ctrl-C ends it; what is drawn is on the disk")
        uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    """Take a port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()  # before the address is said: whoever comes at once waits, and is not refused
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"port {port} of {host} cannot be used ({error.strerror}); give another --port, 0 for any"
        ) from error
    return listener
