"""Time of the five ISBI 2012 scores: first call, one section of 512 x 512, and growth with size and objects.

Sections are drawn here: cells of a jittered grid, membranes of about 4 pixels, probabilities blurred and
noisy. All times are processor time of this process, which uses one core. An empty `NUMBA_CACHE_DIR` shows the
first call with compilation. One JSON line; `seconds_per_megapixel` should not grow with the size.
"""

import json
import time

START = time.process_time()

import numpy as np  # noqa: E402
from scipy import ndimage  # noqa: E402

from biounet.metrics import isbi2012  # noqa: E402


def draw_section(size: int, *, cell: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Truth and noisy probabilities of one section whose cells are about `cell` pixels wide."""
    rng = np.random.default_rng(seed)
    centres = np.stack(np.meshgrid(*[np.arange(cell // 2, size, cell)] * 2, indexing="ij"))
    centres = np.clip(centres + rng.integers(-cell // 4, cell // 4 + 1, centres.shape), 0, size - 1).reshape(2, -1)
    seeds = np.zeros((size, size), np.int32)
    seeds[tuple(centres)] = np.arange(1, centres.shape[1] + 1)
    nearest = ndimage.distance_transform_edt(seeds == 0, return_distances=False, return_indices=True)
    cells = seeds[tuple(nearest)]
    truth = ndimage.minimum_filter(cells, 3) == ndimage.maximum_filter(cells, 3)
    noise = ndimage.gaussian_filter(rng.standard_normal((size, size)), 1.5)
    probability = ndimage.gaussian_filter(truth.astype(np.float32), 1.5) + 0.15 * noise / noise.std()
    return truth, np.clip(probability, 0, 1).astype(np.float32)


def seconds(truth: np.ndarray, probability: np.ndarray, *, repeats: int = 1) -> float:
    """Least processor time of some runs, which other work on the machine disturbs least."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        isbi2012(truth, probability)
        times.append(time.process_time() - start)
    return min(times)


def main() -> None:
    tiny = draw_section(64)
    start = time.process_time()
    isbi2012(*tiny)
    first_call = time.process_time() - start
    by_size = {size: seconds(*draw_section(size), repeats=3 if size < 2048 else 1) for size in (512, 1024, 2048, 4096)}
    by_cell = {cell: seconds(*draw_section(1024, cell=cell), repeats=3) for cell in (10, 20, 40, 80, 160)}
    per_megapixel = {size: round(value / (size / 1024) ** 2, 3) for size, value in by_size.items()}
    report = {
        "first_call_seconds": round(first_call, 3),
        "import_seconds": round(start - START, 3),
        "seconds_512": round(by_size[512], 3),
        "seconds_per_megapixel": per_megapixel,
        "growth_4096_over_512": round(per_megapixel[4096] / per_megapixel[512], 2),
        "seconds_1024_by_cell_width": {cell: round(value, 3) for cell, value in by_cell.items()},
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
