"""Adversarial training: a discriminator learns to distinguish predictions from annotations, and its verdict is a loss.

The network is trained for ``loss + weight * generator_loss``. The weight is ``train.adversarial``; the generator loss
is the negative log-likelihood of a prediction being true, by the discriminator. pix2pix gives the generator loss a
weight of 1 and L1 a weight of 100, so ``train.adversarial=0.01``; AdamW ignores the length of the gradient.
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
"""Least pixels per axis of a patch that the discriminator can look at."""


@dataclass
class Adversary:
    """A discriminator of patches, its optimiser, and the weight of the generator loss.

    Notes
    -----
    Source: Isola, Zhu, Zhou and Efros 2017, equations 1 and 4 and section 3.3: both sides learn from
    cross entropy, the network for the discriminator to call its patches true rather than for not calling them drawn
    (Goodfellow et al. 2014, section 3), the discriminator at half the speed, with Adam of rate 0.0002 and momentum
    0.5, from weights of standard deviation 0.02. Discriminators of label maps: Luc, Couprie, Chintala and Verbeek
    2016. Differs: the network moves first; the discriminator then learns from the predictions before it.

    Examples
    --------
    >>> Adversary.begin(RunConfig(), torch.device("cpu")) is None           # train.adversarial is 0
    True
    """

    discriminator: nn.Module
    optimizer: torch.optim.Optimizer
    weight: float

    @classmethod
    def begin(cls, config: RunConfig, device: torch.device) -> Self | None:
        """Build the discriminator and draw its weights; None where ``train.adversarial`` is 0."""
        if not config.train.adversarial:
            return None
        model = config.model
        chance = torch.Generator().manual_seed(
            int(generator(config.train.seed, 0, 0, stream="discriminator").integers(2**63))
        )
        with torch.random.fork_rng(devices=[]):  # torch draws every layer once as it is made
            discriminator = PatchGAN(model.in_channels + model.classes, dims=model.dims)
        for name, weight in discriminator.named_parameters():
            if weight.ndim > 1:
                nn.init.normal_(weight, std=0.02, generator=chance)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)
        ready = to_channels_last(discriminator.to(device), model.dims)
        optimizer = torch.optim.Adam(ready.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True)
        return cls(ready, optimizer, config.train.adversarial)

    def generator_loss(self, image: Tensor, logits: Tensor, labels: Tensor, fabric: Fabric) -> Tensor:
        """Weighted negative log-likelihood, by the discriminator, that the result of the network is true.

        Parameters
        ----------
        image : (N, C, *spatial), normalised
        logits : (N, classes, *spatial) or (N, classes, heads, *spatial), of which the discriminator sees the last head
        labels : (N, *spatial) int64, or (N, classes, *spatial) float32
        fabric : Fabric
            For the precision.

        Raises
        ------
        ConfigError
            If patches are too small for the discriminator.
        """
        _, drawn = counterparts(logits, labels)
        self.discriminator.requires_grad_(False)  # only the network is to move
        loss = self._negative_log_likelihood(image, drawn, fabric, true=True)
        self.discriminator.requires_grad_(True)
        return self.weight * loss

    def add_gradients(self, image: Tensor, logits: Tensor, labels: Tensor, fabric: Fabric) -> None:
        """Add the gradients of the discriminator for one batch; see `generator_loss` for the parameters."""
        true, drawn = counterparts(logits.detach(), labels)
        self.optimizer.zero_grad()
        loss = self._negative_log_likelihood(image, true, fabric, true=True) + self._negative_log_likelihood(
            image, drawn, fabric, true=False
        )
        (loss / 2).backward()  # type: ignore[no-untyped-call]
        if fabric.world_size > 1:  # each process has the whole batch; the mean removes differences of rounding
            for weight in self.discriminator.parameters():
                assert weight.grad is not None
                mean = fabric.all_reduce(weight.grad, reduce_op="mean")
                assert isinstance(mean, Tensor)
                weight.grad = mean

    def _negative_log_likelihood(self, image: Tensor, counterpart: Tensor, fabric: Fabric, *, true: bool) -> Tensor:
        """Cross entropy of the discriminator, mean over the patches."""
        size = counterpart.shape[2:]
        if min(size) < LEAST:
            raise ConfigError(
                f"the discriminator of train.adversarial needs patches of {LEAST} px or more per axis, "
                f"the network gives {' x '.join(map(str, size))}; "
                "set train.patch or train.patch_z higher, or train.adversarial to 0"
            )
        self.discriminator.train()
        with fabric.autocast():
            logits: Tensor = self.discriminator(crop_center(image, size), counterpart)
        wanted = torch.ones_like if true else torch.zeros_like
        return functional.binary_cross_entropy_with_logits(logits.float(), wanted(logits, dtype=torch.float32))


def counterparts(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Annotation and prediction as a discriminator sees them beside an image; both are 0 where the truth is unknown.

    Parameters
    ----------
    logits : (N, classes, *spatial) or (N, classes, heads, *spatial)
    labels : (N, *spatial) int64, class numbers, negative where unknown; or (N, classes, *spatial) float32, NaN there

    Returns
    -------
    (N, classes, *spatial), float32, twice
        Of labels: 1 for the true class, and the soft-max of the logits. Of images: themselves.

    Examples
    --------
    >>> true, drawn = counterparts(torch.zeros(1, 2, 3), torch.tensor([[0, 1, -1]]))
    >>> true.tolist(), drawn.tolist()
    ([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]], [[[0.5, 0.5, 0.0], [0.5, 0.5, 0.0]]])
    """
    image = labels.is_floating_point()
    if logits.ndim > labels.ndim + (0 if image else 1):
        logits = logits[:, :, -1]
    if image:
        known = ~labels.isnan()
        return labels.masked_fill(~known, 0), logits.masked_fill(~known, 0)
    known = (labels >= 0).unsqueeze(1)
    true = functional.one_hot(labels.clamp(min=0), logits.shape[1]).movedim(-1, 1)
    return (true * known).float(), logits.softmax(dim=1) * known
