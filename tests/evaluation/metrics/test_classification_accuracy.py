"""The accuracy of classifiers that are trained on samples."""

from functools import partial

import pytest
import torch

from gan_lab.evaluation.metrics import classification_accuracy
from gan_lab.evaluation.metrics.classification_accuracy import ClassificationAccuracy
from gan_lab.evaluation.model_metric import EvalOptions

K = 3


def drawn(labels, seed):
    """Returns noise with a bright bar at a place that depends on the class."""
    random = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 90, (len(labels), 1, 12, 12), generator=random, dtype=torch.uint8)
    for k in range(K):
        images[labels == k, :, 4 * k : 4 * k + 3] += 120
    return images


class Data:
    channels, height, width, classes, name = 1, 12, 12, K, "bars"

    def __init__(self):
        self.own = {"train": torch.arange(240) // 80, "test": torch.arange(90) // 30}  # in order, as folders are

    def images(self, split, limit=None):
        yield from drawn(self.own[split], seed=len(self.own[split]))[:limit].split(50)

    def labels(self, split):
        return self.own[split]

    def count(self, split):
        return len(self.own[split])

    def fingerprint(self, split):
        return split

    def describe(self):
        return {}


class Painter:
    classes, device = K, torch.device("cpu")

    def __init__(self, wrong=0):
        self.wrong = wrong

    def sample(self, n, seed=0, start=0, label=None, truncation=1.0):
        return drawn((label + self.wrong) % K, seed=start) / 127.5 - 1


@pytest.fixture
def measured(tmp_path):
    return partial(measure, cache_dir=str(tmp_path))


def measure(model, cache_dir):
    metric = ClassificationAccuracy(n=120, steps=30)
    assert metric.applies_to(model, Data())
    metric.update(model, Data(), EvalOptions(batch_size=50, progress=False, cache_dir=cache_dir))
    found = metric.compute()
    assert metric.described == {"real": 120, "test": 90}
    return found


def test_good_samples_train_and_wrong_ones_mislead(measured, monkeypatch):
    before = torch.random.get_rng_state()
    train, calls = classification_accuracy.train_classifier, []
    monkeypatch.setattr(classification_accuracy, "train_classifier", lambda *a: calls.append(1) or train(*a))
    good, bad = measured(Painter()), measured(Painter(wrong=1))
    assert len(calls) == 5  # real images only once
    assert good["cas"] > 0.9 and good["cas.real"] > 0.9 and good["cas.both"] > 0.9
    assert bad["cas"] < 0.2 and bad["cas.real"] == good["cas.real"]
    assert good["cas.error"] == (good["cas"] * (1 - good["cas"]) / 90) ** 0.5
    assert torch.equal(torch.random.get_rng_state(), before)


def test_it_does_not_apply_to_unconditional_models():
    model = Painter()
    model.classes = 0
    assert not ClassificationAccuracy().applies_to(model, Data())
