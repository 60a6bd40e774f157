"""How evenly pictures change along ways through the latent space.

Karras et al. 2019, "A Style-Based Generator Architecture for Generative Adversarial Networks", section 4.1.
"""

from typing import Any

import numpy as np
import torch

from gan_lab.editing.interpolation import slerp
from gan_lab.metrics.gathering import Values
from gan_lab.metrics.perceptual import ColourDistance, Compare
from gan_lab.metrics.probes import Probe
from gan_lab.metrics.sources import shared_blocks
from gan_lab.metrics.tables import FeatureTable
from gan_lab.precision import full_precision
from gan_lab.types import Decodes

DISCARDED = 0.01
"""Of the lengths at either end, as in the authors' code: single jumps would carry the mean."""


class PathLength(Probe):
    """``path_length``: what a step of ε along the great arc between two latents changes in the perceptual distance d,
    over ε², and ``path_length.error``. In Z at random places of the way ("full").

    Args:
        n: paths.
        distance: LPIPS over VGG16 for the published figure, by default our colour network's.
        epsilon: ε.
    """

    def __init__(self, n: int = 1000, distance: Compare | None = None, epsilon: float = 1e-4) -> None:
        super().__init__()
        self.n, self.distance, self.epsilon = n, distance or ColourDistance(), epsilon
        self.lengths = FeatureTable(1, n)

    def suits(self, model: Any, data: Any) -> bool:
        return isinstance(model, Decodes)

    @torch.no_grad()
    @full_precision()
    def update(self, model: Any, data: Any, seed: int = 0, batch_size: int = 256, progress: bool = True) -> None:
        kinds = getattr(model, "kinds", 0)
        for start, count in shared_blocks(self.n, batch_size, "path length", progress):
            index = torch.arange(start, start + count)
            ends = model.latents(count, seed, start), model.latents(count, seed, self.n + start)
            places = [np.random.default_rng([seed, i]).random() for i in index.tolist()]
            place = torch.tensor(places, dtype=torch.float32, device=ends[0].device)[:, None]
            label = index % kinds if kinds else None
            near, far = (model.decode(slerp(*ends, t), label) for t in (place, place + self.epsilon))
            self.lengths.update(self.distance(near, far)[:, None] / self.epsilon**2, index)

    def compute(self) -> Values:
        lengths = self.lengths.compute()[:, 0].double()
        low, high = lengths.quantile(DISCARDED), lengths.quantile(1 - DISCARDED)
        kept = lengths[(lengths >= low) & (lengths <= high)]
        return {"path_length": kept.mean().item(), "path_length.error": (kept.std() / len(kept) ** 0.5).item()}
