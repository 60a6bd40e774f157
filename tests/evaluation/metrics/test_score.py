import pytest
import torch
from torch_fidelity.metric_isc import isc_features_to_metric

from gan_lab.evaluation.metrics.score import ClassifierScore


def logits(n, classes=7):
    return 4 * torch.randn(n, classes, generator=torch.Generator().manual_seed(n))


def scored(x, order=None, **kwargs):
    metric = ClassifierScore(x.shape[1], len(x), **kwargs)
    for rows in (torch.arange(len(x)) if order is None else order).split(13):
        metric.update(x[rows], rows)
    return metric.compute()


@pytest.mark.parametrize("splits", [1, 10])
@pytest.mark.parametrize("shuffle", [None, 2020], ids=["own order", "shuffled"])
def test_equals_torch_fidelity(splits, shuffle):
    x = logits(203)
    expected = isc_features_to_metric(x, splits, shuffle is not None, 2020)
    mean, deviation, _ = scored(x, splits=splits, shuffle=shuffle)
    assert mean.item() == pytest.approx(expected["inception_score_mean"], rel=1e-9)
    assert deviation.item() == pytest.approx(expected["inception_score_std"], rel=1e-6, abs=1e-12)


def test_the_order_of_arrival_does_not_matter():
    x = logits(101)
    order = torch.randperm(101, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(scored(x, order), scored(x))


def test_certain_and_even_classes_score_their_number():
    mean, deviation, shares = scored(100 * torch.eye(5).repeat(20, 1), splits=4, shuffle=None)
    assert mean.item() == pytest.approx(5)
    assert deviation.item() == pytest.approx(0, abs=1e-9)
    assert shares.tolist() == pytest.approx([0.2] * 5)


def test_one_class_for_all_scores_one():
    mean, _, shares = scored(torch.tensor([[0.0, 50.0, 0.0]]).repeat(40, 1))
    assert mean.item() == pytest.approx(1)
    assert shares.tolist() == [0, 1, 0]


def test_more_splits_than_samples_raise():
    with pytest.raises(ValueError, match="give 1 to 4"):
        ClassifierScore(3, 4, splits=10)
