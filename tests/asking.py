"""How the tests ask a probe: on one rank, and on several that take turns."""

import torch

from gan_lab.data import clip_subsets, subsets
from gan_lab.evaluation import image_sets as sources
from gan_lab.evaluation.model_metric import EvalOptions
from gan_lab.evaluation.statistics import Statistic


class Asked:
    """What every model double has."""

    device, classes = torch.device("cpu"), 0


def asked(probe, model, data, **how):
    assert probe.applies_to(model, data)
    probe.update(model, data, EvalOptions(progress=False, **how))
    return probe.compute()


def asked_on_ranks(monkeypatch, make, model, data, world=2, **how):
    """The figures where ranks take turns and their states are summed."""
    probes = [make() for _ in range(world)]
    for rank, probe in enumerate(probes):
        with monkeypatch.context() as patch:
            for module in (sources, subsets, clip_subsets):
                patch.setattr(module, "ranks", lambda rank=rank: (rank, world))
            probe.update(model, data, EvalOptions(progress=False, **how))
    for first, *others in zip(*([m for m in p.modules() if isinstance(m, Statistic)] for p in probes), strict=True):
        for name in first._defaults:
            setattr(first, name, sum((getattr(other, name) for other in others), getattr(first, name)))
    return probes[0].compute()
