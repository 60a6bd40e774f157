"""pix2pix: what the discriminator sees, and what is weighed how."""

from functools import partial

import torch
from torch import nn

from gan_lab.losses.adversarial import NonSaturating
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.models.pix2pix import Pix2Pix
from gan_lab.training.noise import KeyedStream


class Seeing(nn.Module):
    """A discriminator that keeps what it was shown and answers with its mean."""

    def __init__(self):
        super().__init__()
        self.shown, self.weight = [], nn.Parameter(torch.ones(()))

    def forward(self, images):
        self.shown.append(images)
        return self.weight * images.mean((1, 2, 3))


def make():
    adam, objective = partial(torch.optim.Adam, lr=1e-3), AdversarialObjective(NonSaturating())
    domains = {"a": {"channels": 1, "labels": 2}, "b": {"channels": 1, "labels": 0}}
    return Pix2Pix(nn.Conv2d(2, 1, 1), Seeing(), domains, objective, adam, adam)


BATCH = {"source": torch.rand(2, 2, 4, 4), "target": torch.rand(2, 1, 4, 4)}


def test_the_discriminator_sees_source_and_target_and_learns_at_half_pace():
    model = make()
    drawn = model.shared_forward(BATCH, KeyedStream(0))
    losses = model.d_losses(BATCH, drawn, KeyedStream(0))
    real, fake = model.discriminator.shown
    assert torch.equal(real, torch.cat([BATCH["source"], BATCH["target"]], 1))
    assert torch.equal(fake, torch.cat([BATCH["source"], drawn["fake"]], 1))
    logits = [images.mean((1, 2, 3)) for images in (real, fake)]
    expected = (nn.functional.softplus(-logits[0]) + nn.functional.softplus(logits[1])).mean() / 2
    torch.testing.assert_close(losses.terms["adversarial"], expected)


def test_the_generator_is_held_to_the_target():
    model = make()
    drawn = {"fake": BATCH["target"] + 0.25}
    terms = model.g_losses(BATCH, drawn, KeyedStream(0)).terms
    torch.testing.assert_close(terms["l1"], torch.tensor(25.0))
    shown = torch.cat([BATCH["source"], drawn["fake"]], 1).mean((1, 2, 3))
    torch.testing.assert_close(terms["adversarial"], nn.functional.softplus(-shown).mean())
