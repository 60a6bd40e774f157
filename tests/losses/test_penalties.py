"""Penalties against closed forms for discriminators whose gradient is known."""

import pytest
import torch

from gan_lab.losses.penalties import DRAGAN, R1, R2, Consistency, Drift, GradientPenalty, LeCam, R1BySize, WeightClip
from gan_lab.training.noise import KeyedStream

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


def call(penalty, discriminator, real, fake):
    logits = {"real": discriminator(real), "fake": discriminator(fake)}
    return penalty(discriminator, real, fake, logits, KeyedStream(0))


def test_gradient_penalty_of_a_linear_discriminator():
    value = call(GradientPenalty(), linear, points(1), points(2))
    assert value.shape == (N,)
    assert value.detach().numpy() == pytest.approx((WEIGHT.norm().item() - 1) ** 2, rel=1e-6)


@pytest.mark.parametrize("penalty", [GradientPenalty(target=3.0), DRAGAN(target=3.0)])
def test_another_target_is_relative(penalty):
    value = call(penalty, linear, points(1), points(2))
    assert value.detach().numpy() == pytest.approx((WEIGHT.norm().item() / 3 - 1) ** 2, rel=1e-6)


def test_drift_is_the_square_of_real_logits():
    assert Drift()(None, None, None, {"real": torch.tensor([2.0, -3.0])}, None).tolist() == [4, 9]


def test_gradient_penalty_is_taken_between_real_and_fake():
    """With ∇D = x̂ the penalty is (‖εx + (1-ε)g‖ - 1)², ε from the random numbers of the turn."""
    real, fake = points(1), points(2)
    epsilon = KeyedStream(0).uniform(N, 1, 1, 1)
    expected = ((epsilon * real + (1 - epsilon) * fake).flatten(1).norm(dim=1) - 1) ** 2
    torch.testing.assert_close(call(GradientPenalty(), quadratic, real, fake), expected)


@pytest.mark.parametrize("length", [N, N + 1])
def test_gradient_penalty_of_clips_has_one_epsilon_per_clip(length):
    real, fake = torch.randn(2, N, length, 1, 3, 3).unbind()
    epsilon = KeyedStream(0).uniform(N, 1, 1, 1, 1)
    expected = ((epsilon * real + (1 - epsilon) * fake).flatten(1).norm(dim=1) - 1) ** 2
    penalties = call(GradientPenalty(), lambda clips: clips.square().sum((1, 2, 3, 4)) / 2, real, fake)
    torch.testing.assert_close(penalties, expected)


def test_dragan_is_taken_around_the_data():
    """With ∇D = x̂ it is (‖x + ½ α std(x) u‖ - 1)², α and u from the random numbers of the turn."""
    real, fake, noise = points(1), points(2), KeyedStream(0)
    near = real + 0.5 * noise.uniform(N, 1, 1, 1) * real.std(correction=0) * noise.uniform(*real.shape)
    torch.testing.assert_close(call(DRAGAN(), quadratic, real, fake), (near.flatten(1).norm(dim=1) - 1) ** 2)


def test_lecam_anchors_are_moving_averages_of_mean_logits():
    penalty, real, fake = LeCam(decay=0.75), torch.tensor([2.0, 4.0]), torch.tensor([-1.0, -3.0])

    def value(real, fake):
        return penalty(None, None, None, {"real": real, "fake": fake}, None).item()

    # The first anchors are the first means, 3 and -2.
    assert value(real, fake) == pytest.approx(((2 + 2) ** 2 + (4 + 2) ** 2) / 2 + ((-1 - 3) ** 2 + (-3 - 3) ** 2) / 2)
    # Then 0.75 · 3 + 0.25 · 1 = 2.5 and 0.75 · -2 + 0.25 · 0 = -1.5.
    assert value(torch.tensor([1.0]), torch.tensor([0.0])) == pytest.approx((1 + 1.5) ** 2 + (0 - 2.5) ** 2)
    resumed = LeCam(decay=0.75)
    resumed.load_state_dict(penalty.state_dict())
    assert resumed.anchors.tolist() == [2.5, -1.5]


@pytest.mark.parametrize(("balanced", "expected"), [(False, 9.0), (True, 9.0 + 25.0)])
def test_consistency_is_the_squared_change_of_the_logits(balanced, expected):
    def discriminator(images):
        return images.sum((1, 2, 3)) * images.new_tensor([3.0, 5.0])[int(images[0, 0, 0, 0] < 0)]

    real, fake = torch.ones(2, 1, 1, 1), -torch.ones(2, 1, 1, 1)
    penalty = Consistency(lambda images, noise: images + noise * images.sign(), balanced=balanced)
    logits = {"real": discriminator(real), "fake": discriminator(fake)}
    assert penalty(discriminator, real, fake, logits, 1.0).item() == pytest.approx(expected)


def test_the_weight_by_size_is_stylegan2_adas():
    """0.0002 · H · W / N: γ = 0.0128 at 32 px in batches of 16."""
    real, noise = torch.randn(4, 3, 32, 32, requires_grad=True), KeyedStream(0)
    logits = {"real": real.square().flatten(1).sum(1)}
    plain, ruled = (penalty(None, real, real, logits, noise) for penalty in (R1(), R1BySize(batch_size=16)))
    torch.testing.assert_close(ruled, 0.0128 * plain)


@pytest.mark.parametrize(("penalty", "which"), [(R1(), 0), (R2(), 1)])
def test_r1_and_r2(penalty, which):
    pair = points(1), points(2)
    torch.testing.assert_close(call(penalty, quadratic, *pair), pair[which].square().sum((1, 2, 3)) / 2)
    assert call(penalty, linear, *pair).detach().numpy() == pytest.approx(WEIGHT.square().sum().item() / 2, rel=1e-6)


@pytest.mark.parametrize("penalty", [R1(), R2(), GradientPenalty()], ids=lambda p: type(p).__name__)
def test_gradient_reaches_the_discriminator(penalty):
    """For D = a·½‖x‖² the derivative in a is known: R1 = ½a²‖x‖² gives a‖x‖²."""
    a = torch.tensor(2.0, requires_grad=True)
    real, fake = points(1), points(2)
    value = call(penalty, lambda x: a * quadratic(x), real, fake)
    (gradient,) = torch.autograd.grad(value.sum(), a)
    if isinstance(penalty, GradientPenalty):
        epsilon = KeyedStream(0).uniform(N, 1, 1, 1)
        norm = (epsilon * real + (1 - epsilon) * fake).flatten(1).norm(dim=1)
        expected = (2 * (2.0 * norm - 1) * norm).sum()
    else:
        expected = 2.0 * (fake if isinstance(penalty, R2) else real).square().sum()
    torch.testing.assert_close(gradient, expected)


def test_weight_clip():
    discriminator = torch.nn.Linear(3, 3)
    with torch.no_grad():
        discriminator.weight.copy_(torch.tensor([[-1.0, 0.005, 1.0]] * 3))
    WeightClip(0.01)(discriminator)
    assert discriminator.weight[0].tolist() == pytest.approx([-0.01, 0.005, 0.01])
    assert discriminator.bias.abs().max() <= 0.01
