"""The sliding window pixel by pixel, as published, and in one pass: seconds, and whether the numbers agree."""

import json
import time
from functools import partial

import torch

from biounet.config import ModelConfig
from biounet.models import build
from biounet.models.sliding_window import PixelClassifier, SlidingWindow

SIDE = 256  # pixels per axis that the dense form delivers; the windows slide over one row of them


def seconds(compute) -> tuple[float, torch.Tensor]:
    compute()
    began = time.perf_counter()
    scores = compute()
    return time.perf_counter() - began, scores


def main() -> None:
    result = {}
    for window in (65, 95):
        net = build(ModelConfig(name="sliding-window", window=window, width=48)).eval()
        assert isinstance(net, SlidingWindow)
        image = torch.randn(1, 1, window - 1 + SIDE, window - 1 + SIDE, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            in_one_pass, dense = seconds(partial(net, image))
            one_row, row = seconds(partial(PixelClassifier(net).scan, image[:, :, :window]))
        result[f"window_{window}"] = {
            "microseconds_per_pixel_dense": round(in_one_pass / SIDE**2 * 1e6, 2),
            "times_quicker_than_pixel_by_pixel": round(one_row * SIDE / in_one_pass, 1),
            "largest_difference": float((dense[:, :, :1] - row).abs().max()),
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
