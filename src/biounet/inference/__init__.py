"""Prediction of images of any size: overlap-tile, memory, ensembles, files.

The way of a tile from an image file to a result, and the types that it passes:

.. code-block:: text

    Frame        a time point or section of the image, read by region      io/frames.py
      |
    Tile         the regions that the network reads and delivers           tiles.py
    TileTask     a tile of a frame, with the statistics of the frame:      job.py
      |          it can be sent to another process
    Job          reads a tile: mirrored, normalised pixels                 job.py
      |
    Ensemble     the mean of the probabilities of several networks         ensemble.py
    TileNet      one network on its device                                 overlap_tile.py
      |
    Job          encodes a tile: labels, probabilities, elevation map      job.py, decoding.py
      |
    TileStore    the result on disk, and the tiles that it has             tile_store.py
      |
    TileFiles    where objects are numbered: the elevation map of a        tile_files.py
      |          frame, until all of its tiles are there
    number_objects                                                         object_numbers.py

`predict_files` makes a plan that fits the memory, opens a job for each image, and has tiles predicted by this process
or by workers (`cluster`). `Model.predict` takes the same way with an image in memory: Tile, Ensemble, TileNet.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from biounet.inference.files import predict_files
    from biounet.inference.model import Model, load_model

__all__ = ["Model", "load_model", "predict_files"]


def __getattr__(name: str) -> Any:
    """Import a name that needs torch only when it is asked for, so that other modules are quick to import."""
    if name not in __all__:
        raise AttributeError(f"module 'biounet.inference' has no attribute {name!r}")
    from biounet.inference import files, model

    return getattr(files if name == "predict_files" else model, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
