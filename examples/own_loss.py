"""Train with a loss of your own: the Tversky loss, to which a missed pixel costs more than a false one."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import biounet
from biounet.config import RunConfig
from biounet.data.augment import Sample
from biounet.data.normalize import Normalization
from biounet.data.patches import PatchSampler
from biounet.data.synthetic import draw_cells
from biounet.models import build
from biounet.models.model_file import ModelCard, save_network


def tversky(logits: Tensor, target: Tensor, *, missed: float = 0.7) -> Tensor:
    """Salehi, Erdogmus and Gholipour 2017, for logits (N, 2, Y, X) and a target (N, Y, X), negative = unknown."""
    called, true, known = logits.softmax(dim=1)[:, 1], (target == 1).float(), (target >= 0).float()
    hit, miss, false = ((known * part).sum() for part in (called * true, (1 - called) * true, called * (1 - true)))
    return 1 - (hit + 1) / (hit + missed * miss + (1 - missed) * false + 1)


config = RunConfig.preset("default").updated({"model.width": 8, "model.depth": 2, "train.batch": 4})
image, cells = draw_cells(np.random.default_rng(0), size=(128, 128))
normalised = Normalization().measured(image[None]).apply(image[None])
samples = [Sample(torch.from_numpy(normalised), torch.from_numpy((cells > 0).astype(np.int64)))]
net = build(config.model)
optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
source = PatchSampler(samples, net.geometry, (64, 64), config.augment, config.train)
for _, batch in zip(range(60), source.batches(0), strict=False):
    optimizer.zero_grad()
    tversky(net(batch.image), batch.labels).backward()
    optimizer.step()
path = Path("own-loss.safetensors")
save_network(path, net, ModelCard(model=config.model, normalization=Normalization()), overwrite=True)
model = biounet.load_model(path)
