"""Elastic deformation of a 512x512 image with labels, against MONAI's Rand2DElasticd, on one thread.

Times are the least processor time of some runs, which other work on the machine disturbs least.
"""

import json
import time

import monai
import numpy as np
import torch
from monai.transforms import Rand2DElasticd

from biounet.core.labels import IGNORE
from biounet.data.augment.resample import warp
from biounet.data.augment.spatial import draw_elastic

SIZE = 512
ROUNDS = 30


def ours(image, labels, rng):
    field = draw_elastic(rng, size=(SIZE, SIZE), grid=3, sigma=10.0)
    return warp(image, field, order=1, outside="mirror"), warp(labels, field, order=0, outside=IGNORE)


def milliseconds(run):
    start = time.process_time()
    run()
    return 1000 * (time.process_time() - start)


def main():
    torch.set_num_threads(1)
    image, labels = torch.rand(1, SIZE, SIZE), torch.randint(50, (1, SIZE, SIZE))
    rng = np.random.default_rng(0)
    # Vectors every 256 pixels of up to 10 pixels: about the same deformation.
    peer = Rand2DElasticd(
        keys=["image", "labels"],
        spacing=(SIZE // 2, SIZE // 2),
        magnitude_range=(10, 10),
        prob=1.0,
        mode=("bilinear", "nearest"),
        padding_mode="reflection",
    )
    sample = {"image": image, "labels": labels}
    times = [
        (milliseconds(lambda: ours(image, labels, rng)), milliseconds(lambda: peer(sample))) for _ in range(ROUNDS)
    ]
    own, theirs = (min(column) for column in zip(*times, strict=True))
    result = {
        "benchmark": "elastic",
        "pixels": [SIZE, SIZE],
        "threads": 1,
        "biounet_ms": round(own, 2),
        "monai_ms": round(theirs, 2),
        "times_faster": round(theirs / own, 1),
        "torch": torch.__version__,
        "monai": monai.__version__,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
