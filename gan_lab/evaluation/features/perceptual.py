"""Perceptual distances between images, and other metrics of pairs of images.

Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", equation 1.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import cast

import torch
import torchvision
from safetensors.torch import load_file
from torch import Tensor, nn

from gan_lab.common.bounds import PositiveInt
from gan_lab.common.distributed import rank_and_world_size
from gan_lab.common.errors import UserError
from gan_lab.common.progress import console
from gan_lab.evaluation.features.extractors import WEIGHTS, Colour, read_packaged, sha256
from gan_lab.evaluation.features.maps import general
from gan_lab.networks.classifier import Classifier

PairMetric = Callable[[Tensor, Tensor], Tensor]
"""Maps generated and real images, both network inputs (N, C, H, W), to a value for each pair, (N,)."""

NETWORKS = {
    "alexnet": ("lpips_alex", "alexnet-owt-7be5be79.pth", (0, 2, 5, 8, 10, 12)),
    "vgg16": ("lpips_vgg", "vgg16-397923af.pth", (0, 4, 9, 16, 23, 30)),
}
"""torchvision's networks: the distance's name, the weight file, whose name ends with the first digits of its SHA-256,
and the bounds of its five parts."""

MIN_SIDE = {"ssim": 11, "lpips_alex": 32, "lpips_vgg": 32}
"""Least number of pixels of the shorter side."""


def squared_unit_differences(a: Sequence[Tensor], b: Sequence[Tensor]) -> list[Tensor]:
    """Returns the squared differences of the unit vectors of two lists of feature maps (N, C, H, W), one per layer.

    They are float32. A network that is part of a loss may give maps in half precision: the loss' gradient then has the
    direction of float32's (a cosine of 0.99 for images enlarged four times), but not where images are nearly equal.
    """
    return [(_unit(x.float()) - _unit(y.float())).square() for x, y in zip(a, b, strict=True)]


def _unit(maps: Tensor) -> Tensor:
    return maps / (maps.norm(dim=1, keepdim=True) + 1e-10)


class PerceptualDistance(nn.Module):
    """A distance of images in a network's features.

    Attributes:
        name: part of the metrics' names.
        sha256: of the network's weight file.
    """

    name: str
    sha256: str


class MapDistance(PerceptualDistance, ABC):
    """A distance of lists of maps, which are computed of each image alone: of many pairs, each image's once."""

    @abstractmethod
    def maps(self, images: Tensor) -> list[Tensor]:
        """Returns the maps (N, C', H', W') of images (N, 1 or 3, H, W) in [-1, 1], one for each layer."""

    @abstractmethod
    def between(self, a: list[Tensor], b: list[Tensor]) -> Tensor:
        """Returns the distances (N,) of maps (N, C', H', W') and (N, C', H', W') for each layer."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Returns the distances (N,) of images (N, 1 or 3, H, W) and (N, 1 or 3, H, W) in [-1, 1]."""
        return self.between(self.maps(a), self.maps(b))


class ColourDistance(MapDistance):
    """``pd_colour``: LPIPS' formula without learned weights, in our colour classifier's maps at the images' size.

    The squared distance of unit vectors, averaged over space, the stem and every block. It is between 0 and 2 because
    the maps are not negative. It is not LPIPS, and comparable only with itself.
    """

    name = "colour"

    def __init__(self) -> None:
        super().__init__()
        colour = Colour(WEIGHTS / "colour.safetensors")
        self.sha256, self.network = colour.sha256, cast(Classifier, colour.network)

    def maps(self, images: Tensor) -> list[Tensor]:
        """Returns the maps of the stem and of every block."""
        return list(self.network.stages(images.float().expand(-1, 3, -1, -1)))

    def between(self, a: list[Tensor], b: list[Tensor]) -> Tensor:
        """Returns the means (N,) over layers and space of squared distances of unit vectors."""
        return torch.stack([each.sum(1).mean((1, 2)) for each in squared_unit_differences(a, b)]).mean(0)


