"""Train, segment and score from Python: the same as the commands train, predict and evaluate."""

import numpy as np

import biounet
from biounet.data.synthetic import draw_cells
from biounet.io import Image, write
from biounet.metrics import average_precision

for number in range(4):
    for folder, pixels in zip(("images", "labels"), draw_cells(np.random.default_rng(number)), strict=True):
        write(f"cells/{folder}/{number}.tif", Image(pixels, "YX"), overwrite=True)

settings = {"model.width": 8, "model.depth": 2, "train.target": "distance", "train.reports": 2}  # as --set
model = biounet.train("cells", "run", steps=60, settings=settings)  # run/report.html shows how good it is

image, truth = draw_cells(np.random.default_rng(9))
labels = model.segment(image)  # integers: 0 is background, each cell has its own number
score = average_precision(truth, labels, threshold=0.5)
