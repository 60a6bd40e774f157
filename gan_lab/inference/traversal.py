"""Latents one at a time: what changes in a picture while a single one goes from one end of its range to the other."""

import torch
from torch import Tensor

from gan_lab.common.capabilities import Traverses

LOOKED_AT = 512


@torch.no_grad()
def weightiest(model: Traverses, latents: Tensor, label: int | None = None, batch_size: int = 64) -> Tensor:
    """Numbers (K,) of the latents about (1, Z), those first between whose ends the picture differs most, by its mean
    absolute difference; of more than ``LOOKED_AT`` that move so many, evenly spread.
    """
    latent_range = model.latent_range()
    moving = latent_range.nonzero()[:, 0].cpu()
    looked = moving[torch.linspace(0, len(moving) - 1, min(len(moving), LOOKED_AT), dtype=torch.float64).round().long()]
    changes = []
    for numbers in looked.split(max(1, batch_size // 2)):
        low, high = (model.decode(_moved(latents, numbers, end * latent_range[numbers]), label) for end in (-1, 1))
        changes.append((high - low).abs().flatten(1).mean(1).cpu())
    return looked[torch.cat(changes).argsort(descending=True, stable=True)]


@torch.no_grad()
def traverse(
    model: Traverses, latents: Tensor, numbers: Tensor, steps: int = 11, label: int | None = None, batch_size: int = 64
) -> Tensor:
    """Pictures around latents (1, Z), float32 (K, T, C, H, W), on the CPU: in each row one latent goes from one end of
    the model's ``latent_range`` to the other.

    Args:
        numbers: of the latents that move, (K,).
        steps: T.
        label: the class of all pictures.
    """
    values = torch.linspace(-1, 1, steps, device=latents.device, dtype=latents.dtype)
    ends = model.latent_range()[numbers].to(values)
    moved = _moved(latents, numbers.repeat_interleave(steps), torch.outer(ends, values).flatten())
    made = torch.cat([model.decode(part, label).cpu() for part in moved.split(batch_size)])
    return made.unflatten(0, (len(numbers), steps))


def _moved(latents: Tensor, numbers: Tensor, values: Tensor) -> Tensor:
    """Latents (1, Z) once for each of the numbers (n,), (n, Z), the latent of that number at its value (n,)."""
    moved = latents.repeat(len(numbers), 1)
    moved[torch.arange(len(numbers)), numbers] = values.to(moved)
    return moved
