"""MUNIT: its losses against the paper's equations, and styles."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from gan_lab.common.capabilities import TranslatesInStyles
from gan_lab.common.errors import UserError
from gan_lab.losses.adversarial import LeastSquares
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.models.munit import MUNIT
from gan_lab.networks.munit import Autoencoder, Discriminator
from gan_lab.training.noise import KeyedStream

IMAGES = {"channels": 3, "labels": 0}


def make(**options):
    torch.manual_seed(0)
    adam = partial(torch.optim.Adam, lr=1e-3)
    networks = [Autoencoder(3, 4, 1, 4, 8) for _ in "ab"] + [Discriminator(3, 4, 2, 2) for _ in "ab"]
    domains = {"a": IMAGES, "b": IMAGES}
    return MUNIT(*networks, domains, AdversarialObjective(LeastSquares()), adam, adam, **options)


@pytest.fixture
def batch():
    noise = torch.Generator().manual_seed(0)
    return {side: torch.rand(2, 3, 16, 16, generator=noise) * 2 - 1 for side in "ab"}


def test_losses_are_those_of_the_paper(batch):
    model = make(reconstruction=10.0, content=2.0, style=3.0, cycle=4.0, adversarial=2.0, discriminator_weight=2.0)
    shared = model.shared_forward(batch, KeyedStream(0))
    a, b, judge = model.of("a"), model.of("b"), model.discriminator_b
    content, style = a.encode(batch["a"])
    own_content, own_style = b.encode(batch["b"])
    fake = b.decode(content, shared["random_b"])
    again, found = b.encode(fake)
    expected = {
        "adversarial_b": sum((judge.logits(fake, scale) - 1).square().mean() for scale in range(2)),
        "reconstruction_b": 10 * F.l1_loss(b.decode(own_content, own_style), batch["b"]),
        "content_b": 2 * F.l1_loss(again, content),
        "style_b": 3 * F.l1_loss(found, shared["random_b"]),
        "cycle_b": 4 * F.l1_loss(a.decode(again, style), batch["a"]),
    }
    losses = model.g_losses(batch, shared, KeyedStream(0)).terms
    assert len(losses) == 2 * len(expected)
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value, msg=name)
    logits = model.d_losses(batch, shared, KeyedStream(0)).terms
    for scale in range(2):
        real, made = judge.logits(batch["b"], scale), judge.logits(fake, scale)
        torch.testing.assert_close(logits[f"adversarial_b{scale}"], (real - 1).square().mean() + made.square().mean())


def test_styles_are_drawn_or_taken_from_images(batch):
    model = make().eval()
    assert isinstance(model, TranslatesInStyles)
    styles = model.random_styles(3, "b", seed=1)
    assert torch.equal(model.random_styles(2, "b", seed=1, start=1), styles[1:])
    assert not torch.equal(model.random_styles(3, "a", seed=1), styles)
    torch.testing.assert_close(model.styles_of(batch["b"], "b"), model.a2b.styles(batch["b"]))
    assert torch.equal(model.translate(batch["a"], "b", seed=1), model.restyle(batch["a"], "b", styles[:2]))
    taken = model.restyle(batch["a"], "b", model.styles_of(batch["b"], "b"))
    assert not torch.allclose(taken, model.translate(batch["a"], "b"))
    mean = model.translator("b")(batch["a"])
    torch.testing.assert_close(mean, model.restyle(batch["a"], "b", torch.zeros(2, 4)))
    with pytest.raises(UserError, match="a2b and b2a"):
        model.translator("c")


def test_a_block_has_the_styles_statistics():
    """The maps that are added have the shift as mean, and the scale as deviation."""
    block = make().a2b.decoder.blocks[0]
    x, values = torch.randn(2, 16, 8, 8), [torch.rand(2, 16) for _ in range(4)]
    added = block(x, *values) - x
    torch.testing.assert_close(added.mean((2, 3)), values[2], atol=1e-5, rtol=0)
    torch.testing.assert_close(added.std((2, 3), correction=0), values[3], atol=1e-3, rtol=0)
