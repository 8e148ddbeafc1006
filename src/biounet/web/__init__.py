"""Web: a workspace as a page in the browser, for one person on one machine.

Which file does what, and who calls whom::

    server -> app -> guard, pixels, biounet.workspace
    static/main.js -> viewer -> tiles -> colours;  main.js -> tools, panels, keys, run, meaning, api

`server` takes a port, draws a token, prints the address, and closes connections that ask for nothing. `guard` stands
before everything: host, origin, token, size and duration of a request, and the headers of every answer. `app` makes
calls of a `biounet.workspace.Workspace` of requests, and one line of an error. `pixels` sends integers. The page is
plain modules without a build step; nothing is loaded from elsewhere.

Images are asked for by number, and no request holds a path. Images and labels travel as integers in gzip: contrast,
colours and outlines are made in the page, so that a slider asks the server for nothing. A stroke travels as its
points; the server paints it, answers with the tiles that have changed, and tells all pages. Events come as
server-sent events, read by fetch, since the token is a header: it stands in the fragment of the address, which a
browser sends to nobody.
"""

from biounet.core.errors import need

__all__ = ["check_installed"]


def check_installed() -> None:
    """Check that the libraries of the extra ``web`` are there.

    Raises
    ------
    MissingExtraError
        If one is not; it says what to install.
    """
    need("starlette")
    need("uvicorn")
