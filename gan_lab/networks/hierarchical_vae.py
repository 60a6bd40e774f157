"""A hierarchy of latents from coarse to fine: a ladder of residual cells, up through the picture and down to it again.

After the very deep VAE (Child 2021, section 3, figure 3) and NVAE (Vahdat and Kautz 2020, section 3), small.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.networks.layers import beside
from gan_lab.networks.vae import halved, normed


class Shared(NamedTuple):
    """What comes down the ladder: maps (N, C, H, W); and of the latents, flat (N, Z): the draw in units of the prior
    (of deviation 1 about 0), the divergence of posterior from prior in nats, and log p - log q at the draw.
    """

    given: Tensor
    draw: Tensor
    kl: Tensor
    ratio: Tensor


def scales(height: int, width: int) -> list[tuple[int, int]]:
    """The sizes that have latents, the coarsest first: half the picture's and below, down to 4 to 7 px.

    Raises:
        ValueError: for pictures that cannot be halved.
    """
    if min(height, width) < 8:
        raise ValueError(
            f"A ladder of latents takes pictures of 8 px and more, not {height}×{width}: choose model=vae."
        )
    return halved(height, width)[:0:-1]


class Cell(nn.Module):
    """x + a bottleneck of group norms, SiLUs and convolutions 1×1, 3×3, 1×1, which begins as nothing."""

    def __init__(self, maps: int, squeeze: int = 2) -> None:
        super().__init__()
        inner = max(1, maps // squeeze)
        last = nn.Conv2d(inner, maps, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        self.layers = nn.Sequential(
            *normed(maps), nn.Conv2d(maps, inner, 1), *normed(inner), nn.Conv2d(inner, inner, 3, 1, 1),
            *normed(inner), last,
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class Encoder(nn.Module):
    """Images (N, C, H, W) → maps at each scale, the coarsest first.

    Args:
        channels, height, width: of the images; from 8 px up.
        maps: at every scale.
        cells: at every scale.
        classes: K; then labels (N,) are taken as well, their indicators as maps beside the images.
    """

    def __init__(
        self, channels: int, height: int, width: int, maps: int = 32, cells: int = 2, classes: int = 0
    ) -> None:
        super().__init__()
        self.classes = classes
        before = [channels + classes] + [maps] * (len(scales(height, width)) - 1)
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(each, maps, 4, 2, 1), *(Cell(maps) for _ in range(cells))) for each in before
        )

    def forward(self, images: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        x, found = beside(images, labels, self.classes), []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found[::-1]


class Group(nn.Module):
    """Latents (N, d, h, w) of one place on the ladder: their prior, given what is above, and their posterior.

    The posterior is told relative to the prior (NVAE, eq. 3).
    """

    def __init__(self, maps: int, dim: int) -> None:
        super().__init__()
        last = [nn.Conv2d(maps, 2 * dim, 1) for _ in range(2)]
        for conv in last:  # both begin near N(0, 1)
            nn.init.normal_(conv.weight, 0, 0.01)
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        self.prior = nn.Sequential(Cell(maps), *normed(maps), last[0])
        self.posterior = nn.Sequential(nn.Conv2d(2 * maps, maps, 1), Cell(maps), *normed(maps), last[1])
        self.enter, self.after = nn.Conv2d(dim, maps, 1), Cell(maps)

    def forward(self, state: Tensor, seen: Tensor | None, epsilon: Tensor) -> tuple[Tensor, ...]:
        """The state with a draw in it, and what ``Shared`` tells of that; without ``seen`` a draw of the prior."""
        mean, log_scale = self.prior(state).float().chunk(2, 1)
        log_scale = soft(log_scale)
        told: tuple[Tensor, ...] = ()
        if seen is None:
            z = mean + log_scale.exp() * epsilon
        else:
            shift, log_narrower = self.posterior(torch.cat([state, seen], 1)).float().chunk(2, 1)
            log_narrower = soft(log_narrower)
            draw = shift + log_narrower.exp() * epsilon  # in units of the prior: q = N(shift, narrower²), p = N(0, 1)
            kl = (shift.square() + (2 * log_narrower).exp() - 1) / 2 - log_narrower
            ratio = (epsilon.square() - draw.square()) / 2 + log_narrower
            z, told = mean + log_scale.exp() * draw, (draw, kl, ratio)
        return self.after(state + self.enter(z.to(state))), *told


class Decoder(nn.Module):
    """Standard normal numbers (N, Z) → maps (N, C, H, W), down through groups of latents at every scale.

    Args:
        channels, height, width: of what comes out; from 8 px up.
        maps: at every scale.
        groups: of latents at every scale.
        dim: maps of latents in each group.
        classes: K; then labels (N,) are taken as well, each of which begins with maps of its own.

    Attributes:
        latent: Z, over all groups.
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        maps: int = 32,
        groups: int = 2,
        dim: int = 4,
        classes: int = 0,
    ) -> None:
        super().__init__()
        self.sizes = scales(height, width)
        self.dim, self.per_scale, self.whole = dim, groups, (height, width)
        self.latent = sum(groups * dim * h * w for h, w in self.sizes)
        self.begin = nn.Parameter(torch.zeros(max(1, classes), maps, *self.sizes[0]))
        self.groups = nn.ModuleList(Group(maps, dim) for _ in range(groups * len(self.sizes)))
        self.grow = nn.ModuleList(nn.Conv2d(maps, maps, 3, 1, 1) for _ in self.sizes)
        self.last = nn.Conv2d(maps, channels, 3, 1, 1)
        self.out = nn.Sequential(Cell(maps), *normed(maps), self.last)

    def forward(self, epsilon: Tensor, labels: Tensor | None = None) -> Tensor:
        return self._down(epsilon, None, labels)[0]

    def infer(self, seen: list[Tensor], epsilon: Tensor, labels: Tensor | None = None) -> Shared:
        """A draw of the latents of given pictures, of which the encoder tells what is seen at each scale."""
        given, told = self._down(epsilon, seen, labels)
        draw, kl, ratio = (torch.cat([each[part].flatten(1) for each in told], 1) for part in range(3))
        return Shared(given, draw, kl, ratio)

    def _down(
        self, epsilon: Tensor, seen: list[Tensor] | None, labels: Tensor | None
    ) -> tuple[Tensor, list[list[Tensor]]]:
        n, told = len(epsilon), []
        state = self.begin[labels] if labels is not None else self.begin[:1].expand(n, -1, -1, -1)
        counts = [self.dim * height * width for height, width in self.sizes for _ in range(self.per_scale)]
        numbers = iter(epsilon.split(counts, 1))
        for scale, (size, grow) in enumerate(zip(self.sizes, self.grow, strict=True)):
            for group in self.groups[scale * self.per_scale : (scale + 1) * self.per_scale]:
                here = next(numbers).view(n, self.dim, *size)
                state, *found = group(state, None if seen is None else seen[scale], here)
                told.append(found)
            following = [*self.sizes, self.whole][scale + 1]
            state = grow(F.interpolate(state, size=following, mode="nearest"))
        return self.out(state), told


def soft(log_scale: Tensor, bound: float = 5.0) -> Tensor:
    """Held within ± bound, smoothly (as NVAE's implementation does, section 3.2 on stability)."""
    return bound * torch.tanh(log_scale / bound)
