"""Networks that describe content and style of images by maps: (N, 3, H, W) in [-1, 1] → a list of (N, C, h, w)."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from gan_lab.common.bounds import Natural
from gan_lab.common.errors import UserError
from gan_lab.evaluation.features.extractors import WEIGHTS, Colour, read_packaged, sha256
from gan_lab.networks.efficientnet import EfficientNetLite
from gan_lab.networks.vgg import VGG

FILE = "vgg19-dcbb9e9d.pth"
"""torchvision's file; its name ends with the first digits of its SHA-256."""


class GeneralMaps(EfficientNetLite):
    """The network of our extractor ``general``, under whose name protocols list it if a model learns from it."""

    name = "general"


def general(taps: Sequence[Natural] = (0, 1, 2, 3)) -> GeneralMaps:
    """Returns EfficientNet-Lite0, trained on ImageNet, which is part of the package.

    Args:
        taps: stages whose maps are used, 0 to 5: from half to a thirty-second of the image's sides.

    Raises:
        UserError: for other stages.
    """
    _, state, _ = read_packaged("general")
    network = GeneralMaps(taps)
    network.load_state_dict({name: state[name] for name in network.state_dict()})
    network.to(memory_format=torch.channels_last)  # twice as fast on a CPU
    return network.requires_grad_(False).eval()


class ColourMaps(nn.Module):
    """The stem and blocks of our classifier of CIFAR-10's classes, which is part of the package."""

    name = "colour"

    def __init__(self) -> None:
        super().__init__()
        self.network = Colour(WEIGHTS / "colour.safetensors").network.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> list[Tensor]:
        return list(self.network.stages(images))  # type: ignore[operator]


def vgg19(weights: str | None = None, taps: Sequence[Natural] = (1, 6, 11, 20, 29)) -> nn.Module:
    """Returns VGG-19, Gatys' network, which is not part of the package.

    Args:
        weights: torchvision's file; None takes torch hub's copy.
        taps: see ``gan_lab.networks.vgg.VGG``; these are relu1_1, relu2_1, relu3_1, relu4_1, relu5_1.

    Raises:
        UserError: if there is no such file or layer, or the file is another.
    """
    network = VGG(taps)
    path = Path(weights or Path(torch.hub.get_dir()) / "checkpoints" / FILE).expanduser()
    if not path.is_file():
        raise UserError(f"There is no {path} for VGG-19: give weights= the path of torchvision's {FILE}.")
    if not sha256(path).startswith(FILE.split("-")[1].removesuffix(".pth")):
        raise UserError(f"{path} is not torchvision's {FILE}: put that file there.")
    state = torch.load(path, map_location="cpu", weights_only=True)
    network.load_state_dict({name: state[name] for name in network.state_dict()})
    return network.requires_grad_(False).eval()
