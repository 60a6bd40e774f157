"""Distances within classes against those of each class by itself, and accuracies by hand."""

import numpy as np
import pytest
import torch

from gan_lab.common.capabilities import LabelledImages
from gan_lab.common.images import to_uint8
from gan_lab.evaluation.evaluators.samples import SampleEvaluator
from gan_lab.evaluation.features.extractors import Extractor
from gan_lab.evaluation.metrics.classwise import ClasswiseFrechetDistance, LabelAccuracy
from gan_lab.evaluation.metrics.frechet import frechet_distance_of_moments
from gan_lab.evaluation.statistics import NotApplicableError

K, N = 3, 90


def labelled(doubles):
    """Returns real images whose class k is brighter by 20 k, and their classes."""
    data = doubles.ImageData()
    data.classes, data.name = K, "numbered"
    own = torch.arange(len(data.pixels)) * 7 % K
    data.pixels = (data.pixels / 2 + 20 * own.view(-1, 1, 1, 1)).to(torch.uint8)
    data.labels = lambda split: own
    return data, own


class Knowing(Extractor):
    """Features are a few pixels; logits 10 to 12 of 13 say the class by the brightness."""

    name = "fake"
    dim, classes, resizer, sha256 = 6, 13, "none", "1" * 64
    seen = 0

    def __init__(self, class_logits):
        super().__init__()
        self.class_logits = class_logits

    def extract(self, images):
        self.seen += len(images)
        level = images.float().mean((1, 2, 3))
        levels = torch.tensor([float(level[0])] * 10 + [64.0, 84.0, 104.0])
        return images.flatten(1)[:, ::8].float(), -(level[:, None] - levels).abs()


class Painter:
    """Sample i is of class i mod K, of every ninth sample the next one."""

    classes, device = K, torch.device("cpu")

    def sample(self, n, seed=0, start=0, label=None, truncation=1.0):
        numbers = torch.arange(start, start + n)
        label = numbers % K
        fake = torch.where(numbers % 9 == 0, (label + 1) % K, label)
        noise = torch.stack([torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(int(i))) for i in numbers])
        return (64 + 20 * fake.view(-1, 1, 1, 1) + 8 * noise) / 127.5 - 1


def gaussian(pixels, extractor):
    features = extractor(pixels)[0].double().numpy()
    return torch.from_numpy(features.mean(0)), torch.from_numpy(np.cov(features.T))


@pytest.mark.parametrize("class_logits", [{}, {"numbered": slice(10, 13)}], ids=["unknown", "known"])
def test_each_class_is_compared_with_itself(doubles, class_logits, tmp_path):
    (data, own), extractor = labelled(doubles), Knowing(class_logits)
    assert isinstance(data, LabelledImages)
    parts = {"classes": ClasswiseFrechetDistance, "labels": LabelAccuracy}

    def metrics():
        evaluator = SampleEvaluator(data, N, [extractor], parts, batch_size=16, cache_dir=tmp_path, progress=False)
        return evaluator.evaluate(Painter()).metrics

    found = metrics()
    labels = torch.arange(N) % K
    fake = to_uint8(Painter().sample(N))
    expected = [
        frechet_distance_of_moments(
            *gaussian(data.pixels[own == k], extractor), *gaussian(fake[labels == k], extractor)
        )
        for k in range(K)
    ]
    assert [found[f"fd_fake_class_{k}"] for k in range(K)] == pytest.approx(expected, rel=1e-6)
    assert found["fd_fake_classes"] == pytest.approx(sum(expected) / K, rel=1e-6)
    assert ("label_accuracy" in found) == bool(class_logits)
    if class_logits:
        assert found["label_accuracy"] == pytest.approx(8 / 9)
        assert found["label_accuracy_real"] > 0.95
    seen = extractor.seen
    assert metrics() == found
    assert extractor.seen == seen + N


def test_classes_that_cannot_be_compared_are_not_applicable():
    few, many = torch.tensor([0, 0, 1]), torch.arange(6) % 2
    with pytest.raises(NotApplicableError, match=r"fewer than 2 samples: rare \(1\)\.$"):
        ClasswiseFrechetDistance(4, (many, few), 2, ["common", "rare"])
    with pytest.raises(NotApplicableError, match=r"fewer than 2 real images: 1 \(1\), 2 \(0\)\.$"):
        ClasswiseFrechetDistance(4, (few, many), 3)
    with pytest.raises(NotApplicableError, match="half a gigabyte"):
        ClasswiseFrechetDistance(6000, (many, many), 2)
