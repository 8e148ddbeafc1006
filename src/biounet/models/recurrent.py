"""R2U-Net, the recurrent residual U-Net (Alom, Hasan, Yakopcic, Taha and Asari 2018)."""

from torch import Tensor, nn

from biounet.config import ModelConfig
from biounet.models.blocks import CONV, activate, need_padding
from biounet.models.unet import UNet

__all__ = ["RecurrentBlock", "RecurrentConv", "recurrent_residual_unet"]


def recurrent_residual_unet(config: ModelConfig) -> UNet:
    """U-Net of recurrent residual convolutions, which process their input in three time steps.

    Notes
    -----
    Source: Alom et al. 2018, "Recurrent Residual Convolutional Neural Network based on U-Net", figures 2
    and 4d, with t = 2.
    """
    need_padding(config)
    return UNet(config, block=RecurrentBlock)


class RecurrentConv(nn.Module):
    """Recurrent convolution: each time step takes the input and the state of the step before.

    Parameters
    ----------
    channels, dims, norm : as for `ConvBlock`
    steps : int
        Time steps after the first. Weights are shared by all steps; normalisations are not, since the
        states of different steps have different statistics.

    Notes
    -----
    Source: Alom et al. 2018, equations 1 and 2 (after Liang and Hu 2015), with f the ReLU:
    ``x(t) = f(w_f * x + w_r * x(t - 1) + b)``, nothing before the first step. A re-implementation that many use
    (github.com/LeeJunHyun/Image_Segmentation) has one kernel for both, ``x(t) = f(w * (x + x(t - 1)) + b)``.
    """

    def __init__(self, channels: int, *, dims: int, norm: bool, steps: int) -> None:
        super().__init__()
        self.see = CONV[dims](channels, channels, 3, padding=1, bias=not norm)
        self.recall = CONV[dims](channels, channels, 3, padding=1, bias=False)
        self.settle = nn.ModuleList(
            nn.Sequential(*activate(channels, dims=dims, norm=norm, inplace=False)) for _ in range(steps + 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the state after the last step."""
        seen = self.see(x)
        state = self.settle[0](seen)
        for settle in list(self.settle)[1:]:
            state = settle(seen + self.recall(state))
        return state  # type: ignore[no-any-return]


class RecurrentBlock(nn.Module):
    """Residual block of two recurrent convolutions.

    Parameters
    ----------
    before, after, dims, padded, norm : as for `ConvBlock`; always padded
    steps : int
        Time steps after the first, t = 2 in the paper.

    Notes
    -----
    Source: Alom et al. 2018, figure 4d and equation 3. A 1x1 convolution brings the input to the
    number of channels.
    """

    unrectified = ("adapt",)

    def __init__(self, before: int, after: int, *, dims: int, padded: bool, norm: bool, steps: int = 2) -> None:
        super().__init__()
        self.reach = 2 * (steps + 1)
        self.adapt = CONV[dims](before, after, 1)
        self.recurrent = nn.Sequential(*(RecurrentConv(after, dims=dims, norm=norm, steps=steps) for _ in range(2)))

    def forward(self, x: Tensor) -> Tensor:
        """Return x + F(x)."""
        x = self.adapt(x)
        return x + self.recurrent(x)  # type: ignore[no-any-return]
