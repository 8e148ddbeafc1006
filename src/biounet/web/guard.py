"""Guard of the server: who may ask, how much may come, how long it may take, and what a page may load."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

__all__ = ["HEADERS", "Guard"]


Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

LARGEST_BODY = 2**20
"""Bytes of a request; a long stroke has some hundred thousand."""

PATIENCE = 10.0
"""Seconds in which a request must be there."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
"""Sent with every answer: a page takes scripts, styles and data from here alone, and is shown in no frame."""


class _RefusedError(Exception):
    """A request that is not answered."""

    def __init__(self, status: int, text: str) -> None:
        self.status, self.text = status, text


@dataclass(frozen=True)
class Guard:
    """An application that answers only those who know the token, and ask from its own page.

    Parameters
    ----------
    app : ASGI application
    token : that every request below ``/api/`` must bear
    hosts : names and ports under which the server is known, such as ``127.0.0.1:8000``; empty if all are
    """

    app: App
    token: str
    hosts: frozenset[str]

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        try:
            headers = {name.lower(): value for name, value in scope["headers"]}
            self._check(scope, headers)
            body = await _body(receive, headers)
        except _RefusedError as refused:
            await _answer(send_guarded, refused)
            return
        given = False

        async def receive_whole() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, receive_whole, send_guarded)

    def _check(self, scope: MutableMapping[str, Any], headers: dict[bytes, bytes]) -> None:
        """Refuse a request from elsewhere, or without the token."""
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if self.hosts and host not in self.hosts:
            raise _RefusedError(400, "this server is not known under that name")
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1").lower() != f"http://{host}":
            raise _RefusedError(403, "requests come from the page of this server only")
        if headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin"):
            raise _RefusedError(403, "requests come from the page of this server only")
        if scope["path"].startswith("/api/"):
            given = headers.get(b"authorization", b"")
            if not hmac.compare_digest(given, f"Bearer {self.token}".encode()):
                raise _RefusedError(403, "the address lacks its token; open the address that biounet serve has printed")


async def _body(receive: Receive, headers: dict[bytes, bytes]) -> bytes:
    """Read a request; refuse one that is too large or too slow."""
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or int(length) > LARGEST_BODY:
        raise _RefusedError(413, f"a request has {LARGEST_BODY:,} bytes at most")
    body, more = bytearray(), True
    try:
        async with asyncio.timeout(PATIENCE):
            while more:
                message = await receive()
                if message["type"] != "http.request":
                    raise _RefusedError(400, "the request was cut short")
                body += message.get("body", b"")
                more = message.get("more_body", False)
                if len(body) > LARGEST_BODY:
                    raise _RefusedError(413, f"a request has {LARGEST_BODY:,} bytes at most")
    except TimeoutError as error:
        raise _RefusedError(408, "the request took too long") from error
    return bytes(body)


async def _answer(send: Send, refused: _RefusedError) -> None:
    """Say why a request is refused, and close the connection."""
    text = refused.text.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(text)).encode()),
               (b"connection", b"close")]  # fmt: skip
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": text})
