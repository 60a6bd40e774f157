"""The likelihood of test images under a model."""

import math

import torch
from torch import Tensor

from gan_lab.common.bounds import PositiveInt
from gan_lab.common.capabilities import HasLikelihood, RealImages
from gan_lab.common.errors import UserError
from gan_lab.common.precision import full_precision
from gan_lab.data.subsets import capped_count
from gan_lab.evaluation.feature_table import FeatureTable, mean_and_error
from gan_lab.evaluation.image_sets import labels_match, model_inputs
from gan_lab.evaluation.model_metric import DEFAULT_OPTIONS, EvalOptions, ModelMetric
from gan_lab.evaluation.statistics import Values

SPLIT = "test"
MAX_LATENTS = 4096
"""Posterior samples of all images of a batch together; a model may decode fewer at a time."""


class Likelihood(ModelMetric[HasLikelihood, RealImages]):
    """The negative log-likelihood of test images in nats per image, and in ``bits`` per dimension, with ``.error``.

    Models that know the likelihood itself have ``nll`` and ``bits``. Models that know a lower bound have ``nll_elbo``
    and ``bits_elbo`` by one posterior sample per image, and, over fewer images, the tighter bounds ``nll_iw<k>`` and
    ``bits_iw<k>`` by k importance-weighted samples (Burda et al. 2016, "Importance Weighted Autoencoders", equation 8).
    For comparison, ``nll_iw<k>.elbo`` is the first bound of these same images.

    Args:
        n: the number of test images, evenly spaced over the split; None takes all.
        k: samples of the importance-weighted bound; 1 leaves it out.
        n_weighted: the number of images of this bound, at most n.

    Raises:
        UserError: if one of them is below 1.
    """

    def __init__(self, n: PositiveInt | None = None, k: PositiveInt = 500, n_weighted: PositiveInt = 1000) -> None:
        super().__init__()
        if min(k, n_weighted, 1 if n is None else n) < 1:
            raise UserError(f"n={n}, k={k}, n_weighted={n_weighted} is not valid for a likelihood: give at least 1.")
        self.n, self.k, self.n_weighted = n, k, n_weighted
        self.single: FeatureTable | None = None
        self.weighted: FeatureTable | None = None

    def applies_to(self, model: object, data: object) -> bool:
        """Tells whether the model knows the likelihood of such images."""
        return isinstance(model, HasLikelihood) and labels_match(model, data)

    @torch.no_grad()
    @full_precision()
    def update(self, model: HasLikelihood, data: RealImages, options: EvalOptions = DEFAULT_OPTIONS) -> None:
        """Computes the likelihoods of this rank's share of the test images."""
        n = capped_count(data, SPLIT, self.n)
        k, fewer = (1, 0) if model.exact or self.k == 1 else (self.k, min(n, self.n_weighted))
        self.dimensions, self.exact = data.channels * data.height * data.width, model.exact
        self.described = {"n": n, "k": k, "n_weighted": fewer, "exact": model.exact}
        self.described |= {"levels": model.levels, "split": SPLIT}
        self.single = self._nats(model, data, n, (1,), options)
        self.weighted = self._nats(model, data, fewer, (1, k), options) if fewer else None

    def _nats(
        self, model: HasLikelihood, data: RealImages, n: int, samples: tuple[int, ...], options: EvalOptions
    ) -> FeatureTable:
        """Computes nats (n, S) of n images by each number of samples; image i uses random number i of the seed."""
        table = FeatureTable(len(samples), n).to(self.device)
        size = max(1, min(options.batch_size, MAX_LATENTS // max(samples)))
        for index, images, label in model_inputs(model, data, SPLIT, n, size, "likelihood", options.progress):
            each = [-model.log_likelihood(images, label, k, options.seed, int(index[0])) for k in samples]
            table.update(torch.stack(each, 1), index)
        return table

    def compute(self) -> Values:
        """Returns the metrics over all ranks (collective)."""
        assert self.single is not None
        found = self._values("" if self.exact else "_elbo", self.single.compute()[:, 0])
        if self.weighted is not None:
            bounds = self.weighted.compute()
            found |= self._values(f"_iw{self.k}", bounds[:, 1], bounds[:, 0])
        return found

    def _values(self, suffix: str, nats: Tensor, elbo: Tensor | None = None) -> Values:
        """Returns the means of the nats (n,), and of the first bound (n,) of the same images."""
        found: Values = {}
        for name, unit in ((f"nll{suffix}", 1.0), (f"bits{suffix}", self.dimensions * math.log(2))):
            found |= {f"{name}{end}": value / unit for end, value in mean_and_error(nats).items()}
            if elbo is not None:
                found[f"{name}.elbo"] = elbo.double().mean().item() / unit
        return found

    def reset(self) -> None:
        """Forgets the images."""
        super().reset()
        self.single = self.weighted = None
