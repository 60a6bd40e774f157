"""How likely a model holds pictures that it was not taught on."""

import math
from typing import Any

import torch
from torch import Tensor

from gan_lab.common.capabilities import HasLikelihood
from gan_lab.common.errors import UserError
from gan_lab.common.precision import full_precision
from gan_lab.data.subsets import capped_count
from gan_lab.evaluation.feature_table import FeatureTable, mean_and_error
from gan_lab.evaluation.image_sets import labels_match, shown
from gan_lab.evaluation.model_metric import DEFAULT_OPTIONS, EvalOptions, ModelMetric
from gan_lab.evaluation.statistics import Values

SPLIT = "test"
AT_ONCE = 4096
"""Latents of all pictures of a part together, of which a model may decode fewer at a time."""


class Likelihood(ModelMetric):
    """The negative log-likelihood of test pictures in nats a picture, and ``bits`` a dimension, each with ``.error``.

    Of models that know it: ``nll`` and ``bits``. Of those that know a lower bound of the likelihood: ``nll_elbo`` and
    ``bits_elbo`` by one sample of the posterior a picture, and of fewer pictures ``nll_iw<k>`` and ``bits_iw<k>`` by k
    importance-weighted ones (Burda et al. 2016, "Importance Weighted Autoencoders", equation 8), a tighter bound; with
    ``.elbo``, the first bound of these same pictures, beside it.

    Args:
        n: pictures, spread over the split; None takes all.
        k: samples of the weighted bound; 1 leaves it out.
        n_weighted: pictures that it is taken of, at most n.

    Raises:
        UserError: for no samples or pictures.
    """

    def __init__(self, n: int | None = None, k: int = 500, n_weighted: int = 1000) -> None:
        super().__init__()
        if min(k, n_weighted, 1 if n is None else n) < 1:
            raise UserError(f"A likelihood takes a sample and a picture at least, not k={k} of {n_weighted} or n={n}.")
        self.n, self.k, self.n_weighted = n, k, n_weighted
        self.single: FeatureTable | None = None
        self.weighted: FeatureTable | None = None

    def applies_to(self, model: Any, data: Any) -> bool:
        return isinstance(model, HasLikelihood) and labels_match(model, data)

    @torch.no_grad()
    @full_precision()
    def update(self, model: Any, data: Any, how: EvalOptions = DEFAULT_OPTIONS) -> None:
        n = capped_count(data, SPLIT, self.n)
        k, fewer = (1, 0) if model.exact or self.k == 1 else (self.k, min(n, self.n_weighted))
        self.dimensions, self.exact = data.channels * data.height * data.width, model.exact
        self.described = {"n": n, "k": k, "n_weighted": fewer, "exact": model.exact}
        self.described |= {"levels": model.levels, "split": SPLIT}
        self.single = self._asked(model, data, n, (1,), how)
        self.weighted = self._asked(model, data, fewer, (1, k), how) if fewer else None

    def _asked(
        self, model: HasLikelihood, data: Any, n: int, samples: tuple[int, ...], how: EvalOptions
    ) -> FeatureTable:
        """Nats (n, S) of n pictures by each number of samples; the chance of picture i is number i of the seed."""
        table = FeatureTable(len(samples), n).to(self.device)
        size = max(1, min(how.batch_size, AT_ONCE // max(samples)))
        for index, images, label in shown(model, data, SPLIT, n, size, "likelihood", how.progress):
            each = [-model.log_likelihood(images, label, k, how.seed, int(index[0])) for k in samples]
            table.update(torch.stack(each, 1), index)
        return table

    def compute(self) -> Values:
        assert self.single is not None
        found = self._figures("" if self.exact else "_elbo", self.single.compute()[:, 0])
        if self.weighted is not None:
            bounds = self.weighted.compute()
            found |= self._figures(f"_iw{self.k}", bounds[:, 1], bounds[:, 0])
        return found

    def _figures(self, of: str, nats: Tensor, first: Tensor | None = None) -> Values:
        """Means of the nats (n,), and of a first bound of the same pictures."""
        found: Values = {}
        for name, unit in ((f"nll{of}", 1.0), (f"bits{of}", self.dimensions * math.log(2))):
            found |= {f"{name}{end}": value / unit for end, value in mean_and_error(nats).items()}
            if first is not None:
                found[f"{name}.elbo"] = first.double().mean().item() / unit
        return found

    def reset(self) -> None:
        super().reset()
        self.single = self.weighted = None
