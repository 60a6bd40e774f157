"""The base of translating methods, with the smallest networks."""

from functools import partial

import pytest
import torch
from torch import nn

from gan_lab.common.capabilities import Translates
from gan_lab.common.errors import UserError
from gan_lab.losses.adversarial import LeastSquares
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.losses.penalties import R1
from gan_lab.models.bases.translation import TranslationModule, eval_mode
from gan_lab.networks.layers import Dropout
from gan_lab.training.options import EngineOptions

DOMAIN = {"channels": 3, "labels": 0}


def make(network, ema_half_life=None, **options):
    adam = partial(torch.optim.Adam, lr=1e-3)
    sides = {"domains": {"a": DOMAIN, "b": DOMAIN}, "g_optimizer": adam, "d_optimizer": adam}
    options = {"objective": AdversarialObjective(LeastSquares()), **sides, **options}
    engine = EngineOptions(ema_half_life=ema_half_life)
    return TranslationModule({"a2b": network}, {"discriminator": nn.Conv2d(3, 1, 1)}, engine=engine, **options)


@pytest.fixture
def noisy():
    """Batch norm with running statistics far from any image's, then dropout."""
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), Dropout(0.5))
    nn.init.constant_(network[1].running_mean, 5.0)
    return network


IMAGES = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_it_satisfies_translates():
    module = make(nn.Conv2d(3, 3, 1))
    assert isinstance(module, Translates)
    assert module.directions == ("a2b",)


def test_translation_is_deterministic_by_default(noisy):
    module = make(noisy)
    expected = noisy.eval()(IMAGES)
    torch.testing.assert_close(module.train().translate(IMAGES, "b", seed=1), expected)
    assert noisy.training


def test_dropout_at_test_is_a_function_of_seed_and_number(noisy):
    module = make(noisy, dropout_at_test=True)
    once = module.translate(IMAGES, "b", seed=4)
    assert torch.equal(module.translate(IMAGES[1:], "b", seed=4, start=1), once[1:])
    assert not torch.equal(module.translate(IMAGES, "b", seed=5), once)
    assert 0.3 < (once == 0).float().mean() < 0.7


def test_batch_statistics_at_test_are_of_each_image_and_change_no_buffer(noisy):
    module = make(noisy, batch_statistics_at_test=True)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    out = module.translate(IMAGES * torch.tensor([1.0, 10.0, 100.0]).view(3, 1, 1, 1), "b")
    torch.testing.assert_close(out.mean((2, 3)), torch.zeros(3, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.var((2, 3), unbiased=False), torch.ones(3, 3), atol=1e-3, rtol=0)
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_eval_mode_restores_modes(noisy):
    noisy.train()
    noisy[2].eval()
    with eval_mode(noisy, dropout=0, batch_statistics=True):
        assert [module.training for module in noisy] == [False, True, False]
        assert (noisy[2](torch.ones(100)) == 0).any()
    assert [module.training for module in noisy] == [True, True, False]
    assert noisy[1].track_running_stats
    assert torch.equal(noisy[2](torch.ones(100)), torch.ones(100))


def test_the_average_translates_if_there_is_one():
    module = make(nn.Conv2d(3, 3, 1), ema_half_life=100.0)
    nn.init.zeros_(module.a2b.weight)
    assert module.translate(IMAGES, "b").abs().mean() > 0.1


def test_an_unknown_direction_is_refused():
    with pytest.raises(UserError, match="translates a2b, not to 'a'"):
        make(nn.Conv2d(3, 3, 1)).translate(IMAGES, "a")


def test_numbers_of_objects_cannot_be_generated():
    maps = {"labels": 2, "instances": True}
    assert make(nn.Conv2d(3, 3, 1), domains={"a": maps, "b": DOMAIN}).domains["a"].instances
    with pytest.raises(UserError, match=r"give data\.domains\.b\.instances=false"):
        make(nn.Conv2d(3, 3, 1), domains={"a": DOMAIN, "b": maps})


def test_a_per_sample_penalty_with_batch_norm_is_refused():
    adam = partial(torch.optim.Adam, lr=1e-3)
    with pytest.raises(UserError, match=r"discriminator_b .* loss\.discriminator\.norm"):
        TranslationModule(
            {"a2b": nn.Conv2d(3, 3, 1)}, {"discriminator_b": nn.BatchNorm2d(3)}, {"a": DOMAIN, "b": DOMAIN},
            AdversarialObjective(LeastSquares(), {"r1": R1()}), adam, adam,
        )  # fmt: skip
