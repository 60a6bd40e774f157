"""Patchwise contrastive loss (Park et al. 2020, Contrastive Learning for Unpaired Image-to-Image Translation)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize


def patch_nce(queries: Tensor, keys: Tensor, temperature: float = 0.07) -> Tensor:
    """Returns the cross-entropy of matching each query with its key among those of its image (eq. 2, 3), a scalar.

    Args:
        queries: unit features (N, P, D) of P patches of each generated image.
        keys: unit features (N, P, D) of the same patches of the source; they receive no gradient.
        temperature: τ.
    """
    with torch.autocast(queries.device.type, enabled=False):  # it would round cosines, and τ magnifies the error
        logits = queries.float() @ keys.detach().float().transpose(1, 2) / temperature
    positive = torch.arange(logits.shape[1], device=logits.device).expand(len(logits), -1)
    return cross_entropy(logits.flatten(0, 1), positive.flatten())


def patches(features: Tensor, places: Tensor) -> Tensor:
    """Returns the columns (N, P, C) of feature maps (N, C, H, W) at places (N, P), which are indices in row order."""
    columns = features.flatten(2).transpose(1, 2)
    return columns.gather(1, places[:, :, None].expand(-1, -1, columns.shape[2]))


class Heads(nn.Module):
    """One two-layer network per layer, from patches (N, P, C) to unit features (N, P, D) (section 3.2, H_l).

    Args:
        widths: C of each layer.
        dim: D.
    """

    def __init__(self, widths: Sequence[int], dim: int = 256) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(width, dim), nn.ReLU(), nn.Linear(dim, dim)) for width in widths
        )
        for layer in self.layers.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_normal_(layer.weight, 0.02)
                nn.init.zeros_(layer.bias)

    def forward(self, columns: Sequence[Tensor]) -> list[Tensor]:
        return [normalize(head(column), dim=2) for head, column in zip(self.layers, columns, strict=True)]
