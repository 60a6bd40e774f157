"""Modes counted on samples whose modes are known."""

import math

import pytest
import torch

from gan_lab.common.capabilities import Mixture
from gan_lab.common.errors import UserError
from gan_lab.common.mixtures import NearestMode
from gan_lab.data.modules.points import PointsDataModule
from gan_lab.evaluation.features.extractors import Grey
from gan_lab.evaluation.metrics.modes import ModeCounts, ModeCoverage, StackedDigitClassifier, count_modes

OPTIONS = {"spacing": 2.0, "deviation": 0.05, "scale": 5.0, "count": 1000, "batch_size": 10}


class Numbered:
    """Sample i is the i-th of the images."""

    def __init__(self, images):
        self.images = images

    def sample(self, n, seed=0, start=0, **_):
        return self.images[start : start + n]


def test_counts_by_hand():
    metric = ModeCounts(4)
    metric.update(torch.tensor([0, 0, 1, -1]))
    metric.update(torch.tensor([0, -1]))
    found = metric.compute()
    assert found["modes"] == 2
    assert found["modes_good"] == pytest.approx(4 / 6)
    assert found["modes_kl"] == pytest.approx(0.75 * math.log(0.75 * 4) + 0.25 * math.log(0.25 * 4))
    assert found["modes_missed"] == pytest.approx(1 - 4 / 6 * 2 / 4)
    nothing = ModeCounts(4)
    nothing.update(torch.tensor([-1]))
    assert nothing.compute() == {"modes": 0, "modes_good": 0.0, "modes_kl": math.inf, "modes_missed": 1.0}


@pytest.mark.parametrize(("layout", "modes"), [("ring", 8), ("grid", 25)])
def test_the_points_of_the_data_cover_all_modes_and_are_good(layout, modes):
    """Within three deviations lie 1 - exp(-9/2) = 98.9 % of the plane's Gaussian."""
    data = PointsDataModule(layout, **OPTIONS)
    assert isinstance(data, Mixture)
    classifier = NearestMode(data.centres, data.deviation)
    found = count_modes(Numbered(data.points(20_000)[:, :, None, None]), classifier, 20_000, progress=False)
    assert found["modes"] == modes
    assert found["modes_good"] == pytest.approx(1 - math.exp(-4.5), abs=0.003)
    assert found["modes_kl"] < 0.01
    assert data.points(1000).abs().max() < 1


def test_points_have_the_deviation_and_the_spacing_stated():
    data = PointsDataModule("grid", **OPTIONS)
    points = data.points(20_000)
    offsets = points - data.centres[torch.cdist(points, data.centres).argmin(1)]
    assert offsets.std(0).tolist() == pytest.approx([0.01, 0.01], rel=0.03)
    assert data.centres.amax(0).tolist() == pytest.approx([0.8, 0.8])
    assert data.describe() | {"spacing": 2.0, "deviation": 0.05, "scale": 5.0} == data.describe()
    ring = PointsDataModule("ring", **OPTIONS).centres
    assert ring.norm(dim=1).tolist() == pytest.approx([0.4] * 8)
    with pytest.raises(UserError, match="ring, grid"):
        PointsDataModule("cube", **OPTIONS)
    with pytest.raises(UserError, match=r"data\.classes=8"):
        PointsDataModule("ring", **OPTIONS, classes=25)
    with pytest.raises(UserError, match="2 channels"):
        PointsDataModule("grid", **OPTIONS, channels=3)


def test_stacked_digits_are_numbered_by_their_channels(shared_data):
    from gan_lab.data.presets import stacked_mnist

    options = {"name": "stacked_mnist", "channels": 3, "classes": 0, "size": 32, "batch_size": 10, "cache": "memory"}
    data = stacked_mnist(str(shared_data / "mnist"), 1000, 0, **options)
    images = torch.cat(list(data.images("train")))
    classifier = StackedDigitClassifier(Grey())
    metric = ModeCoverage(classifier)
    for real in (True, False):
        for index in torch.arange(1000).split(500):
            metric.update(images[index], real, index)
    found = metric.compute()
    assert found["modes_real"] == found["modes"]
    # 1,000 of 1,000 equal modes cover 1 - exp(-1) of them.
    assert found["modes"] == pytest.approx(632, abs=20)
    one = images[:1].clone()
    one[0, 1:] = 0
    same = classifier(one[:, [0, 0, 0]])
    assert int(same) in {111 * digit for digit in range(10)}
