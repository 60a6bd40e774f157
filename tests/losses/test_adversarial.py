"""Adversarial losses against values computed by hand."""

import math

import pytest
import torch

from gan_lab.losses.adversarial import Hinge, LeastSquares, Minimax, NonSaturating, Relativistic, Wasserstein

REAL, FAKE = 0.7, -1.3
SIGMA = 1 / (1 + math.exp(-REAL)), 1 / (1 + math.exp(-FAKE))  # σ(0.7) = 0.668188, σ(-1.3) = 0.214165

EXPECTED = {
    Minimax: (-math.log(SIGMA[0]) - math.log(1 - SIGMA[1]), math.log(1 - SIGMA[1])),
    NonSaturating: (-math.log(SIGMA[0]) - math.log(1 - SIGMA[1]), -math.log(SIGMA[1])),
    LeastSquares: ((0.3**2 + 1.3**2) / 2, 2.3**2 / 2),
    Hinge: (0.3 + 0.0, 1.3),
    Wasserstein: (-2.0, 1.3),
    Relativistic: (math.log(1 + math.exp(-2.0)), math.log(1 + math.exp(2.0))),
}


@pytest.mark.parametrize("loss", EXPECTED, ids=lambda loss: loss.__name__)
def test_value(loss):
    real, fake = torch.tensor([REAL], dtype=torch.float64), torch.tensor([FAKE], dtype=torch.float64)
    d, g = EXPECTED[loss]
    assert loss().d(real, fake).item() == pytest.approx(d, abs=1e-12)
    assert loss().g(fake, real).item() == pytest.approx(g, abs=1e-12)


@pytest.mark.parametrize("loss", [Minimax, NonSaturating])
def test_smoothing_lowers_the_target_of_real_images_only(loss):
    real, fake = torch.tensor([REAL], dtype=torch.float64), torch.tensor([FAKE], dtype=torch.float64)
    smoothed = -0.9 * math.log(SIGMA[0]) - 0.1 * math.log(1 - SIGMA[0]) - math.log(1 - SIGMA[1])
    assert loss(smooth=0.1).d(real, fake).item() == pytest.approx(smoothed, abs=1e-12)
    assert LeastSquares(smooth=0.1).d(real, fake).item() == pytest.approx((0.2**2 + 1.3**2) / 2, abs=1e-12)


@pytest.mark.parametrize("loss", EXPECTED, ids=lambda loss: loss.__name__)
def test_one_value_a_sample_and_no_overflow(loss):
    real, fake = torch.tensor([1e4, -1e4, 0.0]), torch.tensor([-1e4, 1e4, 0.0])
    for value in (loss().d(real, fake), loss().g(fake, real)):
        assert value.shape == (3,)
        assert value.isfinite().all()


def test_only_the_minimax_generator_loss_saturates():
    """At f → -∞, where the discriminator is certain, the minimax gradient vanishes; the other tends to -1."""
    for loss, slope in ((Minimax(), 0.0), (NonSaturating(), -1.0)):
        fake = torch.tensor([-30.0], requires_grad=True)
        (gradient,) = torch.autograd.grad(loss.g(fake, fake.detach()).sum(), fake)
        assert gradient.item() == pytest.approx(slope, abs=1e-9)
