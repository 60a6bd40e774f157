"""Latents one at a time: what changes in a picture while a single one goes from one end of its range to the other."""

import torch
from torch import Tensor

from gan_lab.types import Decodes

LOOKED_AT = 512
REACH = 3.0
"""From minus to plus so many deviations of a standard normal latent."""


@torch.no_grad()
def weightiest(model: Decodes, latents: Tensor, label: int | None = None, batch_size: int = 64) -> Tensor:
    """Numbers (K,) of the latents about (1, Z), those first between whose ends the picture differs most, by its mean
    absolute difference; of more than ``LOOKED_AT`` so many, evenly spread.
    """
    size = latents.shape[1]
    looked = torch.linspace(0, size - 1, min(size, LOOKED_AT), dtype=torch.float64).round().long()
    changes = []
    for numbers in looked.split(max(1, batch_size // 2)):
        low, high = (model.decode(_moved(latents, numbers, end), label) for end in (-REACH, REACH))
        changes.append((high - low).abs().flatten(1).mean(1).cpu())
    return looked[torch.cat(changes).argsort(descending=True, stable=True)]


@torch.no_grad()
def traverse(
    model: Decodes, latents: Tensor, numbers: Tensor, steps: int = 11, label: int | None = None, batch_size: int = 64
) -> Tensor:
    """Pictures around latents (1, Z), float32 (K, T, C, H, W), on the CPU: in each row one latent goes from -3 to 3.

    Args:
        numbers: of the latents that move, (K,).
        steps: T.
        label: the class of all pictures.
    """
    values = torch.linspace(-REACH, REACH, steps, device=latents.device, dtype=latents.dtype)
    moved = _moved(latents, numbers.repeat_interleave(steps), values.repeat(len(numbers)))
    made = torch.cat([model.decode(part, label).cpu() for part in moved.split(batch_size)])
    return made.unflatten(0, (len(numbers), steps))


def _moved(latents: Tensor, numbers: Tensor, values: float | Tensor) -> Tensor:
    """Latents (1, Z) once for each of the numbers (n,), (n, Z), the latent of that number at its value."""
    moved = latents.repeat(len(numbers), 1)
    moved[torch.arange(len(numbers)), numbers] = torch.as_tensor(values, device=moved.device, dtype=moved.dtype)
    return moved