class GeneralDistance(MapDistance):
    """``pd_general``: LPIPS' formula without learned weights, in maps of EfficientNet-Lite0 at the images' size.

    It is a multiple faster than ``ColourDistance``, for losses. It is between 0 and 4.
    """

    name = "general"

    def __init__(self) -> None:
        super().__init__()
        _, _, self.sha256 = read_packaged("general")
        self.network = general()

    def maps(self, images: Tensor) -> list[Tensor]:
        """Returns the maps of the network's stages."""
        return list(self.network(images.float().expand(-1, 3, -1, -1)))

    def between(self, a: list[Tensor], b: list[Tensor]) -> Tensor:
        """Returns the means (N,) over layers and space of squared distances of unit vectors."""
        return torch.stack([each.sum(1).mean((1, 2)) for each in squared_unit_differences(a, b)]).mean(0)


class LPIPS(MapDistance):
    """LPIPS, version 0.1, with its authors' learned weights (``weights/lpips.safetensors``) over torchvision's network.

    Args:
        network: "alexnet" or "vgg16".
        state: the network's weights under torchvision's names; those of its classifier are not needed.
        sha256: of the file that they come from.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, network: str, state: Mapping[str, Tensor], sha256: str) -> None:
        super().__init__()
        self.sha256 = sha256
        self.name, _, bounds = NETWORKS[network]
        with torch.device("meta"):  # allocates nothing for the classifier, which is most of the network
            layers = getattr(torchvision.models, network)().features
        features = {key.removeprefix("features."): t for key, t in state.items() if key.startswith("features.")}
        layers.load_state_dict(features, assign=True)
        self.parts = nn.ModuleList(layers[begin:end] for begin, end in pairwise(bounds))
        learned = load_file(WEIGHTS / "lpips.safetensors")
        for number in range(len(self.parts)):
            self.register_buffer(f"weight{number}", learned[f"{self.name}.{number}"].view(-1, 1, 1))
        self.register_buffer("shift", torch.tensor((-0.030, -0.088, -0.188)).view(3, 1, 1))
        self.register_buffer("scale", torch.tensor((0.458, 0.448, 0.450)).view(3, 1, 1))
        self.requires_grad_(False).eval()

    def between(self, a: list[Tensor], b: list[Tensor]) -> Tensor:
        """Returns the sums (N,) over layers of means over space of weighted squared differences of unit vectors."""
        weighted = [
            (each * getattr(self, f"weight{number}")).sum(1).mean((1, 2))
            for number, each in enumerate(squared_unit_differences(a, b))
        ]
        return torch.stack(weighted).sum(0)

    def maps(self, images: Tensor) -> list[Tensor]:
        """Returns the maps of five layers, of images of at least 32 px."""
        maps = [(images.float().expand(-1, 3, -1, -1) - self.shift) / self.scale]
        for part in self.parts:
            maps.append(part(maps[-1]))
        return maps[1:]


def lpips(network: str, weights: str | None = None) -> LPIPS | None:
    """Returns LPIPS over a network, or None if there are no weights.

    Args:
        network: "alexnet" or "vgg16".
        weights: the network's weight file; None takes torch hub's copy, if there is one.

    Raises:
        UserError: if ``weights`` is given and does not exist, or the file is not torchvision's.
    """
    _, name, _ = NETWORKS[network]
    path = Path(weights or Path(torch.hub.get_dir()) / "checkpoints" / name)
    if not path.is_file():
        if weights:
            raise UserError(f"There is no {path}: give weights.{network} the path of torchvision's {name}.")
        return None
    found, wanted = sha256(path), name.rpartition("-")[2].removesuffix(".pth")
    if not found.startswith(wanted):
        raise UserError(f"The sha256 of {path} does not begin with {wanted}, so it is another file: put {name} there.")
    return LPIPS(network, torch.load(path, map_location="cpu", weights_only=True), found)


def perceptual_distance(
    networks: Sequence[str], shortest: PositiveInt, weights: Mapping[str, str | None] | None = None
) -> PerceptualDistance:
    """Returns LPIPS over the first of these networks that has weights, else ``ColourDistance``.

    Args:
        networks: of "alexnet" and "vgg16", in the order of preference.
        shortest: the images' shorter side; LPIPS needs 32 px.
        weights: files of the networks, by name; see ``lpips``.
    """
    for network in networks:
        if shortest >= MIN_SIDE[NETWORKS[network][0]] and (found := lpips(network, (weights or {}).get(network))):
            return found
    return ColourDistance()


def perceptual_name(distance: PerceptualDistance) -> str:
    """Returns the name of a distance among other pair metrics: ``pd_colour``, ``lpips_alex``."""
    return "pd_colour" if distance.name == "colour" else distance.name


def l1(fake: Tensor, real: Tensor) -> Tensor:
    """Returns the mean absolute difference (N,) of images (N, C, H, W) and (N, C, H, W) in [-1, 1]."""
    return (fake.float() - real.float()).abs().mean((1, 2, 3))


def pixel_error(fake: Tensor, real: Tensor) -> Tensor:
    """Returns the share (N,) of pixels whose class differs in label maps (N, K, H, W) and, one-hot, (N, K, H, W).

    Pixels without a class in the second are left out.
    """
    known = real.sum(1) > 0
    differs = (fake.argmax(1) != real.argmax(1)) & known
    return differs.sum((1, 2)) / known.sum((1, 2)).clamp(min=1)


def ssim(fake: Tensor, real: Tensor) -> Tensor:
    """Returns the structural similarity (N,) of images (N, C, H, W) and (N, C, H, W) in [-1, 1] of at least 11 px.

    Wang et al. 2004, "Image Quality Assessment: From Error Visibility to Structural Similarity": a Gaussian window of
    11 px with σ 1.5, at the places where it lies within the image. torchmetrics also averages over windows that reach
    beyond the borders, into reflected pixels: at 64 px its values differ by up to 0.02. Luminances are compared by
    their ratio, so images are scaled to [0, 1], where black is 0.

    Raises:
        UserError: for smaller images.
    """
    if min(fake.shape[2:]) < MIN_SIDE["ssim"]:
        raise UserError(f"SSIM needs images of at least 11 px, not {fake.shape[2]}×{fake.shape[3]}: leave it out.")
    a, b = ((each.float() + 1) / 2 for each in (fake, real))
    mean_a, mean_b, square_a, square_b, product = windowed(torch.stack([a, b, a * a, b * b, a * b]))
    covariance, variances = product - mean_a * mean_b, square_a - mean_a.square() + square_b - mean_b.square()
    luminance = (2 * mean_a * mean_b + 0.01**2) / (mean_a.square() + mean_b.square() + 0.01**2)
    return (luminance * (2 * covariance + 0.03**2) / (variances + 0.03**2)).flatten(1).mean(1)


def windowed(images: Tensor) -> Tensor:
    """Returns weighted means (…, H - 10, W - 10) of images (…, H, W) over SSIM's window, inside the image.

    Sums of shifted images are several times faster on a CPU than convolutions of single channels.
    """
    weights = torch.exp(-torch.arange(-5, 6, dtype=torch.float64).square() / (2 * 1.5**2))
    for dim in (-2, -1):
        length = images.shape[dim] - 10
        means = torch.zeros_like(images.narrow(dim, 0, length))
        for start, weight in enumerate((weights / weights.sum()).tolist()):
            means.add_(images.narrow(dim, start, length), alpha=weight)
        images = means
    return images


def paired_metrics(shortest: int, weights: Mapping[str, str | None]) -> dict[str, PairMetric]:
    """Returns the metrics of generated images and their own real ones: ``l1``, ``ssim``, ``pd_colour``, LPIPS.

    LPIPS without weights is left out, which rank 0 prints.

    Args:
        shortest: the images' shorter side; metrics that need more pixels are left out.
        weights: files of "alexnet" and "vgg16"; see ``lpips``.
    """
    found: dict[str, PairMetric] = {"l1": l1, "ssim": ssim, "pd_colour": ColourDistance()}
    for network, (name, file, _) in NETWORKS.items():
        if shortest >= MIN_SIDE[name] and (distance := lpips(network, weights.get(network))):
            found[name] = distance
        elif shortest >= MIN_SIDE[name] and rank_and_world_size()[0] == 0:
            console.print(
                f"{name} is left out: {file} is not in torch hub's folder (weights.{network} names another).",
                soft_wrap=True,
            )
    return {name: metric for name, metric in found.items() if shortest >= MIN_SIDE.get(name, 1)}
