"""How much of its latents a model uses: where it does not, they carry nothing, or a codebook is dead."""

from typing import Any

import torch
from torch import Tensor

from gan_lab.common.capabilities import HasPosterior, Quantizes
from gan_lab.common.errors import UserError
from gan_lab.common.precision import full_precision
from gan_lab.data.subsets import capped_count
from gan_lab.evaluation.image_sets import labels_match, shown
from gan_lab.evaluation.model_metric import DEFAULT_OPTIONS, EvalOptions, ModelMetric
from gan_lab.evaluation.statistics import Statistic, Values

SPLIT = "test"
ACTIVE = 0.01
"""A latent is active whose posterior mean varies by more over pictures."""


class PosteriorSums(Statistic):
    """What is summed of posteriors.

    Args:
        latents: Z.
    """

    means: Tensor
    squares: Tensor
    divergences: Tensor
    squared_total: Tensor

    def __init__(self, latents: int) -> None:
        super().__init__(latents)
        for name in ("means", "squares", "divergences"):
            self.add_sum_state(name, latents)
        self.add_sum_state("squared_total")

    def add(self, values: Tensor, index: Tensor) -> None:
        """Means and KL divergences of each latent (m, 2, Z)."""
        mean, divergence = values.double().unbind(1)
        self.means += mean.sum(0)
        self.squares += mean.square().sum(0)
        self.divergences += divergence.sum(0)
        self.squared_total += divergence.sum(1).square().sum()

    def compute(self) -> dict[str, Tensor]:
        """By name, over all ranks (a collective): the ``variance`` (Z,) of the posterior's mean over pictures, the mean
        ``divergence`` (Z,) and the standard ``error`` of its sum.
        """
        n = int(self.count)
        mean, divergence = self.means / n, self.divergences / n
        error = ((self.squared_total / n - divergence.sum().square()).clamp(min=0) / n).sqrt()
        variance = (self.squares / n - mean.square()).clamp(min=0)
        return {"variance": variance, "divergence": divergence, "error": error}


class ActiveUnits(ModelMetric):
    """``active_units``, how many latents z have Var_x(E[z|x]) > 0.01 over test pictures x (Burda et al. 2016,
    "Importance Weighted Autoencoders", section 5.2), and the share of all, ``active_units_share``; ``kl``, the
    divergence of the posterior from the prior in nats a picture, with ``.error``, and the curve ``kl_per_latent``, from
    the largest down.

    Args:
        n: pictures, spread over the split.

    Raises:
        UserError: for fewer than two pictures.
    """

    def __init__(self, n: int = 2000) -> None:
        super().__init__()
        if n < 2:
            raise UserError(f"Active units are told by how they vary over pictures, 2 at least, not {n}.")
        self.n = n
        self.sums: PosteriorSums | None = None

    def applies_to(self, model: Any, data: Any) -> bool:
        return isinstance(model, HasPosterior) and labels_match(model, data)

    @torch.no_grad()
    @full_precision()
    def update(self, model: Any, data: Any, how: EvalOptions = DEFAULT_OPTIONS) -> None:
        n = capped_count(data, SPLIT, self.n)
        self.described = {"n": n, "split": SPLIT, "active_above": ACTIVE}
        self.sums = PosteriorSums(_latents(model, data)).to(_summing(self.device))
        for index, images, label in shown(model, data, SPLIT, n, how.batch_size, "latents", how.progress):
            self.sums.update(torch.stack(model.infer(images, label, how.seed, int(index[0])), 1), index)

    def compute(self) -> Values:
        assert self.sums is not None
        found = self.sums.compute()
        active, each = int((found["variance"] > ACTIVE).sum()), found["divergence"].sort(descending=True).values
        figures: Values = {"active_units": float(active), "active_units_share": active / len(each)}
        figures |= {"kl": each.sum().item(), "kl.error": found["error"].item()}
        return figures | {"kl_per_latent": each.tolist()}

    def reset(self) -> None:
        super().reset()
        self.sums = None


def _latents(model: HasPosterior, data: Any) -> int:
    """Z, on a rank without pictures too: a grey one tells."""
    device = model.device  # type: ignore[attr-defined]
    grey = torch.zeros(1, data.channels, data.height, data.width, device=device)
    label = torch.zeros(1, dtype=torch.int64, device=device) if getattr(model, "classes", 0) else None
    return model.infer(grey, label)[0].shape[1]


def _summing(device: torch.device) -> torch.device:
    return torch.device("cpu") if device.type == "mps" else device  # Apple's GPUs have no float64


class CodeCounts(Statistic):
    """How often each entry of a codebook stands for something.

    Args:
        entries: K.
    """

    uses: Tensor

    def __init__(self, entries: int) -> None:
        super().__init__(entries)
        self.add_sum_state("uses", entries, dtype=torch.int64)

    def add(self, values: Tensor, index: Tensor) -> None:
        """Entries (m, …) of pictures."""
        self.uses += torch.bincount(values.flatten(), minlength=len(self.uses))

    def compute(self) -> Tensor:
        """Their shares (K,), float64 on the CPU, over all ranks (a collective)."""
        uses = self.uses.cpu().double()
        return uses / uses.sum()


class CodebookUsage(ModelMetric):
    """``codebook_usage``, the share of a codebook's entries that stand for something in test pictures;
    ``codebook_perplexity``, how many entries used equally often would be as hard to tell: exp of the entropy of their
    shares; and these, from the largest down, as the curve ``codebook_use``.

    Args:
        n: pictures, spread over the split.

    Raises:
        UserError: for no pictures.
    """

    def __init__(self, n: int = 2000) -> None:
        super().__init__()
        if n < 1:
            raise UserError(f"The use of a codebook is counted over 1 picture at least, not {n}.")
        self.n = n
        self.counts: CodeCounts | None = None

    def applies_to(self, model: Any, data: Any) -> bool:
        return isinstance(model, Quantizes) and labels_match(model, data)

    @torch.no_grad()
    @full_precision()
    def update(self, model: Any, data: Any, how: EvalOptions = DEFAULT_OPTIONS) -> None:
        n = capped_count(data, SPLIT, self.n)
        self.described = {"n": n, "split": SPLIT, "entries": model.entries}
        self.counts = CodeCounts(model.entries).to(self.device)
        for index, images, _ in shown(model, data, SPLIT, n, how.batch_size, "codes", how.progress):
            self.counts.update(model.codes(images), index)

    def compute(self) -> Values:
        assert self.counts is not None
        share = self.counts.compute()
        entropy = torch.special.entr(share).sum()
        figures: Values = {"codebook_usage": (share > 0).double().mean().item()}
        figures["codebook_perplexity"] = entropy.exp().item()
        return figures | {"codebook_use": share.sort(descending=True).values.tolist()}

    def reset(self) -> None:
        super().reset()
        self.counts = None
