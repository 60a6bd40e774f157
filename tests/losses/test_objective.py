"""The adversarial objective, for logits of any shape."""

import pytest
import torch

from gan_lab.common.errors import UserError
from gan_lab.losses.adversarial import Hinge, LeastSquares, NonSaturating, Relativistic, Wasserstein
from gan_lab.losses.objective import AdversarialObjective, OfImages
from gan_lab.losses.penalties import R1, GradientPenalty
from gan_lab.training.noise import KeyedStream


@pytest.mark.parametrize("loss", [LeastSquares(), Hinge()])
def test_images_of_two_sizes_are_averaged_separately(loss):
    """The loss is the mean over the patches of each side; broadcasting would weight them otherwise, or raise."""
    real, fake = torch.randn(2, 1, 5, 7), torch.randn(2, 1, 6, 1)
    losses = AdversarialObjective(loss).d(lambda images: images, real, fake, KeyedStream(0))
    nothing = torch.zeros(())
    # real patches with a fake logit of no loss, and the reverse
    costs = loss.d(real, nothing - 1).mean() + loss.d(nothing + 1, fake).mean()
    expected = costs - loss.d(nothing + 1, nothing - 1)
    if isinstance(loss, LeastSquares):
        expected = ((real - 1).square().mean() + fake.square().mean()) / 2
    torch.testing.assert_close(losses.terms["adversarial"], expected)
    assert 0 <= losses.logs["accuracy"] <= 1


def test_a_penalty_between_images_of_two_sizes_is_refused():
    real, fake = torch.randn(1, 1, 5, 7), torch.randn(1, 1, 6, 1)
    with pytest.raises(UserError, match=r"resize_and_crop\.$"):
        AdversarialObjective(Wasserstein(), {"gp": GradientPenalty()}).d(
            lambda images: images, real, fake, KeyedStream(0)
        )


def test_generated_images_may_have_a_discriminator_of_their_own():
    """Real and generated images of different classes; a penalty at real images takes the first one."""
    real, fake = torch.randn(2, 1, 3, 3), torch.randn(2, 1, 3, 3)
    objective = AdversarialObjective(LeastSquares(), {"r1": R1(1.0)})
    of_real, of_fake = (OfImages(torch.mul, other=torch.tensor(k)) for k in (2.0, 3.0))
    losses = objective.d(of_real, real, fake, KeyedStream(0), of_fake=of_fake)
    expected = ((2 * real - 1).square() + (3 * fake).square()).mean() / 2
    torch.testing.assert_close(losses.terms["adversarial"], expected)
    torch.testing.assert_close(losses.terms["r1"], torch.tensor(9 * 2.0**2 / 2))
    alone = AdversarialObjective(LeastSquares(), one_pass=True).d(of_real, real, fake, KeyedStream(0), of_fake=of_fake)
    torch.testing.assert_close(alone.terms["adversarial"], expected)


def patches_and_copies():
    """Logits of two images of 2×4 patches, and which pixels are real: all but one, in the first row's third patch."""
    real, fake, copied = torch.randn(2, 1, 2, 4), torch.randn(2, 1, 2, 4, requires_grad=True), torch.ones(2, 1, 8, 16)
    copied[0, 0, 3, 9] = 0
    generated = torch.zeros(2, 1, 2, 4, dtype=torch.bool)
    generated[0, 0, 0, 2] = True
    return real, fake, copied, generated


def patches(images):
    return images


@pytest.mark.parametrize("loss", [LeastSquares(0.1), Hinge(), NonSaturating(0.1)], ids=["ls", "hinge", "log"])
def test_patches_that_are_copied_are_learnt_as_real_and_left_out_of_the_logs(loss):
    """The gradient is that of real logits, as in LaMa's code, and of the mean over all patches."""
    real, fake, copied, generated = patches_and_copies()
    found = AdversarialObjective(loss)._d(patches, real, fake, KeyedStream(0), {}, copied, patches)
    (gradient,) = torch.autograd.grad(found.terms["adversarial"], fake)
    as_real, as_fake = (
        torch.autograd.grad(loss.d(*pair).mean(), fake)[0] for pair in ((fake, fake.detach()), (fake.detach(), fake))
    )
    torch.testing.assert_close(gradient, torch.where(generated, as_fake, as_real))
    torch.testing.assert_close(found.logs["fake"], fake[generated].mean().detach())
    right = (fake[generated] < loss.decision_threshold).float().mean()
    right = (right + (real > loss.decision_threshold).float().mean()) / 2
    torch.testing.assert_close(found.logs["accuracy"], right)


@pytest.mark.parametrize("loss", [Relativistic(), Wasserstein()])
def test_other_losses_take_all_patches_as_generated(loss):
    real, fake, copied, _ = patches_and_copies()
    objective = AdversarialObjective(loss)
    found, plain = (objective.d(patches, real, fake, KeyedStream(0), copied=each) for each in (copied, None))
    assert torch.equal(found.terms["adversarial"], plain.terms["adversarial"])


def test_a_discriminator_of_whole_images_takes_them_as_generated():
    real, fake, copied, _ = patches_and_copies()
    objective = AdversarialObjective(Hinge())
    found, plain = (
        objective.d(lambda images: images.mean((1, 2, 3)), real, fake, KeyedStream(0), copied=each)
        for each in (copied, None)
    )
    assert torch.equal(found.terms["adversarial"], plain.terms["adversarial"])


def test_relativistic_patches_of_two_sizes_are_all_paired():
    real, fake = torch.randn(1, 1, 2, 1), torch.randn(1, 1, 3, 1)
    value = AdversarialObjective(Relativistic()).g(lambda images: images, fake, real)
    pairs = [torch.nn.functional.softplus(r - f) for r in real.flatten() for f in fake.flatten()]
    torch.testing.assert_close(value, torch.stack(pairs).mean())
