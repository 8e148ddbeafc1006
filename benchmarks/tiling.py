"""Exact overlap-tile against MONAI's blended sliding window: same network, same image, same machine, one run.

python benchmarks/tiling.py [--size 2048] [--width 32]
"""

import argparse
import json
import time

import numpy as np
import torch
from monai.inferers import sliding_window_inference

from biounet.config import ModelConfig
from biounet.inference.overlap_tile import TileNet, predict_array
from biounet.inference.tiles import plan_tiles
from biounet.models import build
from biounet.models.device import choose_precision, has_bfloat16

CPU = torch.device("cpu")
TILE = 1024


def clock(run):
    """Return seconds, processor seconds (which other work on the machine disturbs less), and the result."""
    began, used = time.perf_counter(), time.process_time()
    result = run()
    return time.perf_counter() - began, time.process_time() - used, result


def matrix_rate(precision):
    """Operations per second of a large matrix product."""
    matrix = torch.ones(3072, 3072, dtype=precision)
    best = min(clock(lambda: matrix @ matrix)[0] for _ in range(4))
    return 2 * 3072**3 / best


def whole_image(net, image):
    """Mirror the image, apply the network as it was trained, keep what lies over the image; in float32."""
    margin, size = net.geometry.margin[0], image.shape[-1]
    around = (margin, net.geometry.input_size((size, size))[0] - margin - size)
    mirrored = np.pad(image, [(0, 0), around, around], mode="reflect")
    with torch.inference_mode():
        scores = net(torch.from_numpy(mirrored)[None])
    return torch.softmax(scores, 1)[0, :, margin : margin + size, margin : margin + size].numpy()


def blended(net, image):
    """Predict as MONAI's users do."""
    with torch.inference_mode():
        scores = sliding_window_inference(
            torch.from_numpy(image)[None],
            roi_size=(512, 512),
            sw_batch_size=1,
            predictor=net,
            overlap=0.5,
            mode="gaussian",
        )
    return torch.softmax(scores, 1)[0].numpy()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--width", type=int, default=32)
    given = parser.parse_args()
    net = build(ModelConfig(width=given.width, padding="same", norm="batch")).eval()
    image = np.random.default_rng(0).normal(size=(1, given.size, given.size)).astype(np.float32)
    precision = choose_precision("auto", CPU)
    ready = TileNet(net, device=CPU, precision=precision)
    plan = plan_tiles(image.shape[1:], (TILE, TILE), ready.geometry)
    operations = ready.cost(plan.step, channels=1).operations * len(plan)
    predict_array(net, image[:, :64, :64], device=CPU, precision=precision)  # libraries warm up

    rate = matrix_rate(precision)
    fast, fast_used, result = clock(lambda: predict_array(net, image, device=CPU, precision=precision, tile=TILE))
    peer, peer_used, theirs = clock(lambda: blended(net, image))
    plain, _, whole = clock(lambda: whole_image(net, image))
    exact = result
    if precision != torch.float32:
        exact = predict_array(net, image, device=CPU, precision=torch.float32, tile=TILE)
    output = {
        "benchmark": "tiling",
        "size": given.size,
        "width": given.width,
        "tile": plan.step,
        "threads": torch.get_num_threads(),
        "bfloat16_hardware": has_bfloat16(CPU),
        "precision": str(precision).removeprefix("torch."),
        "biounet_s": round(fast, 2),
        "monai_s": round(peer, 2),
        "whole_image_float32_s": round(plain, 2),
        "times_faster": round(peer / fast, 1),
        "times_faster_in_processor_time": round(peer_used / fast_used, 1),
        "pixels_per_second": round(given.size**2 / fast),
        "matrix_gigaflops": round(rate / 1e9),
        "share_of_matrix_rate": round(operations / fast / rate, 2),
        "difference_from_whole_float32": float(np.abs(exact - whole).max()),
        "difference_from_whole": float(np.abs(result - whole).max()),
        "classes_changed": float((result.argmax(0) != whole.argmax(0)).mean()),
        "monai_difference_from_whole": float(np.abs(theirs - whole).max()),
        "monai_classes_changed": float((theirs.argmax(0) != whole.argmax(0)).mean()),
    }
    print(json.dumps(output))


if __name__ == "__main__":
    main()
