"""Training: from a dataset and settings to a run folder. `biounet.train` does all of it."""

__all__: list[str] = []
