"""Latent traversals: what changes in an image while one latent goes from one end of its range to the other."""

import torch
from torch import Tensor

from gan_lab.common.capabilities import Traverses

MAX_CANDIDATES = 512
"""Latents that are tried; if more are active, evenly spaced ones of them."""


@torch.no_grad()
def rank_latents(model: Traverses, latents: Tensor, label: int | None = None, batch_size: int = 64) -> Tensor:
    """Ranks the latents by how much they change the image, int64 (K,), the most influential first.

    The change is the mean absolute difference between the images at both ends of a latent's range. Inactive latents
    (range 0) are left out; at most ``MAX_CANDIDATES`` are tried.

    Args:
        model: a model with a range for each latent.
        latents: the point around which single latents move, (1, Z).
        label: class of the images.
        batch_size: images generated at once.
    """
    latent_range = model.latent_range()
    active = latent_range.nonzero()[:, 0].cpu()
    places = torch.linspace(0, len(active) - 1, min(len(active), MAX_CANDIDATES), dtype=torch.float64).round().long()
    candidates = active[places]
    changes = []
    for numbers in candidates.split(max(1, batch_size // 2)):
        low, high = (model.decode(_moved(latents, numbers, end * latent_range[numbers]), label) for end in (-1, 1))
        changes.append((high - low).abs().flatten(1).mean(1).cpu())
    return candidates[torch.cat(changes).argsort(descending=True, stable=True)]


@torch.no_grad()
def traverse(
    model: Traverses, latents: Tensor, numbers: Tensor, steps: int = 11, label: int | None = None, batch_size: int = 64
) -> Tensor:
    """Generates a row of images for each of K latents, float32 (K, T, C, H, W), on the CPU.

    In each row one latent goes from one end of the model's ``latent_range`` to the other.

    Example: ``rows = traverse(model, z, rank_latents(model, z)[:10])`` with ``z = model.latents(1)``.

    Args:
        model: a model with a range for each latent.
        latents: the point around which single latents move, (1, Z).
        numbers: indices of the latents that move, (K,).
        steps: T.
        label: class of all images.
        batch_size: images generated at once.
    """
    values = torch.linspace(-1, 1, steps, device=latents.device, dtype=latents.dtype)
    ends = model.latent_range()[numbers].to(values)
    moved = _moved(latents, numbers.repeat_interleave(steps), torch.outer(ends, values).flatten())
    images = torch.cat([model.decode(part, label).cpu() for part in moved.split(batch_size)])
    return images.unflatten(0, (len(numbers), steps))


def _moved(latents: Tensor, numbers: Tensor, values: Tensor) -> Tensor:
    """Returns copies (n, Z) of latents (1, Z), in each of which the latent of that number (n,) has its value (n,)."""
    moved = latents.repeat(len(numbers), 1)
    moved[torch.arange(len(numbers)), numbers] = values.to(moved)
    return moved
