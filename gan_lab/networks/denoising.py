"""A network that takes noise and coding artefacts from photographs of any size."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, PositiveInt
from gan_lab.networks.layers import init_zero
from gan_lab.networks.superres import ResidualBlock


class Denoiser(nn.Module):
    """Residual blocks at a fraction of the resolution: images (N, C, H, W) in [-1, 1] → the same, not clamped.

    The image's pixels are rearranged into more channels (FFDNet, Zhang et al. 2018), which makes each layer see further
    and cost less. The network predicts what to subtract (DnCNN, Zhang et al. 2017), and starts with nothing. Its blocks
    are EDSR's (Lim et al. 2017): a plain chain of convolutions without batch normalisation learns much more slowly.

    Args:
        channels: C.
        maps: feature maps.
        blocks: residual blocks.
        patch: side of the squares of pixels that become the channels of one position.
        conditions: further channels of the input, such as a map of the noise level.
    """

    def __init__(
        self,
        channels: PositiveInt,
        maps: PositiveInt = 64,
        blocks: PositiveInt = 16,
        patch: PositiveInt = 2,
        conditions: Natural = 0,
    ) -> None:
        super().__init__()
        self.patch = patch
        self.first = nn.Conv2d((channels + conditions) * patch**2, maps, 3, 1, 1)
        self.body = nn.Sequential(*(ResidualBlock(maps) for _ in range(blocks)))
        self.last = nn.Conv2d(maps, channels * patch**2, 3, 1, 1)
        init_zero(self.last)

    @property
    def multiple(self) -> int:
        """Sides of the images must be multiples of it."""
        return self.patch

    @property
    def receptive_radius(self) -> int:
        """Pixels, in each direction, that a result depends on."""
        return self.patch * (2 * len(self.body) + 3)

    def forward(self, image: Tensor, conditions: Tensor | None = None) -> Tensor:
        """Returns the clean image, given a noisy one, and maps (N, conditions, H, W) if the network takes some."""
        whole = image if conditions is None else torch.cat([image, conditions], 1)
        maps = self.body(self.first(F.pixel_unshuffle(whole, self.patch)))
        return image - F.pixel_shuffle(self.last(maps), self.patch)
