"""Networks that describe content and style of images by maps: (N, 3, H, W) in [-1, 1] → a list of (N, C, h, w)."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, PositiveFloat, Signed
from gan_lab.common.errors import UserError
from gan_lab.evaluation.features.backbones import load_weights
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


class TimmMaps(nn.Module):
    """A network of timm that returns maps of some of its stages.

    Args:
        network: with timm's method ``forward_intermediates``.
        taps: numbers of the stages.
        mean, std: of its input's channels, for images in [0, 1].
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, network: nn.Module, taps: Sequence[Natural], mean: Sequence[Signed], std: Sequence[PositiveFloat]
    ) -> None:
        super().__init__()
        self.network, self.taps = network, [*taps]
        self.register_buffer("mean", torch.tensor([*mean]).view(3, 1, 1))
        self.register_buffer("std", torch.tensor([*std]).view(3, 1, 1))

    def forward(self, images: Tensor) -> list[Tensor]:
        inputs = ((images + 1) / 2 - self.mean) / self.std
        maps: list[Tensor] = self.network.forward_intermediates(inputs, self.taps, intermediates_only=True)  # type: ignore[operator]
        return maps


def timm_maps(
    network: str,
    weights: str | Path,
    taps: Sequence[Natural] = (1, 2, 3, 4),
    mean: Sequence[Signed] = (0.485, 0.456, 0.406),
    std: Sequence[PositiveFloat] = (0.229, 0.224, 0.225),
) -> TimmMaps:
    """Returns a network of timm, which is not part of the package: pip install "gan_lab[backbones]".

    Args:
        network: timm's name for it.
        weights: its state, as safetensors, or a file of torch's that unpickles nothing but tensors.
        taps: numbers of the stages that return maps.
        mean, std: of its input's channels, for images in [0, 1]; ImageNet's by default.

    Raises:
        UserError: without timm, for a name that it does not know, and if the weights do not fit.
    """
    try:
        import timm
    except ImportError as error:
        raise UserError('Maps of timm\'s networks need timm: pip install "gan_lab[backbones]".') from error
    if not timm.is_model(network):
        raise UserError(f"timm has no network {network}: timm.list_models() lists all.")
    built = timm.create_model(network, pretrained=False)
    load_weights(built, weights)
    return TimmMaps(built.requires_grad_(False), taps, mean, std).eval()
