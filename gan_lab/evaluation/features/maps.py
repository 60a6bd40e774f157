"""Networks that describe content and style of images by maps: (N, 3, H, W) in [-1, 1] → a list of (N, C, h, w)."""

from collections.abc import Sequence
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn

from gan_lab.common.bounds import Natural
from gan_lab.common.errors import UserError
from gan_lab.evaluation.features.extractors import WEIGHTS, Colour, read_packaged, sha256
from gan_lab.networks.efficientnet import EfficientNetLite

FILE = "vgg19-dcbb9e9d.pth"
"""torchvision's file; its name ends with the first digits of its SHA-256."""
LAYERS = 37
"""Modules of torchvision's ``features``."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pixels in [0, 1]."""


def general(taps: Sequence[Natural] = (0, 1, 2, 3)) -> nn.Module:
    """Returns EfficientNet-Lite0, trained on ImageNet, which is part of the package.

    Args:
        taps: stages whose maps are used, 0 to 5: from half to a thirty-second of the image's sides.

    Raises:
        UserError: for other stages.
    """
    if not taps or not all(0 <= tap <= 5 for tap in taps) or list(taps) != sorted(set(taps)):
        raise UserError(f"features.taps={list(taps)} is not valid: give ascending stages from 0 to 5.")
    _, state, _ = read_packaged("general")
    network = EfficientNetLite(taps)
    network.load_state_dict({name: value for name, value in state.items() if name != "matrices"})
    return network.requires_grad_(False).eval()


class ColourMaps(nn.Module):
    """The stem and blocks of our classifier of CIFAR-10's classes, which is part of the package."""

    def __init__(self) -> None:
        super().__init__()
        self.network = Colour(WEIGHTS / "colour.safetensors").network.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> list[Tensor]:
        return list(self.network.stages(images))  # type: ignore[operator]


class VGG19(nn.Module):
    """VGG-19 (Simonyan and Zisserman 2015), Gatys' network: the maps after some of its layers.

    Args:
        weights: torchvision's file; None takes torch hub's copy.
        layers: numbers of modules in torchvision's ``features``; these are relu1_1, relu2_1, relu3_1, relu4_1, relu5_1.

    Raises:
        UserError: if there is no such file or layer, or the file is another.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, weights: str | None = None, layers: Sequence[Natural] = (1, 6, 11, 20, 29)) -> None:
        super().__init__()
        if not layers or not all(0 <= layer < LAYERS for layer in layers):
            raise UserError(f"features.layers={list(layers)} is not valid: give numbers from 0 to {LAYERS - 1}.")
        path = Path(weights or Path(torch.hub.get_dir()) / "checkpoints" / FILE).expanduser()
        if not path.is_file():
            raise UserError(f"There is no {path}: give features.weights the path of torchvision's {FILE}.")
        if not sha256(path).startswith(FILE.split("-")[1].removesuffix(".pth")):
            raise UserError(f"{path} is not torchvision's {FILE}: put that file there.")
        with torch.device("meta"):  # allocates nothing for the classifier, which is most of the network
            self.layers = nn.ModuleList(torchvision.models.vgg19().features[: max(layers) + 1])
        state = torch.load(path, map_location="cpu", weights_only=True)
        names = self.layers.state_dict().keys()
        self.layers.load_state_dict({name: state[f"features.{name}"] for name in names}, assign=True)
        self.taps = set(layers)
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1))
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(3, 1, 1))
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> list[Tensor]:
        x, found = ((images + 1) / 2 - self.mean) / self.deviation, []
        for number, layer in enumerate(self.layers):
            x = torch.relu(x) if isinstance(layer, nn.ReLU) else layer(x)  # not in place: maps are kept
            if number in self.taps:
                found.append(x)
        return found
