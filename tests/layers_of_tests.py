"""Layers as napari has them, without napari."""

from types import SimpleNamespace


def layer(data, *, name="cells", rgb=False, **options):
    """A layer of pixels of size 1, if nothing else is given."""
    axes = data.ndim - rgb
    usual = {
        "scale": (1.0,) * axes,
        "translate": (0.0,) * axes,
        "units": ("pixel",) * axes,
        "axis_labels": tuple(str(at - axes) for at in range(axes)),
        "visible": True,
        "multiscale": False,
        "metadata": {},
    }
    return SimpleNamespace(data=data, name=name, rgb=rgb, ndim=axes, **usual | options)
