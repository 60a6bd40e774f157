"""The convolutions of VGG-19 (Simonyan and Zisserman 2015), with torchvision's names of weights."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gan_lab.common.bounds import Natural
from gan_lab.common.errors import UserError

VGG19 = (64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512, 512, 512, 512, 0)
"""Maps of each convolution, with 0 for pooling (the paper's configuration E)."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pixels in [0, 1]."""


class VGG(nn.Module):
    """Maps images (N, 3, H, W) in [-1, 1] to the maps after some of VGG-19's layers.

    Args:
        taps: numbers of layers, as torchvision counts them, ascending; these are relu1_1, relu2_1, relu3_1, relu4_1.

    Raises:
        UserError: for numbers that are no layers.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, taps: Sequence[Natural] = (1, 6, 11, 20)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        widths, inputs = [], 3
        for width in VGG19:
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()] if width else [nn.MaxPool2d(2)]
            inputs = width or inputs
            widths += [inputs] * (2 if width else 1)
        if not taps or not all(0 <= tap < len(layers) for tap in taps) or list(taps) != sorted(set(taps)):
            raise UserError(
                f"The layers {list(taps)} of VGG-19 are not valid: give ascending numbers from 0 to {len(layers) - 1}."
            )
        self.features = nn.ModuleList(layers[: taps[-1] + 1])
        self.taps, self.widths = tuple(taps), [widths[tap] for tap in taps]
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        x, maps = ((images + 1) / 2 - self.mean) / self.deviation, []
        for number, layer in enumerate(self.features):
            x = layer(x)
            if number in self.taps:
                maps.append(x)
        return maps
