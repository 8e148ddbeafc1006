"""The plugin for napari: predict, train, measure and export next to the layers; ``napari.yaml`` lists what it brings.

Widgets read layers, call the earlier rooms and show what comes back. Images are read and labels saved by napari.
"""

__all__: list[str] = []
