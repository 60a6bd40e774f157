"""CUT: the contrastive loss of patches."""

from functools import partial

import pytest
import torch

from gan_lab.common.errors import UserError
from gan_lab.losses.adversarial import LeastSquares
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.models.cut import CUT
from gan_lab.networks import patchgan, resnet
from gan_lab.training.noise import KeyedStream

IMAGES = {"channels": 3, "labels": 0}


def make(**options):
    torch.manual_seed(0)
    adam = partial(torch.optim.Adam, lr=1e-3)
    return CUT(
        resnet.Generator(filters=4, blocks=2, antialias=True), patchgan.Discriminator(filters=4, layers=1),
        patches=16, objective=AdversarialObjective(LeastSquares()), g_optimizer=adam, d_optimizer=adam,
        **{"domains": {"a": IMAGES, "b": IMAGES}, "layers": (0, 4, 8, 12), **options},
    )  # fmt: skip


@pytest.fixture
def batch():
    noise = torch.Generator().manual_seed(0)
    return {side: torch.rand(4, 3, 32, 32, generator=noise) * 2 - 1 for side in "ab"}


def test_heads_exist_from_the_start():
    """The published code creates them in the first batch, and therefore needs one before it can load a checkpoint."""
    model = make()
    assert [head[0].in_features for head in model.heads.layers] == [3, 8, 16, 16]
    assert {id(p) for p in model.heads.parameters()} <= {
        id(p) for part in model.trainable("generator") for p in part.parameters()
    }


def test_an_unchanged_image_has_a_low_loss(batch):
    """An output equal to its input has a lower loss than an unrelated one."""
    model = make()
    flipped = torch.zeros(4, dtype=torch.bool)
    same = model._contrast(batch["a"], batch["a"], flipped, KeyedStream(0))
    other = model._contrast(batch["a"], batch["b"], flipped, KeyedStream(0))
    assert same < 0.8 * other


@pytest.mark.parametrize("mixed", [False, True])
def test_heads_and_encoder_get_gradients_from_the_queries(batch, mixed):
    """Under autocast too, whose cache may hold a cast of the weights without a graph."""
    model = make()
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        model._contrast(batch["a"], batch["b"], torch.zeros(4, dtype=torch.bool), KeyedStream(0)).backward()
    for part in (model.heads, *model.a2b.layers[1:12]):
        for name, parameter in part.named_parameters():
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_missing_layers_are_refused():
    with pytest.raises(UserError, match=r"generator=resnet"):
        make(layers=(0, 40))


def test_flipped_outputs_are_flipped_back(batch):
    """The loss of a flipped output is that of the unflipped one, up to the phase of the blur filters."""
    model = make(identity=False, flip_equivariance=True)
    all_flipped, none = torch.ones(4, dtype=torch.bool), torch.zeros(4, dtype=torch.bool)
    flipped_back = model._contrast(batch["a"], batch["a"].flip(3), all_flipped, KeyedStream(0))
    not_flipped_back = model._contrast(batch["a"], batch["a"].flip(3), none, KeyedStream(0))
    assert flipped_back < 0.8 * not_flipped_back
    shared = model.shared_forward(batch, KeyedStream(1))
    assert 0 < shared["flipped"].sum() < 4
    assert "same" not in shared


def test_patches_are_at_different_places():
    places = make()._places(torch.zeros(3, 1, 8, 8), KeyedStream(0))
    assert places.shape == (3, 16)
    assert all(len(set(row)) == 16 for row in places.tolist())
    assert make()._places(torch.zeros(1, 1, 2, 2), KeyedStream(0)).shape == (1, 4)


def test_different_domains_are_refused():
    with pytest.raises(UserError, match="model=pix2pix"):
        make(domains={"a": {"channels": 1}, "b": IMAGES})
