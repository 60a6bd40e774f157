"""Walks through latent space between samples."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from gan_lab.common.capabilities import Decodes

Interpolation = Callable[[Tensor, Tensor, float | Tensor], Tensor]
"""A function of two latents (…, Z) and t in [0, 1], such as ``slerp``."""


def lerp(a: Tensor, b: Tensor, t: float | Tensor) -> Tensor:
    """Interpolates linearly between latents, (…, Z).

    Args:
        a: the result at t = 0, (…, Z).
        b: the result at t = 1, (…, Z).
        t: a number, or numbers (…, 1).
    """
    return a + (b - a) * t


def slerp(a: Tensor, b: Tensor, t: float | Tensor) -> Tensor:
    """Interpolates spherically between latents, (…, Z) (Shoemake 1985, §3.3).

    Between Gaussian latents it keeps the norm that the generator was trained on, where a straight line passes too
    near the origin (White 2016). Parallel latents are joined by the straight line, and so are opposite ones, between
    which no arc is distinguished.

    Args:
        a: the result at t = 0, (…, Z).
        b: the result at t = 1, (…, Z).
        t: a number, or numbers (…, 1).
    """
    angle = _angle(a, b)
    sine = angle.sin()
    straight = sine < 1e-4
    safe = torch.where(straight, torch.ones_like(sine), sine)
    arc = (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / safe
    return torch.where(straight, lerp(a, b, t), arc)


def _angle(a: Tensor, b: Tensor) -> Tensor:
    """Computes angles (…, 1); unlike the arc cosine, exact for nearly parallel vectors (Kahan 2006, §12)."""
    u, v = torch.nn.functional.normalize(a, dim=-1), torch.nn.functional.normalize(b, dim=-1)
    return 2 * torch.atan2((u - v).norm(dim=-1, keepdim=True), (u + v).norm(dim=-1, keepdim=True))


def path(latents: Tensor, steps: int, loop: bool = False, between: Interpolation = slerp) -> Tensor:
    """Returns a path through latents (K, Z) in their order, (T, Z).

    Args:
        latents: the latents that it passes through, (K, Z).
        steps: steps from one latent to the next, at least 1.
        loop: also return from the last latent to the first, so that T = K · steps and the end meets the start;
            otherwise T = (K - 1) · steps + 1, including the last latent.
        between: ``slerp`` for Gaussian latents, ``lerp`` for a space without a sphere, such as StyleGAN's W.
    """
    stops = torch.cat([latents, latents[:1]]) if loop else latents
    t = torch.arange(steps, device=latents.device, dtype=latents.dtype).div(steps).unsqueeze(-1)
    stretches = [between(a.expand(steps, -1), b.expand(steps, -1), t) for a, b in pairwise(stops)]
    return torch.cat(stretches if loop else [*stretches, latents[-1:]])


@torch.no_grad()
def walk(
    model: Decodes,
    latents: Tensor,
    steps: int = 16,
    label: int | Tensor | None = None,
    loop: bool = False,
    between: Interpolation = slerp,
    batch_size: int = 64,
) -> Tensor:
    """Generates images along a path through latents (K, Z), float32 (T, C, H, W), on the CPU.

    Example: ``frames = walk(model, model.encode(images), steps=8)``

    Args:
        model: a model with a latent space.
        latents: the latents that the walk passes through, (K, Z).
        steps: steps from one latent to the next; see ``path`` for T.
        label: class of all images, or classes (K,) of the latents: each image then has the class of the nearer latent.
        loop: return to the first latent.
        between: interpolation between two latents.
        batch_size: images generated at once.
    """
    points = path(latents, steps, loop, between)
    if not isinstance(label, Tensor):
        return torch.cat([model.decode(part, label).cpu() for part in points.split(batch_size)])
    nearer = label[(torch.arange(len(points)) + steps // 2) // steps % len(latents)]
    parts = zip(points.split(batch_size), nearer.split(batch_size), strict=True)
    return torch.cat([model.decode(part, labels).cpu() for part, labels in parts])


def interpolate(
    model: Decodes,
    seed: int = 0,
    points: int = 4,
    steps: int = 16,
    label: int | None = None,
    loop: bool = False,
    between: Interpolation = slerp,
    batch_size: int = 64,
    start: int = 0,
    truncation: float = 1.0,
) -> Tensor:
    """Generates images on a walk between samples of a seed, float32 (T, C, H, W), on the CPU.

    Example: ``save_animation("walk.gif", to_uint8(interpolate(gan_lab.load("last.ckpt"), loop=True)))``

    Args:
        model: a model with a latent space.
        seed: seed of the samples.
        points: number of samples that the walk passes through.
        steps: steps from one sample to the next; see ``path`` for T.
        label: class of all images.
        loop: return to the first sample.
        between: interpolation between two latents.
        batch_size: images generated at once.
        start: number of the first sample; the walk passes samples start … start + points - 1.
        truncation: factor in (0, 1] that shrinks the latents towards their mean.
    """
    latents = model.latents(points, seed, start, truncation, label)
    return walk(model, latents, steps, label, loop, between, batch_size)
