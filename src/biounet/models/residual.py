"""Deep residual U-Net (Zhang, Liu and Wang 2018)."""

from collections.abc import Sequence
from functools import partial
from types import EllipsisType

from torch import Tensor, nn

from biounet.config import ModelConfig
from biounet.models.blocks import CONV, Upsampling, activate, need_padding
from biounet.models.unet import UNet

__all__ = ["ResidualBlock", "residual_unet"]


def residual_unet(config: ModelConfig) -> UNet:
    """U-Net of residual units, with strides in place of poolings and repetition in place of up-convolutions.

    Notes
    -----
    Source: Zhang, Liu and Wang 2018, "Road Extraction by Deep Residual U-Net", figure 2 and table I
    (``ModelConfig(width=64, depth=3)``). Differs: drop-out as in `UNet`, if it is asked for.
    """
    need_padding(config)
    return UNet(config, block=ResidualBlock, entry=partial(ResidualBlock, lead=False), widen=Upsampling, strided=True)


class ResidualBlock(nn.Module):
    """Residual unit with pre-activation: two convolutions, added to their input.

    Parameters
    ----------
    before, after, dims, padded, norm : as for `ConvBlock`; always padded
    stride : factors per axis
        Of the first convolution, where it takes the place of a pooling.
    lead : bool
        Whether normalisation and ReLU stand before the first convolution too; not where it sees the image.

    Notes
    -----
    Source: Zhang, Liu and Wang 2018, equation 1 and figure 1b (full pre-activation, after He et al. 2016).
    Where the number of channels or the size changes, a 1x1 convolution brings the input to it.
    """

    unrectified = ("shortcut",)

    def __init__(
        self,
        before: int,
        after: int,
        *,
        dims: int,
        padded: bool,
        norm: bool,
        stride: Sequence[int] = (),
        lead: bool = True,
    ) -> None:
        super().__init__()
        self.reach = 1 if stride else 2  # what the stride looks at is counted with the poolings
        step = tuple(stride) or 1
        first = activate(before, dims=dims, norm=norm, inplace=False) if lead else []
        self.residual = nn.Sequential(
            *first,
            CONV[dims](before, after, 3, stride=step, padding=1, bias=not norm),
            *activate(after, dims=dims, norm=norm),
            CONV[dims](after, after, 3, padding=1),
        )
        same = before == after and not stride
        self.shortcut = nn.Identity() if same else CONV[dims](before, after, 1, bias=False)
        self.kept: tuple[EllipsisType | slice, ...] = (..., *(slice(None, None, factor) for factor in stride))

    def forward(self, x: Tensor) -> Tensor:
        """Return x + F(x)."""
        # What a stride would skip is taken out before the 1x1 convolution: of fewer than 16 channels in channels-last
        # order, oneDNN 3 computes the gradient of a 1x1 convolution with a stride wrong, or crashes (its issue 6035).
        return self.shortcut(x[self.kept]) + self.residual(x)  # type: ignore[no-any-return]
