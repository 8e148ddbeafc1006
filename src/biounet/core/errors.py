"""Exceptions that biounet raises for errors that a user can correct.

::

    BiounetError
    ├── ConfigError (ValueError)         a setting that is unknown, of a wrong type or out of range
    ├── ShapeError (ValueError)          arrays that do not fit each other or the network
    ├── LabelError (ValueError)          labels that are no labels: floats, wrong ids, nothing to learn
    ├── ImageError (ValueError)          a file that cannot be read as an image, or whose pixels are not numbers
    ├── DatasetError (ValueError)        a folder that is no dataset, or whose files do not pair
    │   └── ProblemsError                several problems of one dataset
    ├── ModelFileError (ValueError)      a file that is no model of ours, torn, or of a newer version
    ├── MemoryBudgetError (ValueError)   a memory budget that the smallest plan does not fit
    ├── OutputError (OSError)            an output that exists, cannot be written, or a disk that is full
    ├── TrainingError (RuntimeError)     a run that cannot go on: loss not a number, state of another run
    ├── DownloadError (RuntimeError)     an address that cannot be reached, or does not hold what it should
    ├── BatchError (RuntimeError)        some files of several that cannot be read; the others are done
    ├── ClusterError (RuntimeError)      a scheduler that is not there, workers that were lost
    └── MissingExtraError (ImportError)  an optional library that is not installed

Every message says what was wanted, what came, and what to do next, in one line. The command line
prints that line and exits with status 2; any other exception is a fault of ours.
"""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, ModuleType

from biounet.core.words import printable

__all__ = [
    "BatchError",
    "BiounetError",
    "ClusterError",
    "ConfigError",
    "DatasetError",
    "DownloadError",
    "ImageError",
    "LabelError",
    "MemoryBudgetError",
    "MissingExtraError",
    "ModelFileError",
    "OutputError",
    "ProblemsError",
    "ShapeError",
    "TrainingError",
    "need",
]


class BiounetError(Exception):
    """Error that the user can correct; base class of all others here."""

    def __str__(self) -> str:
        return printable(super().__str__())  # names of files may hold bytes that are no text


class ConfigError(BiounetError, ValueError):
    """A setting is unknown, of a wrong type or out of range."""


class ShapeError(BiounetError, ValueError):
    """Arrays do not fit each other or the network."""


class LabelError(BiounetError, ValueError):
    """Labels are no labels."""


class ImageError(BiounetError, ValueError):
    """A file cannot be read as an image, or its pixels are not numbers."""


class DatasetError(BiounetError, ValueError):
    """A folder is no dataset, or its files do not pair."""


class ProblemsError(DatasetError):
    """Several files of a dataset are missing or not as they should be.

    Attributes
    ----------
    problems : the error of each
    """

    def __init__(self, message: str, *, problems: Sequence[BiounetError] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class ModelFileError(BiounetError, ValueError):
    """A file is no model of ours, torn, or of a newer version."""


class MemoryBudgetError(BiounetError, ValueError):
    """A memory budget is smaller than the least that works."""


class OutputError(BiounetError, OSError):
    """An output exists already, or cannot be written."""


class TrainingError(BiounetError, RuntimeError):
    """A training run cannot go on."""


class DownloadError(BiounetError, RuntimeError):
    """An address cannot be reached, or does not hold what it should."""


class BatchError(BiounetError, RuntimeError):
    """Some files of several cannot be read; the others are done.

    Attributes
    ----------
    failures : file -> its error
    done : results of the other files
    """

    def __init__(
        self, message: str, *, failures: Mapping[Path, BiounetError] = MappingProxyType({}), done: Sequence[Path] = ()
    ) -> None:
        super().__init__(message)
        self.failures, self.done = dict(failures), list(done)


class ClusterError(BiounetError, RuntimeError):
    """A cluster cannot be reached, or lost its workers."""


class MissingExtraError(BiounetError, ImportError):
    """An optional library is not installed."""


# Import name of an optional library -> the extra of biounet that installs it.
EXTRAS = {
    "zarr": "zarr",
    "distributed": "cluster",
    "roifile": "rois",
    "onnxruntime": "onnx",
    "yaml": "onnx",
    "nibabel": "medical",
    "nrrd": "medical",
    "pydicom": "medical",
    "nd2": "formats",
    "czifile": "formats",
    "pylibCZIrw": "formats",
    "liffile": "formats",
    "h5py": "formats",
    "mrcfile": "formats",
    "starlette": "web",
    "uvicorn": "web",
    "napari": "napari",
    "napari.qt.threading": "napari",
    "magicgui.widgets": "napari",
}


def need(module: str) -> ModuleType:
    """Import an optional library, or name the extra that installs it.

    Parameters
    ----------
    module : import name, as in ``EXTRAS``

    Raises
    ------
    MissingExtraError
        If the library is not installed.

    Examples
    --------
    >>> need("json").dumps([1])
    '[1]'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        extra = EXTRAS.get(module, module)
        raise MissingExtraError(
            f"this needs {module}, which is not installed; pip install 'biounet[{extra}]'"
        ) from error
