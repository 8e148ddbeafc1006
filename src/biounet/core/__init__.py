"""The ground: errors, boxes, label images, memory, random generators, files. It imports nothing of biounet."""

__all__: list[str] = []
