"""Metrics of latents whose use is known."""

import pytest
import torch
from domains import Side
from model_metrics import CPUModel, measure, measure_on_ranks

from gan_lab.common.images import to_float
from gan_lab.evaluation.evaluators.samples import SampleEvaluator
from gan_lab.evaluation.metrics.latents import ActiveUnits, CodebookUsage

VARIANCES = torch.tensor([0.02, 1.5, 0.005])
DEVIATION = 0.5


class Linear(CPUModel):
    """Posteriors N(m, 0.25) whose means are pixels, scaled to have these variances over the images."""

    def __init__(self, pixels):
        seen = to_float(pixels).flatten(1)[:, :3]
        self.scale = (VARIANCES / seen.var(0, correction=0)).sqrt()

    def infer(self, image, label=None, seed=0, start=0):
        mean = image.flatten(1)[:, :3] * self.scale
        one = torch.tensor(DEVIATION)
        return mean, 0.5 * (mean.square() + one**2 - 1) - one.log()


class Coding(CPUModel):
    """The entry that encodes an image is its first pixel."""

    entries = 4

    def codes(self, image):
        return ((image[:, 0, :1, :1] + 1) * 127.5).round().long()


def test_active_units_of_known_variances(doubles):
    data = doubles.ImageData()
    model = Linear(data.pixels)
    found = measure(ActiveUnits(), model, data)
    divergence = model.infer(to_float(data.pixels))[1].double()
    assert (found["active_units"], found["active_units_share"]) == (2, pytest.approx(2 / 3))
    assert found["kl"] == pytest.approx(divergence.sum(1).mean().item())
    assert found["kl.error"] == pytest.approx((divergence.sum(1).std() / 200**0.5).item(), rel=0.01)
    each = sorted(divergence.mean(0).tolist(), reverse=True)
    assert found["kl_per_latent"] == pytest.approx(each)


def test_codebook_usage_by_its_histogram():
    images = torch.tensor([0, 2, 0, 3, 0, 2, 3, 0], dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 2, 2)
    found = measure(CodebookUsage(), Coding(), Side(test=images))
    assert found["codebook_usage"] == 0.75
    assert found["codebook_perplexity"] == pytest.approx(2**1.5)
    assert found["codebook_use"] == pytest.approx([0.5, 0.25, 0.25, 0])


def test_ranks_do_not_matter_even_without_images(doubles, monkeypatch):
    data = doubles.ImageData()
    model = Linear(data.pixels)
    one, few = measure(ActiveUnits(n=70), model, data), measure(ActiveUnits(n=3), model, data, batch_size=3)
    several = measure_on_ranks(monkeypatch, lambda: ActiveUnits(n=70), model, data, batch_size=9)
    assert several.pop("kl_per_latent") == pytest.approx(one.pop("kl_per_latent"))
    assert several == pytest.approx(one)
    several = measure_on_ranks(monkeypatch, lambda: ActiveUnits(n=3), model, data, world=4, batch_size=3)
    assert several["kl"] == pytest.approx(few["kl"])
    coded = Side(test=torch.arange(4, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 2, 2))
    assert measure_on_ranks(monkeypatch, CodebookUsage, Coding(), coded, batch_size=1)["codebook_perplexity"] == (
        pytest.approx(4)
    )


def test_curves_reach_the_report(doubles, tmp_path):
    class Model(Linear, doubles.Sampler):
        def __init__(self, pixels):
            Linear.__init__(self, pixels)
            doubles.Sampler.__init__(self)

    data = doubles.ImageData()
    evaluator = SampleEvaluator(data, 10, [], {"latents": ActiveUnits}, cache_dir=tmp_path, progress=False)
    report = evaluator.evaluate(Model(data.pixels))
    assert set(report.metrics) == {"active_units", "active_units_share", "kl", "kl_error"}
    assert len(report.curves["kl_per_latent"]) == 3
    assert report.protocol["metrics"]["latents"] == {"n": 200, "split": "test", "active_above": 0.01}
