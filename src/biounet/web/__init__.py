"""A page."""

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
