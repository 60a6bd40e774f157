"""Images that exported graphs are tried on: those of the data, or seeded noise."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_lab.common.domains import Domain

Size = tuple[int, int]
"""Height and width."""


@dataclass(frozen=True)
class Pictures:
    """Images of any number and size.

    Args:
        channels: of the model's images, 1 or 3.
        images: of the data, (M, C, H, W) in [-1, 1]; None for smooth noise with some grain.
        seed: of the noise.
    """

    channels: int = 3
    images: Tensor | None = None
    seed: int = 0

    @property
    def description(self) -> str:
        """Says what they are, for reports."""
        return "seeded noise" if self.images is None else f"{len(self.images)} images of the data"

    def __call__(self, n: int, domain: Domain, size: Size) -> Tensor:
        """Returns a network's input (n, C, H, W) of a domain: images in [-1, 1], or one-hot label maps."""
        if domain.labels:
            ids = torch.tensor([*domain.class_ids], dtype=torch.uint8)
            coarse = torch.randint(domain.labels, (n, 1, 4, 4), generator=self._generator())
            maps = ids[F.interpolate(coarse.float(), size, mode="nearest").long()]
            return domain.encode(torch.cat([maps] * domain.stored_channels, 1))
        if self.images is None:
            return self._noise(n, domain.channels, size)
        rows = self.images[torch.arange(n) % len(self.images)]
        rows = rows.mean(1, keepdim=True) if domain.channels == 1 else rows.expand(-1, domain.channels, -1, -1)
        return F.interpolate(rows, size, mode="bilinear", antialias=True).clamp(-1, 1)

    def _noise(self, n: int, channels: int, size: Size) -> Tensor:
        generator = self._generator()
        coarse = torch.rand(n, channels, 4, 4, generator=generator) * 2 - 1
        grain = torch.rand(n, channels, *size, generator=generator) - 0.5
        return (F.interpolate(coarse, size, mode="bicubic") + 0.2 * grain).clamp(-1, 1)

    def known(self, n: int, size: Size) -> Tensor:
        """Returns known pixels (n, 1, H, W): 1, and 0 in a rectangle in the middle."""
        height, width = size
        mask = torch.ones(n, 1, height, width)
        mask[:, :, height // 4 : 3 * height // 4, width // 3 : 2 * width // 3] = 0
        return mask

    def _generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed)
