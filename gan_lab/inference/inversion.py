"""Inversion: the code from which a model generates an image, by optimisation from the code that its encoder gives.

Karras et al. 2020, appendix D, for styles; Abdal et al. 2019 for a style for each layer; Creswell and Bharath 2018 for
latents; Zhu et al. 2016, "Generative Visual Manipulation on the Natural Image Manifold", for an encoder's start.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_lab.common.bounds import Natural, NonNegative, PositiveFloat, PositiveInt
from gan_lab.common.errors import UserError
from gan_lab.common.gradients import gradients, learning
from gan_lab.common.seeds import seed_of
from gan_lab.inference.spaces import Space, Spread, spread_of

Distance = Callable[[Tensor, Tensor], Tensor]
"""Maps two batches of images (N, C, H, W) to their distances (N,)."""


@dataclass(frozen=True)
class Likeness:
    """The distance that inversion and tuning minimise.

    Args:
        distance: perceptual distance of images; None for pixels alone.
        pixel, perceptual: weights of the mean squared error and of that distance.
    """

    distance: Distance | None = None
    pixel: NonNegative = 1.0
    perceptual: NonNegative = 1.0

    def __call__(self, found: Tensor, wanted: Tensor) -> Tensor:
        """Returns the distances (N,) of images (N, C, H, W) from others (N, C, H, W)."""
        loss = self.pixel * (found - wanted).square().mean((1, 2, 3))
        if self.distance is None or not self.perceptual:
            return loss
        return loss + self.perceptual * self.distance(found, wanted)


PIXELS = Likeness()

RAMP_UP, RAMP_DOWN = 0.05, 0.25
"""Shares of the steps in which the learning rate rises from 0, and in which it falls to 0 (appendix D)."""
WANDERING, WANDERS_UNTIL = 0.05, 0.75
"""Deviation of the noise on codes at the start, in deviations of the space, and the share of steps that it lasts."""
SMALLEST_NOISE = 8
"""Sides of noise maps, in px, down to which the correlation of neighbours is measured."""


@dataclass(frozen=True)
class Inversion:
    """Codes of images, and what the model makes of them.

    Args:
        codes: (N, …).
        noise: a map (N, 1, h, w) for each layer that has noise; empty without.
        images: (N, C, H, W) in [-1, 1].
        losses: (N,), at the end.
        from_prior: distance of each code from the mean of samples' codes, in deviations of the space, (N,).
        usual: that distance, within which 99 of 100 samples lie.
    """

    codes: Tensor
    noise: list[Tensor]
    images: Tensor
    losses: Tensor
    from_prior: Tensor
    usual: float


def invert(
    space: Space,
    images: Tensor,
    steps: Natural = 500,
    rate: PositiveFloat = 0.1,
    starts: PositiveInt = 1,
    likeness: Likeness = PIXELS,
    prior: NonNegative = 0.0,
    noise_weight: NonNegative | None = None,
    seed: int = 0,
    start: int = 0,
    spread: Spread | None = None,
) -> Inversion:
    """Returns the codes that minimise the distance of the model's images from these.

    All images, and all starts of each, are one batch, which Adam treats one by one. What comes of image i depends on
    (seed, start + i) and on the image alone, up to rounding.

    Args:
        space: the space of the codes.
        images: (N, C, H, W) in [-1, 1].
        steps: of Adam; 0 keeps the code of the model's own encoder, and the constant noise.
        rate: its largest learning rate, in deviations of the space.
        starts: for each image: the code of the model's own encoder if it has one, the mean of the space, then samples.
            The one with the smallest loss is kept.
        likeness: of the model's images to these.
        prior: weight of the mean squared distance of codes from the mean, in deviations of the space.
        noise_weight: the noise of the layers is optimised too, and this is the weight of the correlation of its
            neighbours (appendix D, which has 10⁵ for images in 8 bits); None keeps the constant noise.
        seed, start: see above.
        spread: of the space; None measures it.

    Raises:
        UserError: for images of another size than the model's, for noise of a model without, and for 0 steps without an
            encoder.
    """
    spread = spread or spread_of(space)
    _check(space, images, noise_weight)
    check_steps(space, steps)
    wanted = images.repeat_interleave(starts, 0)
    codes = _first_codes(space, spread, len(images), starts, seed, start, space.encoded(images))
    noise = _first_noise(space, len(wanted), images.device) if noise_weight is not None and steps else []
    streams = [torch.Generator().manual_seed(seed_of(seed, "invert", start + i)) for i in range(len(images))]
    optimizer = torch.optim.Adam([codes.requires_grad_(), *(each.requires_grad_() for each in noise)])

    def losses(at: Tensor) -> Tensor:
        found = space.images(at, noise or None)
        loss = likeness(found, wanted)
        if prior:
            loss = loss + prior * _from_prior(space, at, spread).square()
        return loss + (noise_weight or 0) * sum(map(correlation, noise)) if noise else loss

    with gradients(), learning(space.network, False):
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = rate * spread.deviation * schedule(step / steps)
            shift = WANDERING * max(0.0, 1 - step / steps / WANDERS_UNTIL) ** 2 * spread.deviation
            wander = torch.stack([torch.randn(codes.shape[1:], generator=each) for each in streams])
            optimizer.zero_grad()
            losses(codes + shift * wander.to(codes.device).repeat_interleave(starts, 0)).sum().backward()
            optimizer.step()
            for each in noise:
                each.data = normalised(each.data)
    with torch.no_grad():
        loss = losses(codes).view(-1, starts)
        best = loss.argmin(1) + torch.arange(len(images), device=loss.device) * starts
        kept, maps = codes[best].detach(), [each[best].detach() for each in noise]
        found = space.images(kept, maps or None).clamp(-1, 1)
    return Inversion(kept, maps, found, loss.min(1).values, _from_prior(space, kept, spread), spread.farthest)


@torch.no_grad()
def editability(space: Space, codes: Tensor, spread: Spread, directions: PositiveInt = 8, seed: int = 0) -> Tensor:
    """Returns how much images change when their codes move, over how much those of samples do: 1 for a sample's code.

    Codes move along random directions by one deviation of the space in each number. A code far away from those of
    samples often has an image that such moves hardly change, or destroy.

    Args:
        space: of the codes.
        codes: (N, …).
        spread: of the space.
        directions: number of random directions.
        seed: of the directions, and of the samples that codes are compared with, as many as directions.

    Returns:
        ratios of mean absolute changes, (N,).
    """
    stream = torch.Generator().manual_seed(seed_of(seed, "editability"))
    moves = spread.deviation * torch.randn(directions, *spread.mean.shape, generator=stream).to(codes)

    def change(at: Tensor) -> Tensor:
        before = space.images(at).clamp(-1, 1)
        moved = [space.images(at + move).clamp(-1, 1) for move in moves]
        return torch.stack([(each - before).abs().mean((1, 2, 3)) for each in moved]).mean(0)

    return change(codes) / change(space.of_samples(directions, seed)).mean().clamp(min=1e-12)


def schedule(done: float) -> float:
    """Returns the learning rate's factor after a share of the steps: a linear rise, and a cosine to 0 at the end."""
    down = min(1.0, (1 - done) / RAMP_DOWN)
    return (0.5 - 0.5 * math.cos(math.pi * down)) * min(1.0, (done + 1e-8) / RAMP_UP)


