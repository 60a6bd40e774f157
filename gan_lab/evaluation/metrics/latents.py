"""The use of the latent space: a collapsed posterior or a dead codebook carries no information."""

import torch
from torch import Tensor

from gan_lab.common.bounds import PositiveInt
from gan_lab.common.capabilities import HasPosterior, Quantizes, RealImages
from gan_lab.common.errors import UserError
from gan_lab.common.precision import full_precision
from gan_lab.data.subsets import capped_count
from gan_lab.evaluation.image_sets import device_of, labels_match, model_inputs, num_classes
from gan_lab.evaluation.model_metric import DEFAULT_OPTIONS, EvalOptions, ModelMetric
from gan_lab.evaluation.statistics import Statistic, Values

SPLIT = "test"
ACTIVE = 0.01
"""A latent is active if the variance of its posterior mean over images is larger."""


class PosteriorStatistics(Statistic[dict[str, Tensor]]):
    """The variance of posterior means and the mean KL divergences.

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

    def accumulate(self, values: Tensor, index: Tensor) -> None:
        """Adds means and KL divergences of each latent (m, 2, Z) of the images with the numbers ``index`` (m,)."""
        mean, divergence = values.double().unbind(1)
        self.means += mean.sum(0)
        self.squares += mean.square().sum(0)
        self.divergences += divergence.sum(0)
        self.squared_total += divergence.sum(1).square().sum()

    def compute(self) -> dict[str, Tensor]:
        """Returns statistics by name, over all ranks (collective).

        - ``variance`` (Z,): of the posterior's mean over images;
        - ``divergence`` (Z,): the mean KL divergence, in nats;
        - ``error``: the standard error of the sum of the divergences, a scalar.
        """
        n = int(self.count)
        mean, divergence = self.means / n, self.divergences / n
        error = ((self.squared_total / n - divergence.sum().square()).clamp(min=0) / n).sqrt()
        variance = (self.squares / n - mean.square()).clamp(min=0)
        return {"variance": variance, "divergence": divergence, "error": error}


class ActiveUnits(ModelMetric[HasPosterior, RealImages]):
    """``active_units``, the number of latents z with Var_x(E[z|x]) > 0.01 over test images x, and the share of all,
    ``active_units_share`` (Burda et al. 2016, "Importance Weighted Autoencoders", section 5.2).

    Also ``kl``, the divergence of the posterior from the prior in nats per image, with ``.error``, and the curve
    ``kl_per_latent``, sorted from the largest down.

    Args:
        n: the number of test images, evenly spaced over the split.

    Raises:
        UserError: if n is below 2.
    """

    def __init__(self, n: PositiveInt = 2000) -> None:
        super().__init__()
        if n < 2:
            raise UserError(f"n={n} is not valid for active units: their variance needs at least 2 images.")
        self.n = n
        self.statistics: PosteriorStatistics | None = None

    def applies_to(self, model: object, data: object) -> bool:
        """Tells whether the model has a posterior over such images."""
        return isinstance(model, HasPosterior) and labels_match(model, data)

    @torch.no_grad()
    @full_precision()
    def update(self, model: HasPosterior, data: RealImages, options: EvalOptions = DEFAULT_OPTIONS) -> None:
        """Infers the posterior of this rank's share of the test images."""
        n = capped_count(data, SPLIT, self.n)
        self.described = {"n": n, "split": SPLIT, "active_above": ACTIVE}
        self.statistics = PosteriorStatistics(_num_latents(model, data)).to(_float64_device(self.device))
        for index, images, label in model_inputs(
            model, data, SPLIT, n, options.batch_size, "latents", options.progress
        ):
            posterior = model.infer(images, label, options.seed, int(index[0]))
            self.statistics.update(torch.stack(posterior, 1), index)

    def compute(self) -> Values:
        """Returns the metrics over all ranks (collective)."""
        assert self.statistics is not None
        found = self.statistics.compute()
        active, each = int((found["variance"] > ACTIVE).sum()), found["divergence"].sort(descending=True).values
        values: Values = {"active_units": float(active), "active_units_share": active / len(each)}
        values |= {"kl": each.sum().item(), "kl.error": found["error"].item()}
        return values | {"kl_per_latent": each.tolist()}

    def reset(self) -> None:
        """Forgets the images."""
        super().reset()
        self.statistics = None


def _num_latents(model: HasPosterior, data: RealImages) -> int:
    """Returns Z, inferred from a grey image: a rank may have no images of its own."""
    device = device_of(model)
    grey = torch.zeros(1, data.channels, data.height, data.width, device=device)
    label = torch.zeros(1, dtype=torch.int64, device=device) if num_classes(model) else None
    return model.infer(grey, label)[0].shape[1]


def _float64_device(device: torch.device) -> torch.device:
    return torch.device("cpu") if device.type == "mps" else device  # Apple's GPUs have no float64


class CodeCounts(Statistic[Tensor]):
    """The relative frequency of each entry of a codebook.

    Args:
        entries: K, the size of the codebook.
    """

    uses: Tensor

    def __init__(self, entries: int) -> None:
        super().__init__(entries)
        self.add_sum_state("uses", entries, dtype=torch.int64)

    def accumulate(self, values: Tensor, index: Tensor) -> None:
        """Adds codes (m, …) of the images with the numbers ``index`` (m,)."""
        self.uses += torch.bincount(values.flatten(), minlength=len(self.uses))

    def compute(self) -> Tensor:
        """Returns the frequencies (K,), float64 on the CPU, over all ranks (collective)."""
        uses = self.uses.cpu().double()
        return uses / uses.sum()


class CodebookUsage(ModelMetric[Quantizes, RealImages]):
    """``codebook_usage``, the share of a codebook's entries that test images use, and ``codebook_perplexity``, exp of
    the entropy of the entries' frequencies: the number of equally frequent entries with the same entropy.

    The curve ``codebook_use`` has the frequencies from the largest down. (van den Oord et al. 2017, "Neural Discrete
    Representation Learning".)

    Args:
        n: the number of test images, evenly spaced over the split.

    Raises:
        UserError: if n is below 1.
    """

    def __init__(self, n: PositiveInt = 2000) -> None:
        super().__init__()
        if n < 1:
            raise UserError(f"n={n} is not valid for the codebook's usage: give at least 1 image.")
        self.n = n
        self.counts: CodeCounts | None = None

    def applies_to(self, model: object, data: object) -> bool:
        """Tells whether the model quantises such images."""
        return isinstance(model, Quantizes) and labels_match(model, data)

    @torch.no_grad()
    @full_precision()
    def update(self, model: Quantizes, data: RealImages, options: EvalOptions = DEFAULT_OPTIONS) -> None:
        """Encodes this rank's share of the test images."""
        n = capped_count(data, SPLIT, self.n)
        self.described = {"n": n, "split": SPLIT, "entries": model.entries}
        self.counts = CodeCounts(model.entries).to(self.device)
        for index, images, _ in model_inputs(model, data, SPLIT, n, options.batch_size, "codes", options.progress):
            self.counts.update(model.codes(images), index)

    def compute(self) -> Values:
        """Returns the metrics over all ranks (collective)."""
        assert self.counts is not None
        share = self.counts.compute()
        entropy = torch.special.entr(share).sum()
        values: Values = {"codebook_usage": (share > 0).double().mean().item()}
        values["codebook_perplexity"] = entropy.exp().item()
        return values | {"codebook_use": share.sort(descending=True).values.tolist()}

    def reset(self) -> None:
        """Forgets the images."""
        super().reset()
        self.counts = None
