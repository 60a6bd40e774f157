"""Networks that take noise and coding artefacts from photographs of any size."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, PositiveInt


class FFDNet(nn.Module):
    """A plain convolutional network at a fraction of the resolution (Zhang et al. 2018): (N, C, H, W) → the same.

    The image's pixels are rearranged into more channels, which makes each layer see further and cost less. The network
    predicts what to subtract (residual learning, Zhang et al. 2017, "DnCNN"), without batch normalisation.

    Args:
        channels: C.
        maps: feature maps.
        layers: convolutions, at least 2.
        patch: side of the squares of pixels that become the channels of one position.
        conditions: further channels of the input, such as a map of the noise level.

    Raises:
        ValueError: for fewer than two layers.
    """

    def __init__(
        self,
        channels: PositiveInt,
        maps: PositiveInt = 96,
        layers: PositiveInt = 12,
        patch: PositiveInt = 2,
        conditions: Natural = 0,
    ) -> None:
        super().__init__()
        if layers < 2:
            raise ValueError(f"layers={layers} is not valid: give at least 2.")
        self.patch, depth = patch, channels * patch**2
        widths = [depth + conditions * patch**2, *[maps] * (layers - 1), depth]
        self.layers = nn.ModuleList(_conv(*pair) for pair in pairwise(widths))
        with torch.no_grad():
            self.layers[-1].weight.mul_(0.01)  # type: ignore[operator, union-attr]

    @property
    def multiple(self) -> int:
        """Sides of the images must be multiples of it."""
        return self.patch

    def forward(self, image: Tensor, conditions: Tensor | None = None) -> Tensor:
        """Returns the clean image, given a noisy one, and maps (N, conditions, H, W) if the network takes some."""
        whole = image if conditions is None else torch.cat([image, conditions], 1)
        maps = F.pixel_unshuffle(whole, self.patch)
        for layer in self.layers[:-1]:
            maps = F.relu(layer(maps))
        return image - F.pixel_shuffle(self.layers[-1](maps), self.patch)


def _conv(inputs: int, maps: int) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, maps, 3, 1, 1)
    nn.init.kaiming_normal_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer
