"""Likelihoods sum, or integrate, to one over all possible values."""

import math

import pytest
import torch

from gan_lab.losses.likelihoods import BIN_WIDTH, Bernoulli, DiscretizedLogistic, Gaussian

LEVELS = (torch.arange(256) * 2 / 255 - 1).view(-1, 1, 1, 1)


@pytest.mark.parametrize("scale", [None, 0.05])
@pytest.mark.parametrize("location", [-3.0, -1.0, -0.3, 0.0, 0.7, 1.0, 2.0])
@pytest.mark.parametrize("log_scale", [-9.0, -4.0, -1.0, 2.0])
def test_a_discretized_logistic_sums_to_one_over_the_levels(location, log_scale, scale):
    params = (
        torch.tensor([location, log_scale] if scale is None else [location]).view(1, -1, 1, 1).expand(256, -1, 1, 1)
    )
    assert DiscretizedLogistic(scale).log_prob(params, LEVELS).double().exp().sum().item() == pytest.approx(1, abs=1e-4)


def test_a_discretized_logistic_is_the_difference_of_cumulative_probabilities():
    location, scale = torch.tensor(0.1, dtype=torch.float64), 0.2
    inner = LEVELS[1:-1].double()
    logistic = [torch.sigmoid((inner + side * BIN_WIDTH / 2 - location) / scale) for side in (1, -1)]
    log_prob = DiscretizedLogistic(scale).log_prob(location.float().expand(254, 1, 1, 1), LEVELS[1:-1])
    torch.testing.assert_close(log_prob.double(), (logistic[0] - logistic[1]).log().flatten(), atol=1e-4, rtol=0)


def test_a_bernoulli_sums_to_one_over_both_values():
    params = torch.tensor([[[[0.3, -2.0]]]]).expand(4, -1, -1, -1)
    values = torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]]).view(4, 1, 1, 2)
    assert Bernoulli().log_prob(params, values).exp().sum().item() == pytest.approx(1)
    assert Bernoulli().mean(params)[0, 0, 0].tolist() == pytest.approx([2 / (1 + math.exp(-0.3)) - 1, -0.761594])


@pytest.mark.parametrize("scale", [None, 0.3])
def test_a_gaussian_integrates_to_one_over_values_in_units_of_a_level(scale):
    values = torch.linspace(-4, 4, 20001).view(-1, 1, 1, 1)
    params = torch.tensor([0.2, math.log(0.3)] if scale is None else [0.2]).view(1, -1, 1, 1).expand(20001, -1, 1, 1)
    density = Gaussian(scale).log_prob(params, values).double().exp()
    assert density.sum().item() * (8 / 20000) / BIN_WIDTH == pytest.approx(1, abs=1e-5)


def test_a_predicted_scale_has_a_lower_bound():
    """Otherwise a value that never changes would make the density grow without bound."""
    sharp, sharper = (torch.tensor([0.0, s]).view(1, 2, 1, 1) for s in (-7.0, -30.0))
    zero = torch.zeros(1, 1, 1, 1)
    assert Gaussian().log_prob(sharper, zero).item() == Gaussian().log_prob(sharp, zero).item()


def test_the_first_parameters_of_all_channels_come_first():
    params = torch.tensor([0.1, 0.2, 0.3, -1.0, -2.0, -3.0]).view(1, 6, 1, 1)
    images = torch.tensor([0.0, 0.1, 0.2]).view(1, 3, 1, 1)
    each = [
        Gaussian().log_prob(torch.tensor([m, s]).view(1, 2, 1, 1), images[:, c : c + 1])
        for c, (m, s) in enumerate([(0.1, -1.0), (0.2, -2.0), (0.3, -3.0)])
    ]
    torch.testing.assert_close(Gaussian().log_prob(params, images), torch.stack(each).sum(0))


EVENLY = ((torch.arange(100_000) + 0.5) / 100_000).view(-1, 1, 1, 1)


def test_draw_frequencies_match_the_likelihood():
    params = torch.tensor([0.9, -2.0]).view(1, 2, 1, 1)
    drawn = DiscretizedLogistic().draw(params.expand(len(EVENLY), -1, -1, -1), EVENLY)
    levels = ((drawn + 1) / BIN_WIDTH).round().long().flatten()
    torch.testing.assert_close(levels * BIN_WIDTH - 1, drawn.flatten(), atol=1e-5, rtol=0)
    likely = DiscretizedLogistic().log_prob(params.expand(256, -1, -1, -1), LEVELS).exp()
    torch.testing.assert_close(levels.bincount(minlength=256) / len(EVENLY), likely, atol=2e-5, rtol=0)
    white = Bernoulli().draw(torch.full_like(EVENLY, 0.8473), EVENLY)
    assert set(white.unique().tolist()) == {-1, 1} and (white > 0).float().mean().item() == pytest.approx(0.7, abs=1e-4)


def test_gaussian_draws_have_its_mean_and_standard_deviation():
    drawn = Gaussian(0.1).draw(torch.full_like(EVENLY, 0.2), EVENLY)
    assert drawn.mean().item() == pytest.approx(0.2, abs=1e-4) and drawn.std().item() == pytest.approx(0.1, rel=1e-3)
