"""Training: from a dataset and settings to a run folder."""

__all__: list[str] = []
