"""The extractor for images of any kind: a network that knows photographs, and a weighting that we trained."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_lab.common.images import to_float
from gan_lab.evaluation.features.extractors import Colour, Extractor, Grey, read_packaged, spread_of
from gan_lab.networks.efficientnet import EfficientNetLite

WHOLE = 160 * 160
"""Pixels up to which an image is seen whole at its own resolution."""
PATCH = 64
"""Side of the four patches that are seen of larger images, in pixels."""
COARSE = (32, 64)
"""Least and largest shorter side of the coarse view, in pixels."""


class General(Extractor):
    """Describes images of any kind and size, at their own resolution and at half of it.

    The features are means over space of the maps of EfficientNet-Lite0 (two stages, two views), mapped by a matrix that
    weakens the directions in which an image moves when it is slightly damaged and its content is kept: noise, blur,
    compression, shifted colours, patterns of resampling. Without it, a set of sharp images without content would be
    closer to the real ones than a set of slightly noisy images with it. ``experiments/train_general.py`` computes the
    matrix from photographs, objects, clothes and digits, without labels.

    Larger images than 160×160 px are seen as four patches of 64 px at their own resolution, so that nothing is averaged
    away before the network sees it, and as a whole at 64 px.

    Args:
        weights: another file; None takes the packaged one.

    Raises:
        UserError: if the file cannot be read, or holds another extractor.
    """

    name = "general"
    classes = 0
    spread: float | None = 608.0
    least_variety = 0.1  # noise has 0.06, one digit 0.2, faces 0.3, clothes 0.7
    resizer = (
        f"whole at its own resolution up to {WHOLE} px, else four patches of {PATCH}; and bilinear-antialias "
        f"to half, {COARSE[0]} to {COARSE[1]}"
    )
    matrices: Tensor

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__()
        self.header, state, self.sha256 = read_packaged(self.name, weights)
        self.spread = spread_of(type(self), self.header, self.sha256)
        self.network = EfficientNetLite()
        self.register_buffer("matrices", state.pop("matrices"))
        self.network.load_state_dict(state)
        self.dim = self.matrices.shape[0] * self.matrices.shape[1]
        self.requires_grad_(False).eval()
        self.to(memory_format=torch.channels_last)

    def extract(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Computes the features (N, dim) of uint8 images (N, 1 or 3, H, W), and empty logits (N, 0)."""
        features = torch.einsum("vnd,vde->nve", means_of_views(self.network, images), self.matrices).flatten(1)
        return features, features.new_zeros(len(features), 0)


def means_of_views(network: EfficientNetLite, images: Tensor) -> Tensor:
    """Computes the means (2, N, D) of a network's maps: uint8 images (N, 1 or 3, H, W) as they are, and halved."""
    images = images.expand(-1, 3, -1, -1)
    parts = [images] if images[0, 0].numel() <= WHOLE else patches(images)
    fine = torch.stack([_means(network, part) for part in parts]).mean(0)
    return torch.stack([fine, _means(network, halved(images))])


def _means(network: EfficientNetLite, images: Tensor) -> Tensor:
    maps = network(to_float(images).contiguous(memory_format=torch.channels_last))
    return torch.cat([each.mean((2, 3)) for each in maps], 1)


def halved(images: Tensor) -> Tensor:
    """Resizes images (N, C, H, W) to float32 of half their size, with a shorter side of 32 to 64 px, antialiased."""
    height, width = images.shape[2:]
    side = min(max(min(height, width) // 2, COARSE[0]), COARSE[1])
    size = (round(height * side / min(height, width)), round(width * side / min(height, width)))
    if size == (height, width):
        return images.float()
    return F.interpolate(images.float(), size, mode="bilinear", align_corners=False, antialias=True)


def patches(images: Tensor) -> list[Tensor]:
    """Returns the patches of 64 px in the middle of each quarter of images (N, C, H, W)."""
    height, width = images.shape[2:]
    rows = [max(min(height * each // 4 - PATCH // 2, height - PATCH), 0) for each in (1, 3)]
    columns = [max(min(width * each // 4 - PATCH // 2, width - PATCH), 0) for each in (1, 3)]
    return [images[:, :, y : y + PATCH, x : x + PATCH] for y in rows for x in columns]


def default_extractor(name: str = "") -> Extractor:
    """Returns the packaged extractor for images: the one that knows the classes of the data set with that name, else
    ``General``.
    """
    return next((each for each in (Grey, Colour) if name in each.class_logits), General)()
