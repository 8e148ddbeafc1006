"""An adversary: a second network that learns to tell what is drawn from what is true, and is to be deceived.

The network is trained for ``loss + weight * deceit``, where the weight is ``train.adversarial`` and the deceit is
the surprise of the judge at what was drawn being true. pix2pix has a deceit of weight 1 and an L1 of
weight 100, so ``train.adversarial=0.01``; how long the gradient is makes no difference to AdamW.
"""

from dataclasses import dataclass
from typing import Self

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional

from biounet.config import RunConfig
from biounet.core.errors import ConfigError
from biounet.core.random import generator
from biounet.models.blocks import crop_center
from biounet.models.device import to_channels_last
from biounet.models.pix2pix import PatchGAN

__all__ = ["Adversary", "counterparts"]


LEAST = 24
"""Pixels per axis below which the judge sees no patch."""


@dataclass
class Adversary:
    """A judge of patches, its optimiser, and what deceiving it is worth.

    Notes
    -----
    Source: Isola, Zhu, Zhou and Efros 2017, equations 1 and 4 and section 3.3: both sides learn from
    cross entropy, the network for the judge to call its patches true rather than for not calling them drawn
    (Goodfellow et al. 2014, section 3), the judge at half the speed, with Adam of rate 0.0002 and momentum
    0.5, from weights of standard deviation 0.02. That a judge can look at label maps: Luc, Couprie, Chintala and
    Verbeek 2016. Differs: the network moves first, the judge then learns from what was drawn before that move.

    Examples
    --------
    >>> Adversary.begin(RunConfig(), torch.device("cpu")) is None           # train.adversarial is 0
    True
    """

    judge: nn.Module
    optimizer: torch.optim.Optimizer
    weight: float

    @classmethod
    def begin(cls, config: RunConfig, device: torch.device) -> Self | None:
        """Build the judge and draw its weights; nothing where ``train.adversarial`` is 0."""
        if not config.train.adversarial:
            return None
        model = config.model
        chance = torch.Generator().manual_seed(int(generator(config.train.seed, 0, 0, stream="judge").integers(2**63)))
        with torch.random.fork_rng(devices=[]):  # torch draws every layer once as it is made
            judge = PatchGAN(model.in_channels + model.classes, dims=model.dims)
        for name, weight in judge.named_parameters():
            if weight.ndim > 1:
                nn.init.normal_(weight, std=0.02, generator=chance)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)
        ready = to_channels_last(judge.to(device), model.dims)
        optimizer = torch.optim.Adam(ready.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True)
        return cls(ready, optimizer, config.train.adversarial)

    def deceit(self, image: Tensor, scores: Tensor, labels: Tensor, fabric: Fabric) -> Tensor:
        """What is added to the loss of a network, weighted: how sure the judge is that its result is not true.

        Parameters
        ----------
        image : (N, C, *spatial), normalised
        scores : (N, classes, *spatial) or (N, classes, heads, *spatial), of which the judge sees the last head
        labels : (N, *spatial) int64, or (N, classes, *spatial) float32
        fabric : Fabric
            For the precision.

        Raises
        ------
        ConfigError
            If patches are too small to be judged.
        """
        _, drawn = counterparts(scores, labels)
        self.judge.requires_grad_(False)  # only the network is to move
        loss = self._surprise(image, drawn, fabric, true=True)
        self.judge.requires_grad_(True)
        return self.weight * loss

    def add_gradients(self, image: Tensor, scores: Tensor, labels: Tensor, fabric: Fabric) -> None:
        """Compute what the judge learns of a batch; see `deceit` for the parameters."""
        true, drawn = counterparts(scores.detach(), labels)
        self.optimizer.zero_grad()
        loss = self._surprise(image, true, fabric, true=True) + self._surprise(image, drawn, fabric, true=False)
        (loss / 2).backward()  # type: ignore[no-untyped-call]
        if fabric.world_size > 1:  # all have judged the whole batch; so that roundings do not part them
            for weight in self.judge.parameters():
                assert weight.grad is not None
                mean = fabric.all_reduce(weight.grad, reduce_op="mean")
                assert isinstance(mean, Tensor)
                weight.grad = mean

    def _surprise(self, image: Tensor, counterpart: Tensor, fabric: Fabric, *, true: bool) -> Tensor:
        """Cross entropy of the judge, mean over the patches."""
        size = counterpart.shape[2:]
        if min(size) < LEAST:
            raise ConfigError(
                f"train.adversarial judges patches of {LEAST} px or more per axis, a network answers for "
                f"{' x '.join(map(str, size))}; set train.patch or train.patch_z higher, or train.adversarial to 0"
            )
        self.judge.train()
        with fabric.autocast():
            scores: Tensor = self.judge(crop_center(image, size), counterpart)
        wanted = torch.ones_like if true else torch.zeros_like
        return functional.binary_cross_entropy_with_logits(scores.float(), wanted(scores, dtype=torch.float32))


def counterparts(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """What a judge is shown beside an image, the true one and the drawn one; both are 0 where nobody knows.

    Parameters
    ----------
    scores : (N, classes, *spatial) or (N, classes, heads, *spatial)
    labels : (N, *spatial) int64, class numbers, negative where unknown; or (N, classes, *spatial) float32, NaN there

    Returns
    -------
    (N, classes, *spatial), float32, twice
        Of labels: 1 for the true class, and the soft-max of the scores. Of images: themselves.

    Examples
    --------
    >>> true, drawn = counterparts(torch.zeros(1, 2, 3), torch.tensor([[0, 1, -1]]))
    >>> true.tolist(), drawn.tolist()
    ([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]], [[[0.5, 0.5, 0.0], [0.5, 0.5, 0.0]]])
    """
    image = labels.is_floating_point()
    if scores.ndim > labels.ndim + (0 if image else 1):
        scores = scores[:, :, -1]
    if image:
        known = ~labels.isnan()
        return labels.masked_fill(~known, 0), scores.masked_fill(~known, 0)
    known = (labels >= 0).unsqueeze(1)
    true = functional.one_hot(labels.clamp(min=0), scores.shape[1]).movedim(-1, 1)
    return (true * known).float(), scores.softmax(dim=1) * known
