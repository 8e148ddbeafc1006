"""The five scores of the ISBI 2012 challenge."""

__all__: list[str] = []
