"""Encoder and decoder of a hierarchical VAE, with latents at every scale from coarse to fine.

A small variant of the very deep VAE (Child 2021, section 3, figure 3) and NVAE (Vahdat and Kautz 2020, section 3).
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, PositiveInt
from gan_lab.networks.layers import concat_labels, init_zero
from gan_lab.networks.vae import downsampled_sizes, norm_act


class LatentSample(NamedTuple):
    """A decoder's output and the sample of the posterior that it was computed from.

    Attributes:
        output: maps (N, C, H, W).
        sample: the latents (N, Z) standardised by their prior, so that the prior is N(0, 1).
        kl: KL divergence of posterior from prior of each latent, in nats, (N, Z).
        log_ratio: log p(z) - log q(z) of each latent, (N, Z).
    """

    output: Tensor
    sample: Tensor
    kl: Tensor
    log_ratio: Tensor


def latent_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Returns the sizes of the scales that have latents, coarsest first: half the image's and below, down to 4 to 7 px.

    Raises:
        ValueError: for images of which a side is below 8 px.
    """
    if min(height, width) < 8:
        raise ValueError(f"A hierarchical VAE needs images of at least 8 px, not {height}×{width}: choose model=vae.")
    return downsampled_sizes(height, width)[:0:-1]


class Cell(nn.Module):
    """Computes x + a bottleneck of x, which starts at zero: (N, maps, H, W) → (N, maps, H, W).

    Group norms, SiLUs and convolutions 1×1, 3×3, 1×1.
    """

    def __init__(self, maps: int, squeeze: int = 2) -> None:
        super().__init__()
        inner = max(1, maps // squeeze)
        last = nn.Conv2d(inner, maps, 1)
        init_zero(last)
        self.layers = nn.Sequential(
            *norm_act(maps), nn.Conv2d(maps, inner, 1), *norm_act(inner), nn.Conv2d(inner, inner, 3, 1, 1),
            *norm_act(inner), last,
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class Encoder(nn.Module):
    """Maps images (N, C, H, W) to maps (N, F, h, w) at each scale, coarsest first.

    Args:
        channels, height, width: size of the images; sides of at least 8 px.
        maps: feature maps at every scale.
        cells: cells at every scale.
        classes: K; if not 0, labels (N,) are taken as well and concatenated one-hot to the images.

    Raises:
        ValueError: for images of which a side is below 8 px.
    """

    def __init__(
        self,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        maps: PositiveInt = 32,
        cells: PositiveInt = 2,
        classes: Natural = 0,
    ) -> None:
        super().__init__()
        self.classes = classes
        before = [channels + classes] + [maps] * (len(latent_sizes(height, width)) - 1)
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(each, maps, 4, 2, 1), *(Cell(maps) for _ in range(cells))) for each in before
        )

    def forward(self, images: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        x, features = concat_labels(images, labels, self.classes), []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features[::-1]


class Group(nn.Module):
    """One group of latents (N, d, h, w): its prior given the latents above, and its posterior.

    The posterior is parametrised relative to the prior (NVAE, eq. 3). Takes the decoder's state (N, maps, h, w), the
    encoder's features (N, maps, h, w) of the scale or None, and standard normal ``epsilon`` (N, d, h, w).
    """

    def __init__(self, maps: int, dim: int) -> None:
        super().__init__()
        last = [nn.Conv2d(maps, 2 * dim, 1) for _ in range(2)]
        for conv in last:  # prior and posterior start near N(0, 1)
            nn.init.normal_(conv.weight, 0, 0.01)
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        self.prior = nn.Sequential(Cell(maps), *norm_act(maps), last[0])
        self.posterior = nn.Sequential(nn.Conv2d(2 * maps, maps, 1), Cell(maps), *norm_act(maps), last[1])
        self.enter, self.after = nn.Conv2d(dim, maps, 1), Cell(maps)

    def forward(self, state: Tensor, features: Tensor | None, epsilon: Tensor) -> tuple[Tensor, ...]:
        """Returns the state with a sample of the latents in it, and the sample's ``LatentSample`` fields.

        Without ``features`` the sample is of the prior, and only the state is returned.
        """
        mean, log_scale = self.prior(state).float().chunk(2, 1)
        log_scale = soft_clamp(log_scale)
        posterior: tuple[Tensor, ...] = ()
        if features is None:
            z = mean + log_scale.exp() * epsilon
        else:
            # Standardised by the prior, the posterior is N(shift, scale²) and the prior is N(0, 1).
            shift, relative_log_scale = self.posterior(torch.cat([state, features], 1)).float().chunk(2, 1)
            relative_log_scale = soft_clamp(relative_log_scale)
            sample = shift + relative_log_scale.exp() * epsilon
            kl = (shift.square() + (2 * relative_log_scale).exp() - 1) / 2 - relative_log_scale
            log_ratio = (epsilon.square() - sample.square()) / 2 + relative_log_scale
            z, posterior = mean + log_scale.exp() * sample, (sample, kl, log_ratio)
        return self.after(state + self.enter(z.to(state))), *posterior


class Decoder(nn.Module):
    """Maps standard normal numbers (N, Z) to maps (N, C, H, W), through groups of latents at every scale.

    Args:
        channels, height, width: size of the output; sides of at least 8 px.
        maps: feature maps at every scale.
        groups: groups of latents at every scale.
        dim: d, maps of latents in each group.
        classes: K; if not 0, labels (N,) are taken as well, and each class has an initial state of its own.

    Attributes:
        latent: Z, over all groups.

    Raises:
        ValueError: for images of which a side is below 8 px.
    """

    def __init__(
        self,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        maps: PositiveInt = 32,
        groups: PositiveInt = 2,
        dim: PositiveInt = 4,
        classes: Natural = 0,
    ) -> None:
        super().__init__()
        self.sizes = latent_sizes(height, width)
        self.dim, self.per_scale, self.whole = dim, groups, (height, width)
        self.latent = sum(groups * dim * h * w for h, w in self.sizes)
        self.begin = nn.Parameter(torch.zeros(max(1, classes), maps, *self.sizes[0]))
        self.groups = nn.ModuleList(Group(maps, dim) for _ in range(groups * len(self.sizes)))
        self.grow = nn.ModuleList(nn.Conv2d(maps, maps, 3, 1, 1) for _ in self.sizes)
        self.last = nn.Conv2d(maps, channels, 3, 1, 1)
        self.out = nn.Sequential(Cell(maps), *norm_act(maps), self.last)

    def forward(self, epsilon: Tensor, labels: Tensor | None = None) -> Tensor:
        return self._decode(epsilon, None, labels)[0]

    def infer(self, features: list[Tensor], epsilon: Tensor, labels: Tensor | None = None) -> LatentSample:
        """Samples the posterior of images.

        Args:
            features: the encoder's output, maps (N, F, h, w) at each scale.
            epsilon: standard normal numbers (N, Z).
            labels: (N,), if conditional.
        """
        output, posteriors = self._decode(epsilon, features, labels)
        sample, kl, log_ratio = (torch.cat([each[part].flatten(1) for each in posteriors], 1) for part in range(3))
        return LatentSample(output, sample, kl, log_ratio)

    def _decode(
        self, epsilon: Tensor, features: list[Tensor] | None, labels: Tensor | None
    ) -> tuple[Tensor, list[list[Tensor]]]:
        n, posteriors = len(epsilon), []
        state = self.begin[labels] if labels is not None else self.begin[:1].expand(n, -1, -1, -1)
        counts = [self.dim * height * width for height, width in self.sizes for _ in range(self.per_scale)]
        parts = iter(epsilon.split(counts, 1))
        for scale, (size, grow) in enumerate(zip(self.sizes, self.grow, strict=True)):
            for group in self.groups[scale * self.per_scale : (scale + 1) * self.per_scale]:
                part = next(parts).view(n, self.dim, *size)
                state, *posterior = group(state, None if features is None else features[scale], part)
                posteriors.append(posterior)
            following = [*self.sizes, self.whole][scale + 1]
            state = grow(F.interpolate(state, size=following, mode="nearest"))
        return self.out(state), posteriors


def soft_clamp(log_scale: Tensor, bound: float = 5.0) -> Tensor:
    """Bounds values of any shape smoothly to ± ``bound``, as NVAE's implementation does for stability (section 3.2)."""
    return bound * torch.tanh(log_scale / bound)
