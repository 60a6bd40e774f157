import torch

from gan_lab.common.capabilities import Samples
from gan_lab.common.images import to_float
from gan_lab.evaluation.metrics import gaussian_baseline
from gan_lab.evaluation.metrics.gaussian_baseline import PixelGaussian


def expected(data):
    x = to_float(data.pixels).flatten(1)
    return x.mean(0), torch.cov(x.T)


def test_samples_have_the_moments_of_many_images(doubles):
    data = doubles.ImageData(count=300)
    assert_moments(PixelGaussian(data), data)


def test_samples_have_the_moments_of_few_images(doubles):
    data = doubles.ImageData(count=20)
    model = PixelGaussian(data)
    assert len(model.factor) == 20
    assert_moments(model, data)


def test_above_the_limit_fewer_images_are_used(doubles, monkeypatch):
    monkeypatch.setattr(gaussian_baseline, "MAX_DIMENSIONS", 30)
    model, data = PixelGaussian(doubles.ImageData(count=300)), doubles.ImageData(count=300)
    assert model.n == 30
    data.pixels = data.pixels[:30]
    assert_moments(model, data)


def assert_moments(model, data):
    """Checks that the factor has exactly the covariance, and 20,000 samples within the sampling error."""
    mean, covariance = expected(data)
    torch.testing.assert_close(model.factor.T @ model.factor, covariance, rtol=1e-3, atol=1e-5)
    x = model.sample(20_000).flatten(1)
    spread = covariance.diagonal().max()
    assert (x.mean(0) - mean).abs().max() < 6 * (spread / len(x)).sqrt()
    assert (torch.cov(x.T) - covariance).abs().max() < 6 * spread * (2 / len(x)) ** 0.5


def test_a_sample_depends_on_its_number_alone(doubles):
    model = PixelGaussian(doubles.ImageData())
    assert isinstance(model, Samples)
    whole = model.sample(10, seed=5)
    torch.testing.assert_close(torch.cat([model.sample(3, seed=5), model.sample(7, seed=5, start=3)]), whole)
    assert not torch.equal(model.sample(10, seed=6), whole)
    assert model.sample(2, truncation=1e-9).var(0).max() < 1e-9
