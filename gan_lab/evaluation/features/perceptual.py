"""How far two pictures are apart in the eyes of a network, and what else pairs of pictures are compared by.

Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", equation 1.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import torch
import torchmetrics.functional.image
import torchvision
from torch import Tensor, nn
from torchmetrics.functional.image import structural_similarity_index_measure

from gan_lab.common.distributed import rank_and_world_size
from gan_lab.common.errors import UserError
from gan_lab.common.progress import console
from gan_lab.evaluation.features.extractors import WEIGHTS, Colour, sha256

Compare = Callable[[Tensor, Tensor], Tensor]
"""What is made and what is real, both (N, C, H, W) as a network sees them → a figure a picture, (N,)."""

TRUNKS = {
    "alexnet": ("lpips_alex", "alexnet-owt-7be5be79.pth", (0, 2, 5, 8, 10, 12)),
    "vgg16": ("lpips_vgg", "vgg16-397923af.pth", (0, 4, 9, 16, 23, 30)),
}
"""torchvision's networks: the distance's name, the weight file, which ends in how its sha256 begins, and where its
five parts begin and end."""

SMALLEST = {"ssim": 11, "lpips_alex": 32, "lpips_vgg": 32}
"""Pixels that the shorter side must have."""


def unlike(a: Sequence[Tensor], b: Sequence[Tensor]) -> list[Tensor]:
    """Maps (N, C, H, W) of several layers, for two pictures each → the squared differences of their unit vectors."""
    return [(_unit(x) - _unit(y)).square() for x, y in zip(a, b, strict=True)]


def _unit(maps: Tensor) -> Tensor:
    return maps / (maps.norm(dim=1, keepdim=True) + 1e-10)


class Perceptual(nn.Module):
    """A distance in a network's eyes.

    Attributes:
        name: as figures call it.
        sha256: of the network's weight file.
    """

    name: str
    sha256: str


class ColourDistance(Perceptual):
    """``pd_colour``: LPIPS' formula without learned weights, in our colour classifier's maps at the pictures' size.

    The squared distance of unit vectors, between 0 and 2 as the maps are not negative, averaged over space and over the
    stem and every block. It is no LPIPS, and comparable only with itself.
    """

    name = "colour"

    def __init__(self) -> None:
        super().__init__()
        colour = Colour(WEIGHTS / "colour.safetensors")
        self.sha256, self.network = colour.sha256, colour.network

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Pictures (N, 1 or 3, H, W) in [-1, 1] → (N,)."""
        stages = [self.network.stages(images.float().expand(-1, 3, -1, -1)) for images in (a, b)]
        return torch.stack([each.sum(1).mean((1, 2)) for each in unlike(*stages)]).mean(0)


class LPIPS(Perceptual):
    """LPIPS, version 0.1, with the learned weights of its authors, which torchmetrics brings, over torchvision's trunk.

    Args:
        network: "alexnet" or "vgg16".
        state: the trunk's weights under torchvision's names; those of its classifier are not needed.
        sha256: of the file they are from.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, network: str, state: Mapping[str, Tensor], sha256: str) -> None:
        super().__init__()
        self.sha256 = sha256
        self.name, _, bounds = TRUNKS[network]
        with torch.device("meta"):  # the classifier, which is most of the network, never comes to be
            layers = getattr(torchvision.models, network)().features
        trunk = {key.removeprefix("features."): t for key, t in state.items() if key.startswith("features.")}
        layers.load_state_dict(trunk, assign=True)
        self.parts = nn.ModuleList(layers[begin:end] for begin, end in pairwise(bounds))
        learned = Path(torchmetrics.functional.image.__file__).with_name("lpips_models") / f"{self.name[6:]}.pth"
        weights = torch.load(learned, map_location="cpu", weights_only=True)
        for number in range(len(self.parts)):
            self.register_buffer(f"weight{number}", weights[f"lin{number}.model.1.weight"][0])
        self.register_buffer("shift", torch.tensor((-0.030, -0.088, -0.188)).view(3, 1, 1))
        self.register_buffer("scale", torch.tensor((0.458, 0.448, 0.450)).view(3, 1, 1))
        self.requires_grad_(False).eval()

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Pictures (N, 1 or 3, H, W) in [-1, 1] of 32 px and more → (N,)."""
        weighted = [
            (each * getattr(self, f"weight{number}")).sum(1).mean((1, 2))
            for number, each in enumerate(unlike(self._maps(a), self._maps(b)))
        ]
        return torch.stack(weighted).sum(0)

    def _maps(self, images: Tensor) -> list[Tensor]:
        maps = [(images.float().expand(-1, 3, -1, -1) - self.shift) / self.scale]
        for part in self.parts:
            maps.append(part(maps[-1]))
        return maps[1:]


