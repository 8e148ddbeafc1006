"""MONet (Burgess et al. 2019): a U-Net that peels off one object after another, and a VAE that draws each of them."""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from biounet.config import ModelConfig
from biounet.models.blocks import Upsampling
from biounet.models.unet import UNet

BACKGROUND, REST = 0.09, 0.11  # standard deviations of a pixel, of the first slot and of all others


class NormalisedBlock(nn.Module):
    """3x3 convolution without bias, instance normalisation with scale and bias, ReLU.

    Parameters
    ----------
    before, after : channels
    stride : factors per axis, or none
        Of every so many pixels the block sees the first: resizing to the nearest neighbour.
    """

    reach = 1

    def __init__(self, before: int, after: int, *, stride: tuple[int, int] = (1, 1), **_: object) -> None:
        super().__init__()
        self.stride = stride
        self.layers = nn.Sequential(
            nn.Conv2d(before, after, 3, padding=1, bias=False), nn.InstanceNorm2d(after, affine=True), nn.ReLU()
        )

    def forward(self, image: Tensor) -> Tensor:
        """Return feature maps (N, after, y, x) of an image (N, before, Y, X)."""
        return self.layers(image[..., :: self.stride[0], :: self.stride[1]])


class Bottom(nn.Module):
    """Bottom of the U-Net: three fully connected layers, through which every pixel sees the whole image."""

    def __init__(self, block: NormalisedBlock, channels: int, size: int, *, hidden: int = 128) -> None:
        super().__init__()
        pixels = channels * size**2
        self.down = block
        self.connected = nn.Sequential(
            *(nn.Linear(pixels, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()),
            *(nn.Linear(hidden, pixels), nn.ReLU()),
        )
        self.up = NormalisedBlock(2 * channels, channels)

    def forward(self, image: Tensor) -> Tensor:
        """Return feature maps of the size that the block before the fully connected layers gives."""
        skip = self.down(image)
        return self.up(torch.cat([skip, self.connected(skip.flatten(1)).view(skip.shape)], dim=1))


def attention_network(channels: int, size: int, *, width: int = 32) -> UNet:
    """U-Net from an image and the logarithm of its scope (N, C + 1, Y, X) to the logit of the next mask (N, 1, Y, X).

    `size` is the pixels per side, a power of 2 from 8 on; the bottom of the U-Net has 4 x 4 pixels.
    """
    config = ModelConfig(
        in_channels=channels + 1,
        classes=1,
        width=width,
        max_width=2 * width,
        depth=int(math.log2(size)) - 2,
        padding="same",
        dropout=0,
    )
    net = UNet(config, block=NormalisedBlock, widen=Upsampling, strided=True)
    net.bottom = Bottom(net.bottom, config.channels[-1], 4)
    return net


def masks_of(attention: nn.Module, image: Tensor, slots: int) -> Tensor:
    """Logarithms of the masks of all slots (N, slots, Y, X); at each pixel the masks sum to 1.

    A slot takes a share of the scope, which is what the slots before it left over; the last takes all that is left.
    """
    scope, masks = torch.zeros_like(image[:, :1]), []
    for _ in range(slots - 1):
        logit = attention(torch.cat([image, scope], dim=1))
        masks.append(scope + functional.logsigmoid(logit))
        scope = scope + functional.logsigmoid(-logit)
    return torch.cat([*masks, scope], dim=1)


class BroadcastDecoder(nn.Module):
    """Spatial broadcast decoder (Watters et al. 2019): one vector at every pixel, two coordinates, convolutions.

    No convolution is padded, so that coordinates alone tell a pixel where it is. The first convolution meets the
    vector and the coordinates one after the other, since the vector is the same at all pixels of its kernel.
    """

    def __init__(self, latents: int, channels: int, size: int, *, width: int = 32) -> None:
        super().__init__()
        steps = torch.linspace(-1, 1, size + 8)  # four convolutions take 8 px
        self.register_buffer("coordinates", torch.stack(torch.meshgrid(steps, steps, indexing="ij"))[None])
        self.first = nn.Conv2d(latents + 2, width, 3)
        layers: list[nn.Module] = [nn.ReLU()]
        for _ in range(3):
            layers += [nn.Conv2d(width, width, 3), nn.ReLU()]
        self.rest = nn.Sequential(*layers, nn.Conv2d(width, channels, 1))

    def forward(self, latent: Tensor) -> Tensor:
        """Return an image (N, channels, size, size) of a vector (N, latents)."""
        of_vector, of_place = self.first.weight.split([latent.shape[1], 2], dim=1)
        vector = functional.linear(latent, of_vector.sum(dim=(2, 3)))
        place = functional.conv2d(self.coordinates, of_place, self.first.bias)
        return self.rest(vector[..., None, None] + place)


class ComponentVAE(nn.Module):
    """Variational autoencoder of one slot: from an image and its mask to a vector, and back to a whole image."""

    def __init__(self, channels: int, size: int, *, latents: int = 16, width: int = 32) -> None:
        super().__init__()
        widths = (channels + 1, width, width, 2 * width, 2 * width)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.ReLU()]
        self.encoder = nn.Sequential(
            *layers,
            nn.Flatten(),
            *(nn.Linear(2 * width * (size // 16) ** 2, 256), nn.ReLU(), nn.Linear(256, 2 * latents)),
        )
        self.decoder = BroadcastDecoder(latents, channels + 1, size, width=width)

    def forward(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return an image in [0, 1], the logit of its mask, and mean and log variance of the latent vector.

        In training the vector is drawn around its mean, in evaluation it is the mean.
        """
        mean, log_variance = self.encoder(torch.cat([image, mask], dim=1)).float().chunk(2, dim=1)
        noise = torch.randn_like(mean) if self.training else torch.zeros_like(mean)
        drawn = self.decoder(mean + (log_variance / 2).exp() * noise).float()
        return drawn[:, :-1].sigmoid(), drawn[:, -1:], mean, log_variance


@dataclass(frozen=True)
class Decomposition:
    """What MONet makes of N images with K slots.

    Attributes
    ----------
    masks : (N, K, Y, X)
        Logarithms of the shares of the slots in each pixel.
    images : (N, K, C, Y, X)
        What the VAE draws for each slot, in [0, 1].
    drawn_masks : (N, K, Y, X)
        Logarithms of the masks that the VAE draws.
    mean, log_variance : (N, K, latents)
        Of the latent vectors.
    """

    masks: Tensor
    images: Tensor
    drawn_masks: Tensor
    mean: Tensor
    log_variance: Tensor

    def mixture(self) -> Tensor:
        """Return the images (N, C, Y, X) that the slots give together."""
        return (self.masks.exp()[:, :, None] * self.images).sum(dim=1)

    def labels(self) -> Tensor:
        """Return the slot with the largest share in each pixel (N, Y, X), counted from 1."""
        return self.masks.argmax(dim=1) + 1


class MONet(nn.Module):
    """Multi-object network: decomposes images into slots, and learns to from images alone.

    Parameters
    ----------
    channels : of the images
    size : pixels per side, a power of 2 from 16 on
    slots : int
        One more than there may be objects.
    width : channels of the outermost level of the U-Net; the VAE has as many, and twice as many further in
    """

    def __init__(self, channels: int, size: int, *, slots: int = 4, width: int = 32) -> None:
        super().__init__()
        self.slots = slots
        self.attention = attention_network(channels, size, width=width)
        self.vae = ComponentVAE(channels, size, width=width)

    def forward(self, image: Tensor) -> Decomposition:
        """Return the decomposition of images (N, C, Y, X) in [0, 1]."""
        masks = masks_of(self.attention, image, self.slots).float()
        repeated = image.repeat_interleave(self.slots, dim=0)  # all slots at once
        parts = self.vae(repeated, masks.flatten(0, 1)[:, None])
        drawn, logits, mean, log_variance = (part.unflatten(0, (len(image), self.slots)) for part in parts)
        return Decomposition(masks, drawn, logits[:, :, 0].log_softmax(dim=1), mean, log_variance)


def losses_of(image: Tensor, found: Decomposition) -> tuple[Tensor, Tensor, Tensor]:
    """Three terms of equation 3, each summed over an image and averaged over the batch.

    Returns
    -------
    The negative log-likelihood of the pixels under the mixture of all slots, without its constant part; the divergence
    of the latent vectors from a standard normal distribution; that of the masks from the masks that the VAE draws.
    """
    deviations = torch.tensor([BACKGROUND] + [REST] * (found.masks.shape[1] - 1), device=image.device)[
        None, :, None, None
    ]
    distance = ((image[:, None] - found.images) ** 2).sum(dim=2)  # (N, K, Y, X)
    log_density = -distance / (2 * deviations**2) - image.shape[1] * deviations.log()
    pixels = -torch.logsumexp(found.masks + log_density, dim=1).sum(dim=(1, 2)).mean()
    latents = (found.mean**2 + found.log_variance.exp() - 1 - found.log_variance).sum(dim=(1, 2)).mean() / 2
    masks = (found.masks.exp() * (found.masks - found.drawn_masks)).sum(dim=(1, 2, 3)).mean()
    return pixels, latents, masks


def loss_of(image: Tensor, found: Decomposition, *, beta: float = 0.5, gamma: float = 0.5) -> Tensor:
    """Loss of equation 3: the likelihood of the pixels, beta times the latent vectors, gamma times the masks."""
    pixels, latents, masks = losses_of(image, found)
    return pixels + beta * latents + gamma * masks
