"""The application: requests become calls of a workspace, errors become one line."""

import asyncio
import json
import queue
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from biounet.core.boxes import Box
from biounet.core.errors import BiounetError, OutputError
from biounet.core.json_file import parse_json
from biounet.core.text_file import Record, TextFile
from biounet.web.guard import LARGEST_BODY, Guard
from biounet.web.pixels import image_tile, label_tile, level_box, predicted_tile
from biounet.workspace import (
    TAKE_AWAY,
    Applied,
    ConflictError,
    Edit,
    NotReadyError,
    Plane,
    ProjectImage,
    Workspace,
    labels_event,
)

__all__ = ["make_app"]


STATIC = Path(__file__).parent / "static"
FILES = {"": "index.html"} | {path.name: path.name for path in STATIC.iterdir() if path.suffix != ".html"}
"""Name in an address -> file; no other file is ever read for a request."""

TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

Handler = Callable[[Request], Awaitable[Response]]

R = TypeVar("R", bound=BaseModel)


class RequestError(BiounetError, ValueError):
    """The body of a request is not what its address takes."""


BODY = TextFile("request", RequestError, "reload the page", most=LARGEST_BODY)


class Look(Record):
    """What is on the screen."""

    image: Annotated[int, Field(ge=0)]
    plane: Plane
    box: tuple[int, int, int, int]


class Version(Record):
    """The version of the labels that a person saw."""

    version: Annotated[int, Field(ge=0)]


class Training(Record):
    """What the network shall do."""

    pause: bool | None = None
    finish: Annotated[float, Field(gt=0, le=24 * 60)] | None = None
    """Minutes in which a model is to be finished."""
    stop: bool = False


class ProjectChange(Record):
    """What labels shall mean."""

    kind: str | None = None
    classes: tuple[Annotated[str, Field(max_length=60)], ...] | None = None


def make_app(workspace: Workspace, *, token: str, hosts: frozenset[str]) -> Guard:
    """Application of a workspace, behind its guard.

    Parameters
    ----------
    workspace : Workspace
    token : that requests must bear
    hosts : names and ports under which the server is known
    """
    pages = Pages(workspace)
    numbers = "/api/images/{image:int}"
    tile = "{t:int}/{z:int}/{level:int}/{row:int}/{column:int}"
    routes = [
        Route("/api/project", pages.project, methods=["GET"]),
        Route("/api/project", pages.change, methods=["POST"]),
        Route("/api/events", pages.events),
        Route("/api/look", pages.look, methods=["POST"]),
        Route("/api/doubtful", pages.doubtful),
        Route("/api/download/{what:str}", pages.download),
        Route("/api/training", pages.training, methods=["POST"]),
        Route(numbers, pages.image),
        Route(f"{numbers}/pixels/{tile}", pages.pixels),
        Route(f"{numbers}/labels/{tile}", pages.labels),
        Route(f"{numbers}/predicted/{tile}", pages.predicted),
        Route(f"{numbers}/edits", pages.edit, methods=["POST"]),
        Route(f"{numbers}/undo", pages.undo, methods=["POST"]),
        Route(f"{numbers}/redo", pages.redo, methods=["POST"]),
        Route("/{name:str}", static),
        Route("/", static),
    ]
    handlers: Any = {BiounetError: refused, RequestError: invalid, HTTPException: no_page}
    return Guard(Starlette(routes=routes, exception_handlers=handlers), token, hosts)