def lpips(network: str, weights: str | None = None) -> LPIPS | None:
    """LPIPS over "alexnet" or "vgg16" with the file ``weights``, else torch hub's copy; None where there is neither.

    Raises:
        UserError: where ``weights`` is named and is not there, or the file is another than torchvision's.
    """
    _, name, _ = TRUNKS[network]
    path = Path(weights or Path(torch.hub.get_dir()) / "checkpoints" / name)
    if not path.is_file():
        if weights:
            raise UserError(f"There is no {path}: give weights.{network} the path of torchvision's {name}.")
        return None
    found, wanted = sha256(path), name.rpartition("-")[2].removesuffix(".pth")
    if not found.startswith(wanted):
        raise UserError(f"The sha256 of {path} does not begin with {wanted}, so it is another file: put {name} there.")
    return LPIPS(network, torch.load(path, map_location="cpu", weights_only=True), found)


def perceptual(networks: Sequence[str], shortest: int, weights: Mapping[str, str | None] | None) -> Perceptual:
    """LPIPS over the first of these networks whose weights are there, else ``ColourDistance``.

    Args:
        shortest: the pictures' shorter side; LPIPS needs 32 px.
        weights: files of the networks, by name; see ``lpips``.
    """
    for network in networks:
        if shortest >= SMALLEST[TRUNKS[network][0]] and (found := lpips(network, (weights or {}).get(network))):
            return found
    return ColourDistance()


def l1(made: Tensor, real: Tensor) -> Tensor:
    """Mean absolute difference of pictures (N, C, H, W) in [-1, 1] → (N,)."""
    return (made.float() - real.float()).abs().mean((1, 2, 3))


def wrong(made: Tensor, real: Tensor) -> Tensor:
    """Share of pixels whose class differs in maps (N, K, H, W), the second one-hot → (N,); pixels of none left out."""
    known = real.sum(1) > 0
    differs = (made.argmax(1) != real.argmax(1)) & known
    return differs.sum((1, 2)) / known.sum((1, 2)).clamp(min=1)


def ssim(made: Tensor, real: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004: Gaussian window of 11, σ 1.5) of pictures in [-1, 1] → (N,).

    It compares light by its ratio, so it is taken where black is 0.
    """
    a, b = ((each.float() + 1) / 2 for each in (made, real))
    found = structural_similarity_index_measure(a, b, data_range=1.0, reduction="none")
    return found.reshape(len(made))  # type: ignore[union-attr]


def comparisons(shortest: int, weights: Mapping[str, str | None]) -> dict[str, Compare]:
    """What made pictures are compared with their own real ones by, by name: ``l1``, ``ssim``, ``pd_colour``, LPIPS.

    Args:
        shortest: the pictures' shorter side; what needs more is left out.
        weights: files of "alexnet" and "vgg16"; see ``lpips``.
    """
    found: dict[str, Compare] = {"l1": l1, "ssim": ssim, "pd_colour": ColourDistance()}
    for network, (name, file, _) in TRUNKS.items():
        if shortest >= SMALLEST[name] and (distance := lpips(network, weights.get(network))):
            found[name] = distance
        elif shortest >= SMALLEST[name] and rank_and_world_size()[0] == 0:
            console.print(
                f"{name} is left out: {file} is not in torch hub's folder (weights.{network} names another).",
                soft_wrap=True,
            )
    return {name: compare for name, compare in found.items() if shortest >= SMALLEST.get(name, 1)}
