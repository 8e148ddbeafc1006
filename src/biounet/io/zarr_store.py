"""The library that opens Zarr folders and zip files of them."""

from types import ModuleType

from biounet.core.errors import need

__all__ = ["zarr_library"]


def zarr_library() -> ModuleType:
    """The library zarr.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    return need("zarr")
