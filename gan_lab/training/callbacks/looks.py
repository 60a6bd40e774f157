"""Simple statistics of how generated images look: their spread, their colours, their checkerboards, their inputs."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

LARGEST = 64
"""Longest side, in pixels, at which images are compared with others."""

UNLIKE = 0.15
"""Mean difference of the grey levels, in [-1, 1], of two sets that are lit differently: less may be chance."""
ROUNDING = (2 / 255) ** 2 / 12
"""Variance of the error of images in [-1, 1] that are rounded to 8 bits: less detail than that is no detail."""


def mean_distance(images: Tensor) -> float:
    """Computes the mean Euclidean distance between the images (N, C, H, W)."""
    return float(torch.pdist(images.detach().float().flatten(1)).mean())


PERIODS = (2, 4, 8)
"""Periods of the patterns that one, two and three layers leave which double the sides, in pixels."""

LEAST_PERIODS = 7
"""Periods that a side must hold, for frequencies around that are not those of a pattern."""


@dataclass(frozen=True)
class Checkerboard:
    """A pattern of a period, in rows, in columns or in both.

    Args:
        prominence: power at its frequencies in powers at the frequencies around them; 1 if it does not stand out.
        amplitude: root mean square of what stands out, in the images' units.
    """

    prominence: float
    amplitude: float


def periods_of(images: Tensor) -> list[int]:
    """Returns the periods of patterns that can be told from content in images (N, C, H, W): the sides hold seven."""
    return [period for period in PERIODS if min(images.shape[2:]) >= LEAST_PERIODS * period or period == 2]


def checkerboard(images: Tensor, period: int = 2) -> Checkerboard:
    """Measures the pattern that layers leave which double the sides by treating even and odd pixels differently.

    The pattern of the last such layer has half a cycle a pixel along the rows, the columns, or both; that of the layer
    before it has multiples of a quarter, and so on. Images get a Hann window, so that their edges add nothing
    there. See Odena et al. 2016, Deconvolution and Checkerboard Artifacts.

    Args:
        images: (N, C, H, W); at least 8 px and seven periods of 4 or 8 px high and wide.
        period: 2, 4 or 8 px. Frequencies of smaller ones are left out.
    """
    height, width = (side // period * period for side in images.shape[2:])
    power = _power(images[..., :height, :width])
    floor = power.new_tensor(ROUNDING / (height * width))
    prominence, excess = 0.0, 0.0
    for row in range(period):
        for column in range(period):
            if row % 2 == column % 2 == 0:
                continue
            rows = _distance(height, row * height // period, power)
            columns = _distance(width, column * width // period, power)
            far = torch.maximum(rows[:, None], columns)
            around = power[(far >= 2) & (far <= max(3, min(height, width) // 16))].median()
            at = power[far <= 1]
            prominence = max(prominence, float(at.mean() / torch.maximum(around, floor)))
            excess += float((at - around).clamp(min=0).sum())
    return Checkerboard(prominence, math.sqrt(excess))


def _power(images: Tensor) -> Tensor:
    """Returns the mean power (H, W) by frequency of images (N, C, H, W) under a Hann window."""
    x = images.detach().float().flatten(0, 1)
    height, width = x.shape[1:]
    window = torch.outer(*(torch.hann_window(side, device=x.device) for side in (height, width)))
    window = window / window.square().mean().sqrt()
    return torch.fft.fft2((x - x.mean((1, 2), keepdim=True)) * window).abs().square().mean(0) / (height * width) ** 2


def _distance(length: int, place: int, like: Tensor) -> Tensor:
    """Returns the distance of each frequency of a circle of ``length`` from one, (length,)."""
    apart = (torch.arange(length, device=like.device) - place).abs()
    return torch.minimum(apart, length - apart)


def colourfulness(images: Tensor) -> float:
    """Computes the mean deviation of a pixel's channels from their mean; 0 for grey images (N, C, H, W)."""
    return float(images.detach().float().std(1, correction=0).mean())


def contrast(images: Tensor) -> float:
    """Computes the mean over images (N, C, H, W) of the standard deviation of their grey levels."""
    return float(_grey(images).flatten(1).std(1, correction=0).mean())


def likeness(images: Tensor, others: Tensor) -> float:
    """Computes the mean correlation of each image with its counterpart, in [-1, 1]: -1 for negatives.

    Args:
        images, others: (N, C, H, W) and (N, C', H, W); grey levels are compared if C and C' differ.
    """
    same = images.shape[1] == others.shape[1]
    one, other = ((each.detach().float() if same else _grey(each)) for each in (images, others))
    return float((_standardised(one) * _standardised(other)).sum((1, 2)).mean())


def is_negative(images: Tensor, others: Tensor) -> bool:
    """Says whether grey levels of one set are nearer to the other's negatives than to the other set.

    Args:
        images, others: (N, C, H, W) and (M, C', H, W) in [-1, 1].
    """
    shares = torch.linspace(0.02, 0.98, 25)
    one, other = (_small(_grey(each)).flatten().cpu().quantile(shares) for each in (images, others))
    apart, inverted = (other - one).abs().mean(), (other + one.flip(0)).abs().mean()
    return bool(apart > UNLIKE and inverted < apart / 2)


def structure(images: Tensor, others: Tensor) -> float:
    """Computes how much more an image has in common with its counterpart than with the counterparts of others.

    Grey levels and edges are compared by the size of their correlations, and the larger difference counts: about 0 if
    the counterparts depend on nothing, 1 at most.

    Args:
        images, others: (N, C, H, W) and (N, C', H, W), with N ≥ 2.
    """
    one, other = _small(_grey(images)), _small(_grey(others))
    pairs = [(one, other), (_edges(one), _edges(other))]
    return max(_advantage(*pair) for pair in pairs)


def _advantage(one: Tensor, other: Tensor) -> float:
    table = (_standardised(one)[:, 0] @ _standardised(other)[:, 0].T).abs()
    matched = table.diagonal().mean()
    count = len(table)
    return float(matched - (table.sum() - table.diagonal().sum()) / (count * (count - 1)))


def _standardised(images: Tensor) -> Tensor:
    """Returns channels (N, C, H W) of mean 0 whose squares sum to 1 over C and H W; constant images become 0."""
    x = images.flatten(2)
    x = x - x.mean(2, keepdim=True)
    return x / x.square().sum((1, 2), keepdim=True).sqrt().clamp(min=1e-6 * math.sqrt(x[0].numel()))


def _grey(images: Tensor) -> Tensor:
    return images.detach().float().mean(1, keepdim=True)


def _small(images: Tensor) -> Tensor:
    """Returns the images with at most ``LARGEST`` pixels a side, by averaging."""
    height, width = images.shape[2:]
    return F.adaptive_avg_pool2d(images, (min(height, LARGEST), min(width, LARGEST)))


def _edges(images: Tensor) -> Tensor:
    """Returns the size of the gradients of grey images, (N, 1, H - 1, W - 1)."""
    down = images[..., 1:, :-1] - images[..., :-1, :-1]
    right = images[..., :-1, 1:] - images[..., :-1, :-1]
    return (down.square() + right.square()).sqrt()
