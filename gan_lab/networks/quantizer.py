"""Vector quantisation with a codebook (van den Oord et al. 2017)."""

from typing import NamedTuple

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.bounds import Decay, NonNegative, PositiveInt
from gan_lab.common.distributed import all_reduce_sum, rank_and_world_size
from gan_lab.common.types import RandomStream

INITIAL_COUNT = 1e-3
"""Initial use of an entry: small, so that all entries that the first batch does not choose restart there."""


class Quantized(NamedTuple):
    """Quantised vectors.

    Attributes:
        vectors: entries (N, D, h, w) with the gradient of the vectors that they replace (straight-through estimator).
        codes: indices of the entries, int64 (N, h, w).
    """

    vectors: Tensor
    codes: Tensor


class Quantizer(nn.Module):
    """Replaces vectors (N, D, h, w) by the nearest of K entries.

    Entries move towards the vectors that choose them: as moving averages of those vectors in ``update`` (section A.1),
    or, without a decay, by the gradient of ``losses``. Entries that few vectors choose restart at vectors of the batch
    (Dhariwal et al. 2020, section 3.2). As in k-means++ (Arthur and Vassilvitskii 2007), a vector is the likelier to be
    drawn the farther it is from its entry; draws are weighted and without replacement (Efraimidis and Spirakis 2006).

    Args:
        entries: K.
        dim: D.
        decay: of the moving averages, for each step; None learns the entries by gradient.
        restart: an entry restarts below this share of the average use; 0 never restarts entries.
    """

    weight: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(
        self, entries: PositiveInt = 512, dim: PositiveInt = 64, decay: Decay | None = 0.99, restart: NonNegative = 0.03
    ) -> None:
        super().__init__()
        self.entries, self.dim, self.decay, self.restart = entries, dim, decay, restart
        initial = torch.randn(entries, dim) / dim**0.5
        if decay is None:
            self.weight = nn.Parameter(initial)
        else:
            self.register_buffer("weight", initial)
            self.register_buffer("sums", INITIAL_COUNT * initial)
        self.register_buffer("counts", torch.full((entries,), INITIAL_COUNT))

    def forward(self, x: Tensor) -> Quantized:
        x = x.float()
        codes = self.nearest(x)
        return Quantized(x + (self.embed(codes) - x).detach(), codes)

    def nearest(self, x: Tensor) -> Tensor:
        """Maps vectors (N, D, h, w) to the codes of their nearest entries, int64 (N, h, w)."""
        flat = x.movedim(1, -1).flatten(0, -2).float()
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            distances = self.weight.square().sum(1) - 2 * flat @ self.weight.t()  # less the vectors' squares
        return distances.argmin(1).view(len(x), *x.shape[2:])

    def embed(self, codes: Tensor) -> Tensor:
        """Maps codes (N, h, w) to their entries (N, D, h, w)."""
        return F.embedding(codes, self.weight).movedim(-1, 1)

    def losses(self, x: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the commitment loss and the codebook loss (eq. 3), scalars.

        They are mean squared distances: of vectors from constant entries, and of entries from constant vectors. The
        codebook loss is 0 if entries are moving averages.

        Args:
            x: vectors (N, D, h, w).
            codes: (N, h, w).
        """
        x, entries = x.float(), self.embed(codes)
        codebook = F.mse_loss(entries, x.detach()) if self.decay is None else x.new_zeros(())
        return F.mse_loss(x, entries.detach()), codebook

    @torch.no_grad()
    def update(self, x: Tensor, codes: Tensor, noise: RandomStream, share: float = 1.0) -> dict[str, Tensor]:
        """Moves the entries towards the vectors that chose them, and restarts those in little use.

        Sums are over all ranks, and random draws do not depend on the number of ranks.

        Args:
            x: vectors (N, D, h, w).
            codes: (N, h, w).
            noise: draws the vectors at which entries restart.
            share: of a step that this micro-batch is; averages move by that share.

        Returns:
            scalars: "perplexity" of the batch's codes, and "usage", the share of entries that the batch uses, of
            those that a batch of its size could use.
        """
        flat, codes = x.movedim(1, -1).flatten(0, -2).float(), codes.flatten()
        batch_counts = all_reduce_sum(torch.bincount(codes, minlength=self.entries).float())
        keep = (0.99 if self.decay is None else self.decay) ** share
        self.counts.lerp_(batch_counts, 1 - keep)
        if self.decay is not None:
            sums = torch.zeros_like(self.sums).index_add_(0, codes, flat)
            self.sums.lerp_(all_reduce_sum(sums), 1 - keep)
            used = (self.counts > INITIAL_COUNT / 1e3)[:, None]
            self.weight.copy_(torch.where(used, self.sums / self.counts[:, None], self.weight))
        if self.restart:
            distances = (flat - self.weight[codes]).square().sum(1)
            uniform = noise.uniform(len(x), len(flat) // len(x)).flatten()
            self._restart(flat, uniform.log() / (distances + 1e-12), self.restart * batch_counts.sum() / self.entries)
        usage = (batch_counts > 0).sum() / batch_counts.sum().clamp(max=self.entries)
        return {"perplexity": perplexity(batch_counts), "usage": usage}

    def _restart(self, flat: Tensor, keys: Tensor, min_count: Tensor) -> None:
        """Moves entries in less use than ``min_count`` to the vectors with the largest keys among all ranks' batches.

        Args:
            flat: vectors (n, D).
            keys: (n,).
            min_count: scalar.
        """
        dead = (self.counts < min_count).nonzero()[:, 0]
        if not len(dead):
            return
        best, rows = keys.topk(min(len(dead), len(keys)))
        best, vectors = _all_gather_rows(best), _all_gather_rows(flat[rows])
        restarted = vectors[best.topk(min(len(dead), len(best))).indices]
        dead = dead[: len(restarted)]
        self.weight.data[dead] = restarted
        self.counts[dead] = 2 * min_count  # decays below it again if nothing chooses the entry
        if self.decay is not None:
            self.sums[dead] = restarted * 2 * min_count


def perplexity(counts: Tensor) -> Tensor:
    """Returns the exponential of the entropy of the distribution proportional to counts (K,), a scalar."""
    shares = counts / counts.sum()
    return torch.special.entr(shares).sum().exp()


def _all_gather_rows(x: Tensor) -> Tensor:
    """Concatenates the rows of all ranks, which must be equally many."""
    if rank_and_world_size()[1] == 1:
        return x
    parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, x.contiguous())
    return torch.cat(parts)
