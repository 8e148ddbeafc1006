"""Time of the object scores and of the overlap table: growth with size, and with the number of objects.

Objects are squares on a grid, shifted by two pixels in the result. One JSON line.
"""

import json
import time

import numpy as np

from biounet.metrics import METRICS


def draw_squares(size: int, *, cell: int) -> np.ndarray:
    """Squares of `cell` pixels with a gap of two, numbered from 1."""
    place = np.arange(size)
    row = np.where(place % cell < cell - 2, place // cell + 1, 0)
    columns = size // cell + 1
    return np.where((row[:, None] > 0) & (row > 0), (row[:, None] - 1) * columns + row, 0)


def seconds(size: int, *, cell: int) -> float:
    """Least processor time of three runs of the group ``objects``."""
    truth = draw_squares(size, cell=cell)
    result = np.roll(truth, (2, 2), axis=(0, 1))
    times = []
    for _ in range(3):
        start = time.process_time()
        METRICS["objects"].count(truth, result, (1.0, 1.0))
        times.append(time.process_time() - start)
    return min(times)


def main() -> None:
    seconds(64, cell=16)
    by_size = {size: round(seconds(size, cell=32) / (size / 1024) ** 2, 4) for size in (512, 1024, 2048, 4096)}
    by_objects = {(2048 // cell) ** 2: round(seconds(2048, cell=cell), 4) for cell in (256, 64, 16, 8)}
    report = {"seconds_per_megapixel": by_size, "seconds_2048_by_objects": by_objects}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
