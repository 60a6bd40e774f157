"""The capabilities of a model that holds a trained generator and samples by it."""

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from gan_lab.common.capabilities import Decodes, LayerNoise, Samples, Styles
from gan_lab.models.bases.labels import Label


class GivenGenerator:
    """Satisfies ``Samples`` and ``Decodes`` by ``generator``, which does."""

    generator: nn.Module

    @property
    def num_labels(self) -> int:
        """Number of labels to choose among when sampling, 0 without labels."""
        return int(getattr(self.generator, "num_labels", 0))

    def latents(self, n: int, seed: int = 0, start: int = 0, truncation: float = 1.0, label: Label = None) -> Tensor:
        """Returns latents (n, Z) of the generator's samples start … start + n - 1 of the seed; see ``Decodes``."""
        return cast(Decodes, self.generator).latents(n, seed, start, truncation, label)

    def decode(self, latents: Tensor, label: Label = None) -> Tensor:
        """Returns the generator's images (n, C, H, W) in [-1, 1], float32, given latents (n, Z)."""
        return cast(Decodes, self.generator).decode(latents, label)

    def sample(self, n: int, seed: int = 0, start: int = 0, label: Label = None, truncation: float = 1.0) -> Tensor:
        """Returns the generator's samples (n, C, H, W); see ``Samples``."""
        return cast(Samples, self.generator).sample(n, seed, start, label, truncation)


class GivenStyles(GivenGenerator):
    """Satisfies ``Styles`` as well, by a ``generator`` that does."""

    @property
    def num_styles(self) -> int:
        """Number of styles of an image."""
        return cast(Styles, self.generator).num_styles

    @property
    def noise_sizes(self) -> Sequence[tuple[int, int]]:
        """Height and width of each layer's noise."""
        return cast(Styles, self.generator).noise_sizes

    def map_styles(
        self, latents: Tensor, label: Label = None, truncation: float = 1.0, cutoff: int | None = None
    ) -> Tensor:
        """Maps latents (n, Z) to the generator's styles (n, L, W); see ``Styles``."""
        return cast(Styles, self.generator).map_styles(latents, label, truncation, cutoff)

    def synthesize(
        self, styles: Tensor, noise: LayerNoise | Sequence[Tensor] = "constant", seed: int = 0, start: int = 0
    ) -> Tensor:
        """Maps styles (n, L, W) to the generator's images (n, C, H, W); see ``Styles``."""
        return cast(Styles, self.generator).synthesize(styles, noise, seed, start)
