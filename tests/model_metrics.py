"""Computes model metrics in tests, on one rank or on several."""

import torch

from gan_lab.data import clip_subsets, subsets
from gan_lab.evaluation import image_sets
from gan_lab.evaluation.model_metric import EvalOptions
from gan_lab.evaluation.statistics import Statistic


class CPUModel:
    """A model on the CPU."""

    device = torch.device("cpu")


def measure(metric, model, data, **options):
    """Returns the values of a metric, which must apply to the model and its data."""
    assert metric.applies_to(model, data)
    metric.update(model, data, EvalOptions(progress=False, **options))
    return metric.compute()


def measure_on_ranks(monkeypatch, make, model, data, world=2, **options):
    """Returns the values of a metric if ranks share the inputs and their states are summed."""
    metrics = [make() for _ in range(world)]
    for rank, metric in enumerate(metrics):
        with monkeypatch.context() as patch:
            for module in (image_sets, subsets, clip_subsets):
                patch.setattr(module, "rank_and_world_size", lambda rank=rank: (rank, world))
            metric.update(model, data, EvalOptions(progress=False, **options))
    statistics = [[each for each in metric.modules() if isinstance(each, Statistic)] for metric in metrics]
    for first, *others in zip(*statistics, strict=True):
        for name in first._defaults:
            setattr(first, name, sum((getattr(other, name) for other in others), getattr(first, name)))
    return metrics[0].compute()
