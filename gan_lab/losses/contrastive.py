"""Patchwise contrastive loss (Park et al. 2020, Contrastive Learning for Unpaired Image-to-Image Translation)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize


def patch_nce(queries: Tensor, keys: Tensor, temperature: float = 0.07) -> Tensor:
    """Cross-entropy of finding each patch's own key among those of its picture (eq. 2 and 3), a scalar.

    Args:
        queries: unit features (N, P, D) of P patches of each generated picture.
        keys: unit features of the same patches of the source; they get no gradient.
        temperature: τ.
    """
    with torch.autocast(queries.device.type, enabled=False):  # which would round cosines that τ enlarges
        logits = queries.float() @ keys.detach().float().transpose(1, 2) / temperature
    own = torch.arange(logits.shape[1], device=logits.device).expand(len(logits), -1)
    return cross_entropy(logits.flatten(0, 1), own.flatten())


def patches(features: Tensor, places: Tensor) -> Tensor:
    """The columns of maps (N, C, H, W) at places (N, P), numbered row by row: (N, P, C)."""
    columns = features.flatten(2).transpose(1, 2)
    return columns.gather(1, places[:, :, None].expand(-1, -1, columns.shape[2]))


class Heads(nn.Module):
    """A two-layer network for each layer's patches (N, P, C) → unit features (N, P, D) (section 3.2, H_l).

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
        return [normalize(head(each), dim=2) for head, each in zip(self.layers, columns, strict=True)]
