import torch

from gan_lab.common.capabilities import Samples
from gan_lab.common.images import to_float
from gan_lab.evaluation.metrics import gaussian_baseline as gaussian
from gan_lab.evaluation.metrics.gaussian_baseline import PixelGaussian


def expected(data):
    x = to_float(data.pixels).flatten(1)
    return x.mean(0), torch.cov(x.T)


def test_from_the_covariance_samples_have_the_pixels_moments(doubles):
    data = doubles.Pictures(count=300)
    assert_moments(PixelGaussian(data), data)


def test_from_few_pictures_samples_have_the_pixels_moments(doubles):
    data = doubles.Pictures(count=20)
    model = PixelGaussian(data)
    assert len(model.root) == 20
    assert_moments(model, data)


def test_above_the_limit_only_so_many_pictures_are_used(doubles, monkeypatch):
    monkeypatch.setattr(gaussian, "_WHOLE", 30)
    model, data = PixelGaussian(doubles.Pictures(count=300)), doubles.Pictures(count=300)
    assert model.pictures == 30
    data.pixels = data.pixels[:30]
    assert_moments(model, data)


def assert_moments(model, data):
    """The root is the covariance's exactly, and 20,000 samples have it within sampling error."""
    mean, covariance = expected(data)
    torch.testing.assert_close(model.root.T @ model.root, covariance, rtol=1e-3, atol=1e-5)
    x = model.sample(20_000).flatten(1)
    spread = covariance.diagonal().max()
    assert (x.mean(0) - mean).abs().max() < 6 * (spread / len(x)).sqrt()
    assert (torch.cov(x.T) - covariance).abs().max() < 6 * spread * (2 / len(x)) ** 0.5


def test_a_sample_depends_on_its_number_alone(doubles):
    model = PixelGaussian(doubles.Pictures())
    assert isinstance(model, Samples)
    whole = model.sample(10, seed=5)
    torch.testing.assert_close(torch.cat([model.sample(3, seed=5), model.sample(7, seed=5, start=3)]), whole)
    assert not torch.equal(model.sample(10, seed=6), whole)
    assert model.sample(2, truncation=1e-9).var(0).max() < 1e-9
