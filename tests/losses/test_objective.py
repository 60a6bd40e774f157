"""The adversarial objective, for logits of any shape."""

import pytest
import torch

from gan_lab.common.errors import UserError
from gan_lab.losses.adversarial import Hinge, LeastSquares, NonSaturating, Relativistic, Wasserstein
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.losses.penalties import GradientPenalty
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


@pytest.mark.parametrize("loss", [LeastSquares(), Hinge(), NonSaturating(), Wasserstein()])
def test_patches_that_are_copied_count_as_real(loss):
    """The mean over all patches, as in LaMa's code: those with a generated pixel as generated, the others as real."""
    real, fake, copied = torch.randn(2, 1, 2, 4), torch.randn(2, 1, 2, 4), torch.ones(2, 1, 8, 16)
    copied[0, 0, 3, 9] = 0  # in the patch of the first row and the third column
    objective = AdversarialObjective(loss)
    found = objective.d(lambda images: images, real, fake, KeyedStream(0), copied=copied).terms["adversarial"]
    generated, copies = fake[0, 0, 0, 2], torch.cat([fake.flatten()[:2], fake.flatten()[3:]])
    middle = torch.tensor(loss.decision_threshold or 0.0)
    costs = loss.d(middle, generated) - loss.d(middle, middle)
    costs = costs + (loss.d(copies, middle) - loss.d(middle, middle)).sum()
    expected = loss.d(real, middle).mean() + costs / 16
    torch.testing.assert_close(found, expected)
    assert torch.isfinite(
        objective.d(lambda x: x.mean((1, 2, 3)), real, fake, KeyedStream(0), copied=copied).terms["adversarial"]
    )


def test_relativistic_patches_of_two_sizes_are_all_paired():
    real, fake = torch.randn(1, 1, 2, 1), torch.randn(1, 1, 3, 1)
    value = AdversarialObjective(Relativistic()).g(lambda images: images, fake, real)
    pairs = [torch.nn.functional.softplus(r - f) for r in real.flatten() for f in fake.flatten()]
    torch.testing.assert_close(value, torch.stack(pairs).mean())
