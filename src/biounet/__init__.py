"""U-Net for microscopy: train on a few annotated images, predict images of any size, score as the field does.

Examples
--------
>>> import biounet
>>> model = biounet.load_model("run/model.safetensors")             # doctest: +SKIP
>>> probabilities = model.predict(image)                            # doctest: +SKIP
>>> labels = model.segment(image)                                   # doctest: +SKIP
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from biounet.inference.model import Model, load_model

__version__ = "0.1.0"
__all__ = ["Model", "load_model"]


def __getattr__(name: str) -> Any:
    """Import what needs torch only when it is asked for, so that importing biounet is quick."""
    if name not in __all__:
        raise AttributeError(f"module 'biounet' has no attribute {name!r}")
    from biounet.inference import model

    return getattr(model, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
