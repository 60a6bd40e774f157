"""A segmenter that is fitted in seconds: a linear classifier of each pixel over the maps of a network."""

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.bounds import Probability
from gan_lab.common.errors import UserError
from gan_lab.evaluation.features.maps import general

TAPS = (0, 1, 2, 3, 4)
"""Stages of the network with maps that are used, beside the pixels themselves."""
LEAST_SIDE = 128
"""Images with a shorter side below this are enlarged by a whole factor before the network sees them."""
FIT_PIXELS = 60_000
"""Pixels that the classifier is fitted to."""
DECAY = 1e-4
"""Weight of the squared norm of the classifier's weights."""
STEPS = 200
"""Steps of L-BFGS at most."""
HELD_OUT = 0.2
"""Share of the images that are kept apart to measure the accuracy."""
FEWEST = 10
"""Images with label maps, at least."""
AT_ONCE = 16


@dataclass(frozen=True)
class Segmenter:
    """Finds the class of each pixel.

    Args:
        network: images (N, 3, H, W) → maps (N, F', h, w) of several stages.
        weight: of the classifier over the pixels and the maps, (K, 3 + F).
        bias: (K,).
    """

    network: nn.Module
    weight: Tensor
    bias: Tensor

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Returns the class of each pixel, int64 (N, H, W), of images (N, 1 or 3, H, W) in [-1, 1]."""
        return torch.cat([self._scores(part).argmax(1) for part in images.to(self.weight).split(AT_ONCE)])

    def _scores(self, images: Tensor) -> Tensor:
        """Returns scores (n, K, H, W); maps are enlarged after the classifier, which is the same and takes less."""
        maps = stages(self.network, images)
        bounds = [0, *torch.tensor([each.shape[1] for each in maps]).cumsum(0).tolist()]
        scores = self.bias.view(1, -1, 1, 1).expand(len(images), -1, *images.shape[2:])
        for each, (begin, end) in zip(maps, pairwise(bounds), strict=True):
            part = torch.einsum("nfhw,kf->nkhw", each, self.weight[:, begin:end])
            scores = scores + _enlarged(part, images)
        return scores


@dataclass(frozen=True)
class Quality:
    """Figures of a segmenter on images that it was not fitted to.

    Args:
        images: their number.
        accuracy: share of the pixels with a class that get it.
        most_frequent: the accuracy of always choosing the most frequent class.
        overlaps: intersection over union for each class, (K,); NaN for a class that neither has.
    """

    images: int
    accuracy: float
    most_frequent: float
    overlaps: Tensor


def fitted_segmenter(
    images: Tensor, classes: Tensor, device: torch.device | str = "cpu", held_out: Probability = HELD_OUT, seed: int = 0
) -> tuple[Segmenter, Quality]:
    """Fits a segmenter to some images, and measures it on the others.

    Args:
        images: (N, 1 or 3, H, W) in [-1, 1].
        classes: int64 (N, H, W), from 0; -1 for pixels without a class.
        device: of the segmenter.
        held_out: share of the images that it is measured on.
        seed: chooses them, and the pixels that it is fitted to.

    Raises:
        UserError: for fewer than ``FEWEST`` images.
    """
    if len(images) < FEWEST:
        raise UserError(f"A segmenter needs at least {FEWEST} images with label maps: give more, not {len(images)}.")
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(images), generator=generator)
    apart = max(1, round(held_out * len(images)))
    test, train = order[:apart], order[apart:]
    network, count = general(TAPS).to(device), int(classes.max()) + 1
    features, wanted = _pixels(network, images[train].to(device), classes[train], generator)
    segmenter = Segmenter(network, *_linear(features, wanted.to(device), count))
    return segmenter, quality_of(segmenter, images[test], classes[test], count)


def quality_of(segmenter: Segmenter, images: Tensor, classes: Tensor, count: int) -> Quality:
    """Measures a segmenter on images (N, C, H, W) with the classes (N, H, W) of their pixels, of which there are K."""
    found, known = segmenter(images).cpu(), classes >= 0
    table = torch.bincount(count * classes[known] + found[known], minlength=count**2).view(count, count).double()
    right, real, guessed = table.diag(), table.sum(1), table.sum(0)
    return Quality(
        len(images), float(right.sum() / real.sum()), float(real.max() / real.sum()), right / (real + guessed - right)
    )


def stages(network: nn.Module, images: Tensor) -> list[Tensor]:
    """Returns the images (N, 1 or 3, H, W) in [-1, 1] as colours, and the network's maps (N, F', h, w) of them."""
    colours = images.expand(-1, 3, -1, -1)
    scale = max(1, LEAST_SIDE // min(images.shape[2:]))
    large = F.interpolate(colours, scale_factor=float(scale), mode="bilinear") if scale > 1 else colours
    return [colours, *network(large.contiguous(memory_format=torch.channels_last))]


def _enlarged(maps: Tensor, images: Tensor) -> Tensor:
    return F.interpolate(maps, tuple(images.shape[2:]), mode="bilinear", align_corners=False)


@torch.no_grad()
def _pixels(network: nn.Module, images: Tensor, classes: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Returns features (M, 3 + F) and classes (M,) of some pixels of each image."""
    each, features, wanted = max(1, FIT_PIXELS // len(images)), [], []
    for image, own in zip(images, classes.flatten(1), strict=True):
        places = torch.randperm(len(own), generator=generator)
        places = places[own[places] >= 0][:each]
        maps = [_enlarged(part, image[None]) for part in stages(network, image[None])]
        features.append(torch.cat(maps, 1)[0].flatten(1)[:, places.to(image.device)].T)
        wanted.append(own[places])
    return torch.cat(features), torch.cat(wanted)


def _linear(features: Tensor, wanted: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Returns weight (K, D) and bias (K,) of logistic regression over features (M, D), fitted to classes (M,)."""
    mean, deviation = features.mean(0), features.std(0).clamp(min=1e-6)
    standard = (features - mean) / deviation
    weight = torch.zeros(count, features.shape[1], device=features.device, requires_grad=True)
    bias = torch.zeros(count, device=features.device, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> float:
        optimizer.zero_grad()
        value = F.cross_entropy(standard @ weight.T + bias, wanted) + DECAY * weight.square().sum()
        value.backward()
        return float(value.detach())

    with torch.enable_grad():
        optimizer.step(loss)
    scaled = weight.detach() / deviation
    return scaled, bias.detach() - scaled @ mean
