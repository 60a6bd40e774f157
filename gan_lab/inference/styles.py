"""Samples by styles: truncation of some layers, noise of the layers, walks, style mixing."""

import torch
from torch import Tensor

from gan_lab.common.capabilities import LayerNoise, Styles
from gan_lab.common.errors import UserError


class StyledSamples:
    """Samples of a model with styles; satisfies ``Samples``, and ``Decodes`` with styles (n, L · W) as latents.

    Args:
        model: the model.
        cutoff: number of layers, from the first, that truncation changes; None for all.
        noise: of the layers; ``decode`` has no random noise, because its images are no numbered samples.

    Raises:
        UserError: for a cutoff beyond the layers.
    """

    def __init__(self, model: Styles, cutoff: int | None = None, noise: LayerNoise = "constant") -> None:
        if cutoff is not None and cutoff > model.num_styles:
            raise UserError(f"truncation_cutoff={cutoff} is not valid: this model has {model.num_styles} layers.")
        self.model, self.cutoff, self.noise = model, cutoff, noise
        self.num_labels = int(getattr(model, "num_labels", 0))

    def latents(
        self, n: int, seed: int = 0, start: int = 0, truncation: float = 1.0, label: int | Tensor | None = None
    ) -> Tensor:
        """Returns the styles (n, L · W) of samples start … start + n - 1 of the seed."""
        latents = self.model.latents(n, seed, start)
        return self.model.map_styles(latents, label, truncation, self.cutoff).flatten(1)

    def decode(self, latents: Tensor, label: int | Tensor | None = None) -> Tensor:
        """Maps styles (n, L · W) to images (n, C, H, W) in [-1, 1]; the label is not used.

        Raises:
            UserError: for random noise.
        """
        if self.noise == "random":
            raise UserError("layer_noise=random is that of samples: give constant or none for walks and mixed styles.")
        return self.model.synthesize(latents.unflatten(1, (self.model.num_styles, -1)), self.noise)

    def sample(
        self, n: int, seed: int = 0, start: int = 0, label: int | Tensor | None = None, truncation: float = 1.0
    ) -> Tensor:
        """Returns samples start … start + n - 1 of the seed, (n, C, H, W) in [-1, 1]."""
        if label is None and self.num_labels:
            label = torch.arange(start, start + n) % self.num_labels
        styles = self.latents(n, seed, start, truncation, label).unflatten(1, (self.model.num_styles, -1))
        return self.model.synthesize(styles, self.noise, seed, start)


class StyledLatents(StyledSamples):
    """Latents of a model with styles; satisfies ``Decodes``, for walks between latents whose images are truncated.

    Args:
        model: the model.
        truncation: in (0, 1], moves the styles of latents towards their average.
        cutoff, noise: see ``StyledSamples``.

    Raises:
        UserError: for a cutoff beyond the layers.
    """

    def __init__(
        self, model: Styles, truncation: float = 1.0, cutoff: int | None = None, noise: LayerNoise = "constant"
    ) -> None:
        super().__init__(model, cutoff, noise)
        self.truncation = truncation

    def latents(
        self, n: int, seed: int = 0, start: int = 0, truncation: float = 1.0, label: int | Tensor | None = None
    ) -> Tensor:
        """Returns the latents (n, Z) of samples start … start + n - 1 of the seed; ``decode`` truncates."""
        return self.model.latents(n, seed, start)

    def decode(self, latents: Tensor, label: int | Tensor | None = None) -> Tensor:
        """Maps latents (n, Z) to images (n, C, H, W) in [-1, 1]; of class 0 if the label is None.

        Raises:
            UserError: for random noise.
        """
        styles = self.model.map_styles(latents, label, self.truncation, self.cutoff)
        return super().decode(styles.flatten(1))


def mix_styles(
    samples: StyledSamples,
    count: int,
    layers: int | None = None,
    seed: int = 0,
    start: int = 0,
    label: int | None = None,
    truncation: float = 1.0,
    batch_size: int = 64,
) -> Tensor:
    """Returns a table of samples, each with the first styles of its row and the last of its column
    (Karras et al. 2019, figure 3).

    Args:
        samples: of a model with styles.
        count: K; rows are samples start … start + K - 1 of the seed, and columns the next K.
        layers: number of styles, from the first, that come from the row; None for half of them.
        seed, start: see above.
        label: class of all samples.
        truncation: in (0, 1], moves styles towards their average.
        batch_size: images generated at once.

    Returns:
        images (K + 1, K + 1, C, H, W) in [-1, 1] on the CPU: the first row has the samples of the columns, the first
        column those of the rows, and their corner is white.

    Raises:
        UserError: for a number of layers that leaves nothing to one side.
    """
    total = samples.model.num_styles
    first = total // 2 if layers is None else layers
    if not 0 < first < total:
        raise UserError(f"mix_layers={first} is not valid: give an integer from 1 to {total - 1}.")
    styles = samples.latents(2 * count, seed, start, truncation, label).unflatten(1, (total, -1))
    rows, columns = styles.chunk(2)
    mixed = torch.cat(
        [rows[:, None, :first].expand(-1, count, -1, -1), columns[None, :, first:].expand(count, -1, -1, -1)], 2
    )
    parts = torch.cat([styles, mixed.flatten(0, 1)]).flatten(1).split(batch_size)
    images = torch.cat([samples.decode(part).cpu() for part in parts])
    sources, table = images[: 2 * count], images[2 * count :].unflatten(0, (count, count))
    top = torch.cat([torch.ones_like(sources[:1]), sources[count:]])
    return torch.cat([top[None], torch.cat([sources[:count, None], table], 1)])
