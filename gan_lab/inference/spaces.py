"""Spaces of codes that images are generated from: latents, a style for all layers, a style for each layer."""

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from gan_lab.common.capabilities import Decodes, Encodes, EncodesStyles, Styles
from gan_lab.common.errors import UserError

SpaceName = Literal["z", "w", "w+"]
STATISTICS = 10_000
"""Samples that a space's mean and spread are measured from (Karras et al. 2020, appendix D)."""
AT_ONCE = 1000


@dataclass(frozen=True)
class Spread:
    """The region in which the codes of samples lie.

    Args:
        mean: (Z,), or the mean style (W,).
        deviation: root of the mean squared distance from the mean, for each number of a code.
        farthest: distance from the mean, in units of ``deviation``, within which 99 of 100 codes of samples lie.
    """

    mean: Tensor
    deviation: float
    farthest: float


class Space(Protocol):
    """Codes of a model, and the images that it generates from them."""

    name: SpaceName
    noise_sizes: list[tuple[int, int]]
    """Height and width of each layer's noise; empty without such noise."""
    network: nn.Module
    """The model, or an empty module if it is none of torch's."""
    has_encoder: bool
    """True if the model encodes images as codes of this space."""

    def of_samples(self, n: int, seed: int = 0, start: int = 0) -> Tensor:
        """Returns the codes (n, …) of samples start … start + n - 1 of the seed."""

    def encoded(self, images: Tensor) -> Tensor | None:
        """Returns the codes (N, …) that the model's encoder gives images (N, C, H, W) in [-1, 1]; None without one."""

    def repeated(self, point: Tensor, n: int) -> Tensor:
        """Returns n copies (n, …) of a point (Z,) or style (W,) as codes."""

    def flat(self, codes: Tensor) -> Tensor:
        """Returns codes (n, …) as rows of points or styles, (n, L, Z); L is 1 but for a style for each layer."""

    def images(self, codes: Tensor, noise: list[Tensor] | None = None) -> Tensor:
        """Maps codes (n, …) to images (n, C, H, W), float32.

        Args:
            codes: (n, …).
            noise: a map (n, 1, h, w) for each layer that has noise; None for the constant noise.
        """


class LatentSpace:
    """Latents (n, Z) of any model that decodes them; a class label goes with all of them.

    Args:
        model: the model.
        label: class of the images, for conditional models.
    """

    name: SpaceName = "z"

    def __init__(self, model: Decodes, label: int | None = None) -> None:
        self.model, self.label = model, label
        self.noise_sizes: list[tuple[int, int]] = []
        self.network, self.has_encoder = _network(model), isinstance(model, Encodes)

    def of_samples(self, n: int, seed: int = 0, start: int = 0) -> Tensor:
        """Returns the latents (n, Z) of samples start … start + n - 1 of the seed."""
        return self.model.latents(n, seed, start, label=self.label)

    def encoded(self, images: Tensor) -> Tensor | None:
        """Returns the latents (N, Z) that the model's encoder gives images (N, C, H, W); None without an encoder."""
        return self.model.encode(images, self.label) if isinstance(self.model, Encodes) else None

    def repeated(self, point: Tensor, n: int) -> Tensor:
        """Returns n copies (n, Z) of a point (Z,)."""
        return point.expand(n, -1)

    def flat(self, codes: Tensor) -> Tensor:
        """Returns latents (n, Z) as (n, 1, Z)."""
        return codes[:, None]

    def images(self, codes: Tensor, noise: list[Tensor] | None = None) -> Tensor:
        """Maps latents (n, Z) to images (n, C, H, W); there is no noise of layers."""
        return self.model.decode(codes, self.label)


class StyleSpace:
    """Styles of a model with styles: (n, W) for all layers, or (n, L, W).

    Args:
        model: the model.
        each_layer: whether each layer has a style of its own (W+).
        label: class of the images, for conditional models.
    """

    def __init__(self, model: Styles, each_layer: bool, label: int | None = None) -> None:
        self.model, self.each_layer, self.label = model, each_layer, label
        self.name: SpaceName = "w+" if each_layer else "w"
        self.noise_sizes = [*model.noise_sizes]
        self.network, self.has_encoder = _network(model), isinstance(model, EncodesStyles)

    def of_samples(self, n: int, seed: int = 0, start: int = 0) -> Tensor:
        """Returns the styles of samples start … start + n - 1 of the seed, (n, W) or (n, L, W)."""
        styles = self.model.map_styles(self.model.latents(n, seed, start), self.label)
        return styles if self.each_layer else styles[:, 0]

    def encoded(self, images: Tensor) -> Tensor | None:
        """Returns styles (N, W), means over layers, or (N, L, W) of images (N, C, H, W); None without an encoder."""
        if not isinstance(self.model, EncodesStyles):
            return None
        styles = self.model.encode_styles(images, self.label)
        return styles if self.each_layer else styles.mean(1)

    def repeated(self, point: Tensor, n: int) -> Tensor:
        """Returns n copies (n, …) of a style (W,)."""
        return point.expand(n, self.model.num_styles, -1) if self.each_layer else point.expand(n, -1)

    def flat(self, codes: Tensor) -> Tensor:
        """Returns styles (n, …) as (n, L, W) or (n, 1, W)."""
        return codes if self.each_layer else codes[:, None]

    def images(self, codes: Tensor, noise: list[Tensor] | None = None) -> Tensor:
        """Maps styles (n, …) to images (n, C, H, W), with noise (n, 1, h, w) of each layer or the constant one."""
        styles = codes if self.each_layer else codes[:, None].expand(-1, self.model.num_styles, -1)
        return self.model.synthesize(styles, noise or "constant")


def space_of(model: Decodes, name: SpaceName | None = None, label: int | None = None) -> Space:
    """Returns a space of a model: by default a style for each layer if it has styles, else latents.

    Raises:
        UserError: for styles of a model that has none.
    """
    if isinstance(model, Styles):
        return LatentSpace(model, label) if name == "z" else StyleSpace(model, name != "w", label)
    if name not in (None, "z"):
        raise UserError(f"{type(model).__name__} has no styles: give space=z, or leave space= out.")
    return LatentSpace(model, label)


def _network(model: object) -> nn.Module:
    return model if isinstance(model, nn.Module) else nn.Module()


@torch.no_grad()
def spread_of(space: Space, count: int = STATISTICS, seed: int = 0) -> Spread:
    """Measures the region in which the codes of samples lie.

    Args:
        space: the space.
        count: number of samples.
        seed: of the samples.
    """
    starts = range(0, count, AT_ONCE)
    points = torch.cat([space.flat(space.of_samples(min(AT_ONCE, count - i), seed, i))[:, 0] for i in starts])
    mean = points.mean(0)
    squares = (points - mean).square().mean(1)
    deviation = squares.mean().sqrt()
    farthest = (squares.sqrt() / deviation).quantile(0.99)
    return Spread(mean, float(deviation), float(farthest))
