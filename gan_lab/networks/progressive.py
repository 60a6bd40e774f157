"""The networks of progressive growing (Karras et al. 2018, "Progressive Growing of GANs for Improved Quality,
Stability, and Variation", table 2 and appendix A.1).

All layers exist from the start, and a *level* says which of them are used: 0 for the smallest images, 1 for twice their
sides, and so on. At level 1.3 images have the sides of level 2, of which 0.3 is faded in (figure 2).
"""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.bounds import PositiveInt
from gan_lab.networks.equalised import GAIN, Conv, Linear, activate
from gan_lab.networks.layers import maps_per_size
from gan_lab.networks.minibatch_stddev import MinibatchStddev
from gan_lab.networks.resampled_conv import doubled_conv


def doubled(x: Tensor) -> Tensor:
    """Doubles the sides of maps (N, C, H, W): each pixel becomes 2×2."""
    return F.interpolate(x, scale_factor=2.0)


def halved(x: Tensor, times: int = 1) -> Tensor:
    """Halves the sides of maps (N, C, H, W) so often: pixels are means of squares."""
    return F.avg_pool2d(x, 1 << times) if times else x


def normalised(x: Tensor) -> Tensor:
    """Divides the vector at each pixel of maps (N, C, H, W), or latents (N, Z), by its root mean square (sec. 4.2)."""
    last = x.movedim(1, -1)  # a sum over adjacent numbers is several times faster where these are channels
    norm = torch.linalg.vector_norm(last, dim=-1, keepdim=True, dtype=torch.promote_types(x.dtype, torch.float32))
    return (last * (norm.square() / x.shape[1] + 1e-8).rsqrt().to(x.dtype)).movedim(-1, 1)


class Start(nn.Module):
    """The 4×4 convolution of a vector, as of one pixel with a border: (N, Z) → (N, maps, rows, columns)."""

    def __init__(self, latent: int, maps: int, rows: int, columns: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(maps * rows * columns, latent))
        self.bias = nn.Parameter(torch.zeros(maps))
        self.gain, self.shape = GAIN / math.sqrt(latent * rows * columns), (maps, rows, columns)

    def forward(self, latents: Tensor) -> Tensor:
        bias = self.bias.repeat_interleave(self.shape[1] * self.shape[2])
        return F.linear(latents, self.weight * self.gain, bias).unflatten(1, self.shape)


class DoubledConv(Conv):
    """A 3×3 convolution of doubled maps: (N, inputs, H, W) → (N, outputs, 2 H, 2 W)."""

    def forward(self, x: Tensor) -> Tensor:
        return doubled_conv(x, *self.scaled())


def activated_conv(inputs: int, outputs: int, side: int, kind: type[Conv] = Conv) -> Conv:
    """Returns a convolution that an activation follows: He's constant scales its weights."""
    return kind(inputs, outputs, side, GAIN, scale_bias=False)


class Up(nn.Module):
    """Doubles the sides, then two convolutions, each of them activated and normalised: (N, inputs, h, w) →
    (N, outputs, 2h, 2w).
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first, self.second = activated_conv(inputs, outputs, 3, DoubledConv), activated_conv(outputs, outputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = normalised(activate(self.first(x)))
        return normalised(activate(self.second(x)))


class Down(nn.Module):
    """Two activated convolutions, then half the sides: (N, inputs, H, W) → (N, outputs, H / 2, W / 2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first, self.second = activated_conv(inputs, inputs, 3), activated_conv(inputs, outputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        return halved(activate(self.second(activate(self.first(x)))))


class Generator(nn.Module):
    """Maps latents (N, Z) to images (N, C, H, W), about [-1, 1] but not bounded.

    At 1024×1024×3 it has 23.1 million parameters, as in table 2.

    Args:
        latent: Z; latents are normalised, so that they lie on a hypersphere.
        channels, height, width: size of the images; their sides halve down to 4 to 7 px.
        base: feature maps times shorter side of the maps, until there are ``most``.
        most: the largest number of feature maps.

    Attributes:
        size: H and W.
        top: the highest level, that of whole images.
    """

    def __init__(
        self,
        latent: PositiveInt,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        base: PositiveInt = 16384,
        most: PositiveInt = 512,
    ) -> None:
        super().__init__()
        (smallest, first), *others = maps_per_size(height, width, base, most)
        maps = [first, *(each for _, each in others)]
        self.size, self.top = (height, width), len(others)
        self.start, self.first = Start(latent, first, *smallest), activated_conv(first, first, 3)
        self.blocks = nn.ModuleList(Up(a, b) for a, b in pairwise(maps))
        self.images = nn.ModuleList(Conv(each, channels, 1) for each in maps)

    def forward(self, latents: Tensor, level: float | None = None) -> Tensor:
        """Returns images (N, C, h, w) of the sides of a level in [0, ``top``]; None: the highest."""
        whole, share = _parts(self.top if level is None else level)
        x = normalised(activate(self.start(normalised(latents))))
        x = normalised(activate(self.first(x)))
        for block in self.blocks[:whole]:
            x = block(x)
        image: Tensor = self.images[whole](x).float()
        if not share:
            return image
        return doubled(image).lerp(self.images[whole + 1](self.blocks[whole](x)).float(), share)


class Discriminator(nn.Module):
    """Maps images (N, C, H, W) to logits (N,).

    At 1024×1024×3 it has 23.1 million parameters, as in table 2.

    Args:
        channels, height, width, base, most: see ``Generator``.
        group: samples in a group of the minibatch standard deviation; the paper's text has the whole batch.
    """

    def __init__(
        self,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        base: PositiveInt = 16384,
        most: PositiveInt = 512,
        group: PositiveInt = 4,
    ) -> None:
        super().__init__()
        (smallest, self.width), *others = maps_per_size(height, width, base, most)
        maps = [self.width, *(each for _, each in others)]
        self.size, self.top = (height, width), len(others)
        self.enter = nn.ModuleList(activated_conv(channels, each, 1) for each in maps)
        self.blocks = nn.ModuleList(Down(b, a) for a, b in pairwise(maps))
        self.stddev, self.last = MinibatchStddev(group), activated_conv(self.width + 1, self.width, 3)
        self.hidden = Linear(self.width * math.prod(smallest), self.width, gain=GAIN, scale_bias=False)
        self.out = Linear(self.width, 1)

    def stages(self) -> list[list[nn.Module]]:
        """Returns the layers and blocks, near the largest images first; see ``gan_lab.networks.freeze``."""
        blocks = [[self.enter[-1]], *([block] for block in reversed(self.blocks))]
        return [*blocks, [self.last], [self.hidden], [self.out]]

    def forward(self, images: Tensor, level: float | None = None) -> Tensor:
        """Returns the logits of images (N, C, h, w) of the sides of a level in [0, ``top``]; None: the highest."""
        whole, share = _parts(self.top if level is None else level)
        x = activate(self.enter[whole](halved(images, share > 0)))
        if share:
            x = x.lerp(self.blocks[whole](activate(self.enter[whole + 1](images))), share)
        for block in reversed(self.blocks[:whole]):
            x = block(x)
        x = activate(self.last(self.stddev(x))).flatten(1)
        logits: Tensor = self.out(activate(self.hidden(x)))
        return logits.squeeze(1)


def _parts(level: float) -> tuple[int, float]:
    """Returns the level that is whole, and the share of the next one."""
    return int(level), level - int(level)
