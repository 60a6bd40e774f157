"""Saliency: the pixels that a scalar function of an image, such as a discriminator's logit, depends on most."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_lab.common.bounds import NonNegative, PositiveInt
from gan_lab.common.gradients import gradients, learning
from gan_lab.common.seeds import seed_of

Logits = Callable[[Tensor], Tensor]
"""Maps images (N, C, H, W) to logits (N, …)."""
BRIGHTEST = 0.99
"""Share of an image's pixels that are below the brightest colour of its heat map."""
NEIGHBOURHOOD = 1 / 16
"""Side of the neighbourhoods, in sides of the image."""
FADED = 0.35
"""Contrast of an image behind its heat map."""


def smooth_gradients(
    logits: Logits,
    images: Tensor,
    repeats: PositiveInt = 32,
    noise: NonNegative = 0.1,
    seed: int = 0,
    start: int = 0,
    network: torch.nn.Module | None = None,
) -> Tensor:
    """Returns the gradients of logits with respect to pixels, averaged over noisy copies of each image.

    Smilkov et al. 2017, "SmoothGrad: removing noise by adding noise", section 2. A logit of several numbers, as of
    patches, counts by its mean. Noise of an image depends on the seed and on its number alone.

    Args:
        logits: the function.
        images: (N, C, H, W) in [-1, 1]; they pass together, because a discriminator may compare the images of a batch.
        repeats: noisy copies of each image.
        noise: standard deviation, as a share of the image's range; 0 gives the plain gradient.
        seed: of the noise.
        start: number of the first image.
        network: behind the function: its parameters need no gradients.

    Returns:
        (N, C, H, W).
    """
    spans = (images.amax((1, 2, 3), keepdim=True) - images.amin((1, 2, 3), keepdim=True)).cpu()
    numbers = range(start, start + len(images))
    generators = [torch.Generator().manual_seed(seed_of(seed, number, "saliency")) for number in numbers]
    total = torch.zeros_like(images)
    with gradients(), learning(network or torch.nn.Module(), False):
        for _ in range(repeats):
            drawn = torch.stack([torch.randn(images.shape[1:], generator=each) for each in generators])
            noisy = (images + (noise * spans * drawn).to(images)).requires_grad_()
            total += torch.autograd.grad(of_images(logits(noisy)).sum(), noisy)[0]
    return total / repeats


def of_images(logits: Tensor) -> Tensor:
    """Returns a logit for each image, (N,): the mean over patches of logits (N, …)."""
    return logits.reshape(len(logits), -1).mean(1)


def strengths(found: Tensor) -> Tensor:
    """Returns how strong gradients (N, C, H, W) are at each pixel, over all channels, (N, H, W)."""
    return found.abs().sum(1)


def blurred(heat: Tensor) -> Tensor:
    """Returns heat (N, H, W) averaged over neighbourhoods, (N, H, W): strided convolutions make it grainy."""
    side = 1 + 2 * max(1, round(min(heat.shape[1:]) * NEIGHBOURHOOD / 2))
    for _ in range(2):
        heat = F.avg_pool2d(heat[:, None], side, 1, side // 2, count_include_pad=False)[:, 0]
    return heat


def heat_maps(images: Tensor, heat: Tensor) -> Tensor:
    """Returns images with their heat maps over them, (N, 3, H, W) in [-1, 1]: black, red, yellow and white are hotter.

    Args:
        images: (N, C, H, W) in [-1, 1], which become grey and dark.
        heat: (N, H, W) of at least 0, each scaled by itself.
    """
    scale = heat.flatten(1).quantile(BRIGHTEST, dim=1).clamp(min=1e-12)
    hot = (heat / scale[:, None, None]).clamp(0, 1)
    colours = torch.stack([(3 * hot - step).clamp(0, 1) for step in range(3)], 1)
    grey = FADED * (images.mean(1, keepdim=True) + 1) / 2
    return 2 * torch.maximum(colours, grey.expand_as(colours)) - 1
