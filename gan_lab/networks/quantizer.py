"""A codebook: vectors become the nearest of its entries (van den Oord et al. 2017)."""

from typing import Any, NamedTuple

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

HARDLY = 1e-3
"""The use of an entry before it is used: so little that all but those that the first batch chooses begin anew there."""


class Quantized(NamedTuple):
    """Entries (N, D, h, w) in place of vectors, with the vectors' gradient (straight through), and which, (N, h, w)."""

    vectors: Tensor
    codes: Tensor


class Quantizer(nn.Module):
    """Vectors (N, D, h, w) → the nearest of K entries.

    Entries move towards the vectors that choose them: as moving averages of those (section A.1), in ``learn``, or,
    without a decay, by the gradient of ``distance``. Entries that hardly any vector chooses begin anew at vectors of
    the batch (Dhariwal et al. 2020, section 3.2), the likelier the farther these are from their own entry, by weighted
    draws without replacement (Efraimidis and Spirakis 2006) of k-means++ (Arthur and Vassilvitskii 2007).

    Args:
        entries: K.
        dim: D.
        decay: of the moving averages, at every step; None learns the entries by gradient.
        restart: an entry begins anew below this share of the average use; 0 lets entries die.
    """

    weight: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(self, entries: int = 512, dim: int = 64, decay: float | None = 0.99, restart: float = 0.03) -> None:
        super().__init__()
        self.entries, self.dim, self.decay, self.restart = entries, dim, decay, restart
        begin = torch.randn(entries, dim) / dim**0.5
        if decay is None:
            self.weight = nn.Parameter(begin)
        else:
            self.register_buffer("weight", begin)
            self.register_buffer("sums", HARDLY * begin)
        self.register_buffer("counts", torch.full((entries,), HARDLY))

    def forward(self, x: Tensor) -> Quantized:
        x = x.float()
        codes = self.nearest(x)
        return Quantized(x + (self.embed(codes) - x).detach(), codes)

    def nearest(self, x: Tensor) -> Tensor:
        """Vectors (N, D, h, w) → codes (N, h, w)."""
        flat = x.movedim(1, -1).flatten(0, -2).float()
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            apart = self.weight.square().sum(1) - 2 * flat @ self.weight.t()
        return apart.argmin(1).view(len(x), *x.shape[2:])

    def embed(self, codes: Tensor) -> Tensor:
        """Codes (N, h, w) → entries (N, D, h, w)."""
        return F.embedding(codes, self.weight).movedim(-1, 1)

    def distance(self, x: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Mean squares: of vectors from entries that stand still (the commitment), and of entries from vectors that do
        (eq. 3); the second is 0 where entries are moving averages.
        """
        x, entries = x.float(), self.embed(codes)
        moves = F.mse_loss(entries, x.detach()) if self.decay is None else x.new_zeros(())
        return F.mse_loss(x, entries.detach()), moves

    @torch.no_grad()
    def learn(self, x: Tensor, codes: Tensor, noise: Any, share: float = 1.0) -> dict[str, Tensor]:
        """Moves the entries; tells the perplexity of the batch's codes, and the share of entries that it uses, of those
        that it could.

        Sums are over all ranks, and what is drawn does not depend on how many there are. Of a micro-batch, ``share`` of
        a step, the averages move by as much of one.
        """
        flat, codes = x.movedim(1, -1).flatten(0, -2).float(), codes.flatten()
        seen = _summed(torch.bincount(codes, minlength=self.entries).float())
        keep = (0.99 if self.decay is None else self.decay) ** share
        self.counts.lerp_(seen, 1 - keep)
        if self.decay is not None:
            sums = torch.zeros_like(self.sums).index_add_(0, codes, flat)
            self.sums.lerp_(_summed(sums), 1 - keep)
            used = (self.counts > HARDLY / 1e3)[:, None]
            self.weight.copy_(torch.where(used, self.sums / self.counts[:, None], self.weight))
        if self.restart:
            apart = (flat - self.weight[codes]).square().sum(1)
            uniform = noise.uniform(len(x), len(flat) // len(x)).flatten()
            self._restart(flat, uniform.log() / (apart + 1e-12), self.restart * seen.sum() / self.entries)
        return {"perplexity": perplexity(seen), "usage": (seen > 0).sum() / seen.sum().clamp(max=self.entries)}

    def _restart(self, flat: Tensor, order: Tensor, least: Tensor) -> None:
        """Entries in less use than the least take the vectors that come first in an order over all ranks' batches."""
        dead = (self.counts < least).nonzero()[:, 0]
        if not len(dead):
            return
        best, rows = order.topk(min(len(dead), len(order)))
        best, vectors = _gathered(best), _gathered(flat[rows])
        fresh = vectors[best.topk(min(len(dead), len(best))).indices]
        dead = dead[: len(fresh)]
        self.weight.data[dead] = fresh
        self.counts[dead] = 2 * least  # which is gone after a while, where nothing chooses them
        if self.decay is not None:
            self.sums[dead] = fresh * 2 * least


def perplexity(counts: Tensor) -> Tensor:
    """Exp of the entropy of shares in proportion to counts (K,)."""
    shares = counts / counts.sum()
    return torch.special.entr(shares).sum().exp()


def _summed(x: Tensor) -> Tensor:
    if _alone():
        return x
    dist.all_reduce(x := x.clone())
    return x


def _gathered(x: Tensor) -> Tensor:
    """The rows of all ranks."""
    if _alone():
        return x
    parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, x.contiguous())
    return torch.cat(parts)


def _alone() -> bool:
    return not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1)
