"""Reconstructions whose error is known."""

from functools import partial

import numpy as np
import pytest
import torch
from domains import Side, pictures
from model_metrics import CPUModel, measure, measure_on_ranks

from gan_lab.common.images import to_float, to_uint8
from gan_lab.evaluation.evaluators.samples import SampleEvaluator
from gan_lab.evaluation.features.perceptual import PerceptualDistance, ssim
from gan_lab.evaluation.image_sets import ReconstructedImages
from gan_lab.evaluation.metrics.reconstruction import Reconstruction

SHAPE = (3, 16, 16)


class Fading(CPUModel):
    """Reconstructs images with a part of their contrast."""

    def __init__(self, contrast=0.5):
        self.contrast = contrast

    def reconstruct(self, image, label=None):
        return self.contrast * image


class Absolute(PerceptualDistance):
    name, sha256 = "absolute", ""

    def forward(self, a, b):
        return (a - b).abs().mean((1, 2, 3))


make = partial(Reconstruction, n=20, distance=Absolute(), shape=SHAPE)


@pytest.fixture
def data():
    return Side(test=pictures(20, 1, SHAPE).split(8), train=pictures(20, 1, SHAPE))


def test_the_metrics_equal_numpy(data):
    real = torch.cat(data.splits["test"]).numpy().astype(np.float64) / 255
    fake = 0.5 + (real - 0.5) / 2
    error = ((fake - real) ** 2).mean((1, 2, 3))
    levels = -10 * np.log10(error)
    found = measure(make(), Fading(), data)
    assert found["reconstruction_mse"] == pytest.approx(error.mean(), rel=1e-5)
    assert found["reconstruction_mse.error"] == pytest.approx(error.std(ddof=1) / 20**0.5, rel=1e-4)
    assert found["reconstruction_psnr"] == pytest.approx(levels.mean(), rel=1e-5)
    assert found["reconstruction_absolute"] == pytest.approx(2 * np.abs(fake - real).mean(), rel=1e-5)
    images = to_float(torch.cat(data.splits["test"]))
    assert found["reconstruction_ssim"] == pytest.approx(ssim(images / 2, images).mean().item(), rel=1e-5)
    assert found["reconstruction_sharpness"] == pytest.approx(0.5, rel=0.05)  # of whole levels
    assert 0 < found["reconstruction_sharpness.error"] < 0.01


def test_perfect_reconstructions(data):
    found = measure(make(), Fading(1), data)
    assert found["reconstruction_mse"] == 0 and found["reconstruction_psnr"] == pytest.approx(100)
    assert found["reconstruction_ssim"] == pytest.approx(1) and found["reconstruction_sharpness"] == 1


def test_batches_and_ranks_do_not_matter(data, monkeypatch):
    one = measure(make(n=15), Fading(), data)
    found = measure_on_ranks(monkeypatch, partial(make, n=15), Fading(), data, batch_size=2)
    assert found == pytest.approx(one, rel=1e-5)


def test_small_images_are_compared_by_our_network(doubles):
    found = measure(Reconstruction(n=5, shape=(3, 4, 4)), Fading(), doubles.ImageData())
    assert "reconstruction_pd_colour" in found and "reconstruction_ssim" not in found


def test_reconstructions_are_an_image_set(data):
    found = ReconstructedImages(Fading(), data, batch_size=3)
    index, images = (torch.cat(each) for each in zip(*found.batches(False), strict=True))
    assert found.n == 20 and index.tolist() == list(range(20))
    assert torch.equal(images, to_uint8(0.5 * to_float(torch.cat(data.splits["test"]))))


def test_their_distance_is_a_baseline_of_the_samples(doubles, tmp_path):
    class Model(Fading, doubles.Sampler):
        def __init__(self):
            doubles.Sampler.__init__(self)
            self.contrast = 1

    model, data = Model(), doubles.ImageData()
    options = {"batch_size": 16, "cache_dir": tmp_path, "progress": False}
    evaluator = SampleEvaluator(data, 300, [doubles.Projection()], doubles.TWO, **options)
    first = evaluator.evaluate(model)
    assert first.metrics["fd_fake_reconstructed"] == pytest.approx(0, abs=1e-6)
    assert first.protocol["reconstructed"] == {"split": "test", "n": 200}
    model.contrast = 0.2
    assert evaluator.evaluate(model).metrics["fd_fake_reconstructed"] > 0.1
