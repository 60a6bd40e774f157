"""Random filters at several scales: their correlations describe textures without any training."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, PositiveInt


class RandomFilters(nn.Module):
    """Maps images (N, 3, H, W) in [-1, 1] to rectified responses (N, filters, H / 2ⁱ, W / 2ⁱ), one for each scale i.

    One layer of random filters synthesises textures almost as well as a trained network (Ustyuzhaninov et al. 2016,
    "Texture Synthesis Using Shallow Convolutional Networks with Random Filters"). Here a pyramid takes the place of
    large filters. It knows no objects, so it transfers colours and textures, and not the shapes of strokes.

    Args:
        filters: in each scale.
        scales: halvings, and one.
        side: of the filters, in pixels.
        seed: determines the filters.
    """

    weights: Tensor

    def __init__(
        self, filters: PositiveInt = 64, scales: PositiveInt = 5, side: PositiveInt = 5, seed: Natural = 0
    ) -> None:
        super().__init__()
        weights = torch.randn(filters, 3, side, side, generator=torch.Generator().manual_seed(seed))
        self.register_buffer("weights", weights / weights.flatten(1).norm(dim=1).view(-1, 1, 1, 1))
        self.scales, self.widths = scales, [filters] * scales

    def forward(self, images: Tensor) -> list[Tensor]:
        found, half = [], self.weights.shape[-1] // 2
        for _ in range(self.scales):
            found.append(F.relu(F.conv2d(F.pad(images, [half] * 4, mode="replicate"), self.weights)))
            images = F.avg_pool2d(images, 2, ceil_mode=True)
        return found
