"""Averages with power functions as weights, against direct sums."""

import pytest
import torch
from torch import nn

from gan_lab.common.errors import UserError
from gan_lab.training.ema import EMA
from gan_lab.training.options import EngineOptions
from gan_lab.training.power_average import PowerAverages, exponent, relative_width

STEPS, DIM = 2000, 256


@pytest.fixture(scope="module")
def walk():
    """The weights of a network after each step, and averages of three widths over them."""
    torch.manual_seed(0)
    path, network = torch.randn(STEPS, DIM).cumsum(0) / STEPS**0.5, nn.Linear(DIM, 1, bias=False)
    averages = PowerAverages({"g": network}, [0.05, 0.1, 0.15])
    for step, weights in enumerate(path, 1):
        network.weight.data.copy_(weights[None])
        averages.update({"g": network}, 4, 4 * step)
    return path, averages


def direct(path, width):
    weights = (torch.arange(1, STEPS + 1).double() / STEPS) ** exponent(width)
    return (weights[:, None] * path.double()).sum(0) / weights.sum()


@pytest.mark.parametrize(("width", "gamma"), [(0.05, 16.97), (0.10, 6.94)])
def test_exponents_are_edm2s(width, gamma):
    assert exponent(width) == pytest.approx(gamma, abs=0.005)
    assert relative_width(exponent(width)) == pytest.approx(width, rel=1e-6)


def test_averages_weigh_the_past_by_a_power(walk):
    path, averages = walk
    for width, average in zip([0.05, 0.1, 0.15], averages.averages, strict=True):
        torch.testing.assert_close(average["g"].weight[0].double(), direct(path, width), atol=0.005, rtol=0)


@pytest.mark.parametrize("width", [0.06, 0.07, 0.08, 0.12])
def test_other_widths_are_reconstructed(walk, width):
    """From averages at one time alone this is no identity; the nearest average is more than twice as far away."""
    path, averages = walk
    network, expected = nn.Linear(DIM, 1, bias=False), direct(path, width)
    averages.reconstruct(width, {"g": network})
    nearest = min((direct(path, other) - expected).square().mean() for other in (0.05, 0.1, 0.15))
    assert (network.weight[0].double() - expected).square().mean() < 0.25 * nearest


def test_a_width_that_is_averaged_is_returned(walk):
    network = nn.Linear(DIM, 1, bias=False)
    walk[1].reconstruct(0.1, {"g": network})
    torch.testing.assert_close(network.weight, walk[1].averages[1]["g"].weight)


def test_buffers_are_averaged_and_counters_copied():
    norm = nn.BatchNorm1d(2)
    averages = PowerAverages({"g": norm}, [0.05, 0.1])
    norm.running_mean.fill_(3.0)
    norm.num_batches_tracked.fill_(7)
    averages.update({"g": norm}, 4, 4)  # the first images: nothing is before them
    assert averages.averages[0]["g"].running_mean.tolist() == [3.0, 3.0]
    assert averages.averages[1]["g"].num_batches_tracked == 7


def test_other_widths_are_refused(walk):
    for widths in ([0.05], [0.05, 0.5], [0.001, 0.1]):
        with pytest.raises(UserError, match="ema_widths"):
            PowerAverages({}, widths)
    with pytest.raises(UserError, match="between those"):
        walk[1].reconstruct(0.2, {})
    with pytest.raises(UserError, match=r"model\.engine\.ema_widths"):
        EMA({"g": nn.Linear(1, 1)}, 10).reconstruct(0.07)
    with pytest.raises(UserError, match="ema_half_life"):
        EngineOptions(ema_half_life=None, ema_widths=[0.05, 0.1]).average({"g": nn.Linear(1, 1)})