def correlation(noise: Tensor) -> Tensor:
    """Returns the squared correlations of neighbours in noise maps (N, 1, h, w), summed over sizes: (N,)."""
    found = torch.zeros(len(noise), device=noise.device)
    while True:
        for axis in (2, 3):
            found = found + (noise * noise.roll(1, axis)).mean((1, 2, 3)).square()
        if min(noise.shape[2:]) <= SMALLEST_NOISE:
            return found
        noise = F.avg_pool2d(noise, 2) * 2  # of independent numbers, with the same deviation


def normalised(noise: Tensor) -> Tensor:
    """Returns noise maps (N, 1, h, w) with mean 0 and deviation 1."""
    centred = noise - noise.mean((1, 2, 3), keepdim=True)
    return centred * centred.square().mean((1, 2, 3), keepdim=True).clamp(min=1e-12).rsqrt()


def check_steps(space: Space, steps: int) -> None:
    """Checks that an inversion without steps has an encoder to take codes from.

    Raises:
        UserError: if the model has none for this space.
    """
    if not steps and not space.has_encoder:
        raise UserError(
            f"steps=0 takes codes from the model's own encoder, and it has none of space={space.name}: give steps=500, "
            "or the checkpoint of a model=inverter for this generator."
        )


def _check(space: Space, images: Tensor, noise_weight: float | None) -> None:
    with torch.no_grad():
        own = space.images(space.of_samples(1)).shape[1:]
    if images.shape[1:] != own:
        raise UserError(f"The model generates images of {tuple(own)}, not of {tuple(images.shape[1:])}: resize them.")
    if noise_weight is not None and not space.noise_sizes:
        raise UserError("This model has no noise of layers, or space=z leaves it alone: leave noise out.")


def _first_codes(
    space: Space, spread: Spread, n: int, starts: int, seed: int, start: int, encoded: Tensor | None
) -> Tensor:
    """Returns codes (n · starts, …): the encoder's, the mean, and samples that differ from image to image."""
    every = []
    for i in range(n):
        first = [] if encoded is None else [encoded[i : i + 1]]
        first = [*first, space.repeated(spread.mean, 1)][:starts]
        every += first
        if starts > len(first):
            every.append(space.of_samples(starts - len(first), seed_of(seed, "start", start + i) % 2**31))
    return torch.cat(every).detach().clone()


def _first_noise(space: Space, n: int, device: torch.device) -> list[Tensor]:
    stream = torch.Generator().manual_seed(0)
    maps = [torch.randn(1, 1, *size, generator=stream) for size in space.noise_sizes]
    return [normalised(each).repeat(n, 1, 1, 1).to(device) for each in maps]


def _from_prior(space: Space, codes: Tensor, spread: Spread) -> Tensor:
    """Returns the distances (N,) of codes (N, …) from the mean, in deviations of the space."""
    return ((space.flat(codes) - spread.mean).square().mean((1, 2)) + 1e-12).sqrt() / spread.deviation
