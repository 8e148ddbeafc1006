"""Prediction of images of any size: overlap-tile, memory, ensembles, files."""

__all__: list[str] = []
