"""Penalties against closed forms for critics whose gradient is known."""

import pytest
import torch

from gan_lab.core.noise import Keyed
from gan_lab.losses.penalties import R1, R2, GradientPenalty, WeightClip

N, SHAPE = 4, (3, 5, 5)
WEIGHT = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def linear(images):
    """∇D = w everywhere."""
    return (images.double() * WEIGHT).sum((1, 2, 3))


def quadratic(images):
    """D = ½‖x‖², so ∇D = x."""
    return images.square().sum((1, 2, 3)) / 2


def points(seed):
    return torch.randn(N, *SHAPE, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def call(penalty, critic, real, fake):
    logits = {"real": critic(real), "fake": critic(fake)}
    return penalty(critic, real, fake, logits, Keyed(0))


def test_gradient_penalty_of_a_linear_critic():
    value = call(GradientPenalty(), linear, points(1), points(2))
    assert value.shape == (N,)
    assert value.detach().numpy() == pytest.approx((WEIGHT.norm().item() - 1) ** 2, rel=1e-6)


def test_gradient_penalty_is_taken_between_real_and_fake():
    """With ∇D = x̂ the penalty is (‖εx + (1-ε)g‖ - 1)², ε from the turn's random numbers."""
    real, fake = points(1), points(2)
    epsilon = Keyed(0).uniform(N, 1, 1, 1)
    expected = ((epsilon * real + (1 - epsilon) * fake).flatten(1).norm(dim=1) - 1) ** 2
    torch.testing.assert_close(call(GradientPenalty(), quadratic, real, fake), expected)


@pytest.mark.parametrize(("penalty", "which"), [(R1(), 0), (R2(), 1)])
def test_r1_and_r2(penalty, which):
    pair = points(1), points(2)
    torch.testing.assert_close(call(penalty, quadratic, *pair), pair[which].square().sum((1, 2, 3)) / 2)
    assert call(penalty, linear, *pair).detach().numpy() == pytest.approx(WEIGHT.square().sum().item() / 2, rel=1e-6)


@pytest.mark.parametrize("penalty", [R1(), R2(), GradientPenalty()], ids=lambda p: type(p).__name__)
def test_gradient_reaches_the_critic(penalty):
    """For D = a·½‖x‖² the derivative in a is known: R1 = ½a²‖x‖² gives a‖x‖²."""
    a = torch.tensor(2.0, requires_grad=True)
    real, fake = points(1), points(2)
    value = call(penalty, lambda x: a * quadratic(x), real, fake)
    (gradient,) = torch.autograd.grad(value.sum(), a)
    if isinstance(penalty, GradientPenalty):
        epsilon = Keyed(0).uniform(N, 1, 1, 1)
        norm = (epsilon * real + (1 - epsilon) * fake).flatten(1).norm(dim=1)
        expected = (2 * (2.0 * norm - 1) * norm).sum()
    else:
        expected = 2.0 * (fake if isinstance(penalty, R2) else real).square().sum()
    torch.testing.assert_close(gradient, expected)


def test_weight_clip():
    critic = torch.nn.Linear(3, 3)
    with torch.no_grad():
        critic.weight.copy_(torch.tensor([[-1.0, 0.005, 1.0]] * 3))
    WeightClip(0.01)(critic)
    assert critic.weight[0].tolist() == pytest.approx([-0.01, 0.005, 0.01])
    assert critic.bias.abs().max() <= 0.01
