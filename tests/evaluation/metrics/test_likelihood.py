"""Likelihoods of models whose likelihood is known."""

import math

import pytest
import torch
from model_metrics import CPUModel, measure, measure_on_ranks
from torch.distributions import Normal

from gan_lab.common.errors import UserError
from gan_lab.common.images import to_float
from gan_lab.evaluation.metrics.likelihood import Likelihood


class Exact(CPUModel):
    """A likelihood that is a function of the pixels, and of the class."""

    exact, levels = True, 256

    def log_likelihood(self, image, label=None, k=1, seed=0, start=0):
        assert k == 1
        return -(image + 1).sum((1, 2, 3)) - (0 if label is None else label)


class Bound(CPUModel):
    """A latent z ~ N(0, 1), the image's mean x ~ N(z, 1), and the prior as the posterior."""

    exact, levels = False, 256

    def __init__(self):
        self.calls = []

    def log_likelihood(self, image, label=None, k=1, seed=0, start=0):
        self.calls.append((k, start, len(image)))
        of = [torch.Generator().manual_seed(1000 * seed + start + i) for i in range(len(image))]
        z = torch.stack([torch.randn(k, generator=random) for random in of])
        weights = Normal(z, 1).log_prob(image.mean((1, 2, 3))[:, None])
        return weights.logsumexp(1) - math.log(k)


def test_the_mean_and_error_of_a_known_likelihood(doubles):
    data = doubles.ImageData()
    nats = (to_float(data.pixels) + 1).double().sum((1, 2, 3))
    found = measure(Likelihood(), Exact(), data, batch_size=30)
    expected = {"nll": nats.mean(), "nll.error": nats.std() / 200**0.5}
    expected |= {key.replace("nll", "bits"): value / (48 * math.log(2)) for key, value in expected.items()}
    assert found == pytest.approx({key: value.item() for key, value in expected.items()})


def test_a_bound_by_one_sample_and_by_many(doubles):
    data = doubles.ImageData()
    x = to_float(data.pixels).double().mean((1, 2, 3))
    elbo = 0.5 * (math.log(2 * math.pi) + x.square() + 1)
    exact = -Normal(0.0, 2**0.5).log_prob(x)
    metric, model = Likelihood(k=500, n_weighted=50), Bound()
    found = measure(metric, model, data, batch_size=64)
    assert found["nll_elbo"] == pytest.approx(elbo.mean().item(), abs=4 * found["nll_elbo.error"])
    assert found["nll_iw500"] == pytest.approx(exact[3::4].mean().item(), abs=0.02)
    assert found["nll_iw500.elbo"] > found["nll_iw500"] + 0.05
    assert found["bits_iw500"] == pytest.approx(found["nll_iw500"] / (48 * math.log(2)))
    assert max(n for k, _, n in model.calls if k == 500) == 8
    assert metric.described == {
        "n": 200, "k": 500, "n_weighted": 50, "exact": False, "levels": 256, "split": "test",
    }  # fmt: skip
    assert set(measure(Likelihood(k=1), Bound(), data)) == {
        "nll_elbo",
        "nll_elbo.error",
        "bits_elbo",
        "bits_elbo.error",
    }


def test_batches_and_ranks_do_not_matter(doubles, monkeypatch):
    data = doubles.ImageData()

    def make():
        return Likelihood(n=101, k=5, n_weighted=31)

    one = measure(make(), Bound(), data, seed=3)
    assert measure(make(), Bound(), data, seed=3, batch_size=7) == pytest.approx(one)
    assert measure_on_ranks(monkeypatch, make, Bound(), data, seed=3, batch_size=7) == pytest.approx(one)
    assert measure(make(), Bound(), data, seed=4) != pytest.approx(one)


def test_a_class_conditional_model_gets_the_classes(doubles):
    data, model = doubles.LabelledImageData(), Exact()
    plain = measure(Likelihood(n=50), model, data)
    model.classes = 2
    assert measure(Likelihood(n=50), model, data)["nll"] == pytest.approx(plain["nll"] + 1)  # every fourth one is odd
    assert not Likelihood().applies_to(model, doubles.ImageData())
    assert not Likelihood().applies_to(doubles.Sampler(), data)


def test_no_images_raise():
    with pytest.raises(UserError, match="n=0"):
        Likelihood(n=0)
