"""Restoration: what the networks are given, and damage that does not fit."""

import pytest
import torch
from torch import nn

from gan_lab.common.errors import UserError
from gan_lab.losses.adversarial import NonSaturating
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.models.restoration import Restorer
from gan_lab.networks.completion import Completer
from gan_lab.networks.denoising import Denoiser
from gan_lab.training.noise import KeyedStream


class Spy(nn.Module):
    """A discriminator that keeps what it is given."""

    takes_known = True

    def __init__(self):
        super().__init__()
        self.seen, self.weight = [], nn.Parameter(torch.ones(()))

    def forward(self, images, known):
        self.seen.append((images, known))
        return self.weight * images.mean(1, keepdim=True)


def adam(parameters):
    return torch.optim.Adam(parameters)


@pytest.fixture
def batch():
    known = torch.ones(2, 1, 16, 16)
    known[..., :4] = 0
    image = torch.rand(2, 3, 16, 16) * 2 - 1
    return {"image": image, "damaged": image * known, "known": known}


def test_the_discriminator_is_told_what_was_known(batch, monkeypatch):
    objective, told = AdversarialObjective(NonSaturating()), {}
    model = Restorer(
        Completer(3, 4),
        adam,
        masks=True,
        discriminator=Spy(),
        objective=objective,
        d_optimizer=adam,
        discriminator_begin=0,
    )
    shared = model.shared_forward(batch, KeyedStream(0))
    own = objective.d
    monkeypatch.setattr(objective, "d", lambda *args, **options: (told.update(options), own(*args, **options))[1])
    model.d_losses(batch, shared, KeyedStream(0))
    assert told["copied"] is batch["known"]
    model.losses(batch, shared, KeyedStream(0))
    wanted = [batch["image"], shared["restored"], shared["restored"]]  # the discriminator's turn, and the restorer's
    for (images, known), each in zip(model.discriminator.seen, wanted, strict=True):
        assert torch.equal(images, each) and known is batch["known"]
    where = batch["known"].bool().expand_as(batch["image"])
    assert torch.equal(shared["restored"][where], batch["damaged"][where])


def test_damage_that_does_not_fit_is_told_in_one_sentence(batch):
    with pytest.raises(UserError, match=r"this damage leaves none: give damage=unknown\.$"):
        Restorer(Completer(3, 4), adam, masks=True).shared_forward({**batch, "known": None}, KeyedStream(0))
    with pytest.raises(UserError, match="does not fill: give model=inpaint"):
        Restorer(Denoiser(3, 4, 1), adam).shared_forward(batch, KeyedStream(0))
