"""pix2pix: inputs of the discriminator, and weights of the losses."""

from functools import partial

import torch
from torch import nn

from gan_lab.losses.adversarial import NonSaturating
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.models.pix2pix import Pix2Pix
from gan_lab.training.noise import KeyedStream


class Recording(nn.Module):
    """A discriminator that records its inputs and returns their mean."""

    def __init__(self):
        super().__init__()
        self.inputs, self.weight = [], nn.Parameter(torch.ones(()))

    def forward(self, images):
        self.inputs.append(images)
        return self.weight * images.mean((1, 2, 3))


def make():
    adam, objective = partial(torch.optim.Adam, lr=1e-3), AdversarialObjective(NonSaturating())
    domains = {"a": {"channels": 1, "labels": 2}, "b": {"channels": 1, "labels": 0}}
    return Pix2Pix(nn.Conv2d(2, 1, 1), Recording(), domains, objective, adam, adam)


BATCH = {"source": torch.rand(2, 2, 4, 4), "target": torch.rand(2, 1, 4, 4)}


def test_the_discriminator_sees_source_and_target_and_its_loss_is_halved():
    model = make()
    shared = model.shared_forward(BATCH, KeyedStream(0))
    losses = model.d_losses(BATCH, shared, KeyedStream(0))
    real, fake = model.discriminator.inputs
    assert torch.equal(real, torch.cat([BATCH["source"], BATCH["target"]], 1))
    assert torch.equal(fake, torch.cat([BATCH["source"], shared["fake"]], 1))
    logits = [images.mean((1, 2, 3)) for images in (real, fake)]
    expected = (nn.functional.softplus(-logits[0]) + nn.functional.softplus(logits[1])).mean() / 2
    torch.testing.assert_close(losses.terms["adversarial"], expected)


def test_the_generator_has_an_l1_loss():
    model = make()
    shared = {"fake": BATCH["target"] + 0.25}
    terms = model.g_losses(BATCH, shared, KeyedStream(0)).terms
    torch.testing.assert_close(terms["l1"], torch.tensor(25.0))
    logits = torch.cat([BATCH["source"], shared["fake"]], 1).mean((1, 2, 3))
    torch.testing.assert_close(terms["adversarial"], nn.functional.softplus(-logits).mean())