class Pages:
    """Answers about one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    async def project(self, request: Request) -> Response:
        """Answer with the list of images and the state of learning."""
        return JSONResponse(await run_in_threadpool(self._workspace.describe))

    async def change(self, request: Request) -> Response:
        """Change what labels mean."""
        change = await body_of(request, ProjectChange)
        await run_in_threadpool(self._workspace.change, change.model_dump(exclude_none=True))
        return JSONResponse(await run_in_threadpool(self._workspace.describe))

    async def image(self, request: Request) -> Response:
        """Answer with what is known of one image."""
        return JSONResponse(await run_in_threadpool(self._workspace.describe_image, request.path_params["image"]))

    async def pixels(self, request: Request) -> Response:
        """Answer with a tile of the image."""

        def answer() -> Response:
            image, plane, level, box = self._tile(request)
            return image_tile(image, plane, box, level)

        return await run_in_threadpool(answer)

    async def labels(self, request: Request) -> Response:
        """Answer with a tile of labels."""

        def answer() -> Response:
            image, plane, level, box = self._tile(request)
            return label_tile(image, plane, box, level)

        return await run_in_threadpool(answer)

    async def predicted(self, request: Request) -> Response:
        """Answer with a tile of the prediction."""

        def answer() -> Response:
            image, plane, level, box = self._tile(request)
            return predicted_tile(image, self._workspace.predictions(image, plane), box, level)

        return await run_in_threadpool(answer)

    async def edit(self, request: Request) -> Response:
        """Make an edit."""
        edit = await body_of(request, Edit)
        applied = await run_in_threadpool(self._workspace.edit, request.path_params["image"], edit)
        return self._changed(request, applied)

    async def undo(self, request: Request) -> Response:
        """Undo an edit."""
        return await self._swap(request, again=False)

    async def redo(self, request: Request) -> Response:
        """Make an edit again that was undone."""
        return await self._swap(request, again=True)

    async def _swap(self, request: Request, *, again: bool) -> Response:
        version = (await body_of(request, Version)).version
        undo = partial(self._workspace.undo, request.path_params["image"], version, again=again)
        applied = await run_in_threadpool(undo)
        return JSONResponse({"version": version}) if applied is None else self._changed(request, applied)

    def _changed(self, request: Request, applied: Applied) -> Response:
        """Answer with what has changed."""
        image = self._workspace.image(request.path_params["image"])
        return JSONResponse(labels_event(self._workspace.project, image, applied))

    async def look(self, request: Request) -> Response:
        """Take note of what is on the screen."""
        look = await body_of(request, Look)
        box = Box(look.box[:2], look.box[2:])
        found = await run_in_threadpool(self._workspace.look, look.image, look.plane, box)
        return JSONResponse({"box": [*found.start, *found.stop]})

    async def training(self, request: Request) -> Response:
        """Stop learning for a while, or go on; finish a model, or stop that."""
        training = await body_of(request, Training)
        if training.pause is not None:
            await run_in_threadpool(self._workspace.pause, training.pause)
        if training.finish is not None:
            await run_in_threadpool(self._workspace.finish, training.finish)
        if training.stop:
            await run_in_threadpool(self._workspace.stop_finishing)
        return JSONResponse({})

    async def doubtful(self, request: Request) -> Response:
        """Answer with the region that is most worth a look."""
        given = request.query_params.get("image", "")
        number = int(given) if given.isdecimal() and len(given) < 9 else -1
        return JSONResponse(await run_in_threadpool(self._workspace.doubtful, number))

    async def download(self, request: Request) -> Response:
        """Answer with labels, tables, the model or its report, as a file."""
        what = request.path_params["what"]
        if what not in TAKE_AWAY:
            return PlainTextResponse("there is no such page", 404)
        path = await run_in_threadpool(self._workspace.take_away, what)
        headers = {"cache-control": "no-store"}
        return FileResponse(path, filename=path.name, media_type="application/octet-stream", headers=headers)

    async def events(self, request: Request) -> Response:
        """Answer with everything that happens, as server-sent events."""
        return StreamingResponse(self._stream(), media_type="text/event-stream", headers={"cache-control": "no-store"})

    async def _stream(self) -> AsyncIterator[str]:
        listener = self._workspace.listeners.listen()
        try:
            yield ": welcome\n\n"
            quiet = 0.0
            while True:
                try:
                    event = listener.get_nowait()
                except queue.Empty:
                    await asyncio.sleep(0.05)
                    quiet += 0.05
                    if quiet > 10:
                        quiet = 0.0
                        yield ": still here\n\n"
                    continue
                yield f"data: {json.dumps(event)}\n\n"
        finally:
            self._workspace.listeners.leave(listener)

    def _tile(self, request: Request) -> tuple[ProjectImage, Plane, int, Box]:
        """Image, plane, level and region of a tile that is asked for."""
        given = request.path_params
        image = self._workspace.image(given["image"])
        image.planes.check((given["t"], given["z"]))
        box = level_box(image.planes, given["level"], given["row"], given["column"])
        return image, (given["t"], given["z"]), given["level"], box


async def body_of(request: Request, kind: type[R]) -> R:
    """The body of a request as a frozen record."""
    return parse_json(BODY.decode(await request.body()), kind, BODY)


async def static(request: Request) -> Response:
    """Answer with a file of the page; of those there are a few, by name."""
    name = FILES.get(request.path_params.get("name", ""))
    if name is None:
        return PlainTextResponse("there is no such page", 404)
    headers = {"cache-control": "no-cache"}
    return FileResponse(STATIC / name, media_type=TYPES[Path(name).suffix], headers=headers)


STATUS = {ConflictError: 409, NotReadyError: 425, OutputError: 507}
"""Error -> status, where the page acts upon it."""


def refused(request: Request, error: Exception) -> Response:
    """Say what was wrong, in one line."""
    status = next((status for kind, status in STATUS.items() if isinstance(error, kind)), 400)
    return JSONResponse({"error": " ".join(str(error).split())}, status)


def invalid(request: Request, error: Exception) -> Response:
    """Say what a request lacks; what it held is not repeated."""
    why = error.__cause__
    if not isinstance(why, ValidationError):
        return JSONResponse({"error": "request: a table of names and values in JSON is wanted; reload the page"}, 422)
    first = why.errors(include_input=False, include_url=False)[0]
    where = ".".join(map(str, first["loc"]))
    return JSONResponse({"error": f"{where or 'request'}: {first['msg']}"}, 422)


def no_page(request: Request, error: Exception) -> Response:
    """Say that there is no such page."""
    assert isinstance(error, HTTPException)
    return PlainTextResponse(error.detail, error.status_code)
