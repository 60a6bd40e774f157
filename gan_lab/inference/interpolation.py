"""Walks through latent space between samples."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from gan_lab.common.capabilities import Decodes

Between = Callable[[Tensor, Tensor, float | Tensor], Tensor]


def lerp(a: Tensor, b: Tensor, t: float | Tensor) -> Tensor:
    """The straight line from ``a`` (t = 0) to ``b`` (t = 1), both (…, Z); ``t`` a number or (…, 1)."""
    return a + (b - a) * t


def slerp(a: Tensor, b: Tensor, t: float | Tensor) -> Tensor:
    """The great arc from ``a`` (t = 0) to ``b`` (t = 1), both (…, Z); ``t`` a number or (…, 1) (Shoemake 1985, §3.3).

    Between Gaussian latents it keeps the length that the generator was trained on, where a straight line passes too
    near the origin (White 2016). Parallel latents are joined by the straight line, and so are opposite ones, between
    which no arc is singled out.
    """
    angle = _angle(a, b)
    sine = angle.sin()
    straight = sine < 1e-4
    safe = torch.where(straight, torch.ones_like(sine), sine)
    arc = (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / safe
    return torch.where(straight, lerp(a, b, t), arc)


def _angle(a: Tensor, b: Tensor) -> Tensor:
    """The angle (…, 1) between vectors; unlike the arc cosine, exact for nearly parallel ones (Kahan 2006, §12)."""
    u, v = torch.nn.functional.normalize(a, dim=-1), torch.nn.functional.normalize(b, dim=-1)
    return 2 * torch.atan2((u - v).norm(dim=-1, keepdim=True), (u + v).norm(dim=-1, keepdim=True))


def path(latents: Tensor, steps: int, loop: bool = False, between: Between = slerp) -> Tensor:
    """A walk through latents (K, Z) in their order, (T, Z).

    Args:
        latents: the points passed through.
        steps: steps from one to the next, at least 1.
        loop: also walk from the last back to the first, so that T = K · steps and the end meets the start; otherwise
            T = (K - 1) · steps + 1, the last point included.
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
    between: Between = slerp,
    batch_size: int = 64,
) -> Tensor:
    """Pictures on a walk through latents (K, Z), float32 (T, C, H, W), on the CPU.

    See ``path`` for T. ``label`` is the class of all pictures, or the classes (K,) of the latents: then each picture is
    of the class of the nearer one.
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
    between: Between = slerp,
    batch_size: int = 64,
    start: int = 0,
    truncation: float = 1.0,
) -> Tensor:
    """Pictures on a walk through samples start … start + points - 1 of a seed, float32 (T, C, H, W), on the CPU.

    See ``path`` for T. ``label`` is the class of all of them.
    """
    latents = model.latents(points, seed, start, truncation, label)
    return walk(model, latents, steps, label, loop, between, batch_size)
