import pytest
import torch
from torch import nn

from gan_lab.training.ema import EMA


def test_half_life():
    """After one half-life in images, in steps of any size, a past state has half its weight."""
    for step in (10, 50):
        network = nn.Linear(1, 1, bias=False)
        nn.init.ones_(network.weight)
        ema = EMA({"g": network}, half_life=100)
        nn.init.zeros_(network.weight)
        for seen in range(0, 100, step):
            ema.update({"g": network}, step, images_seen=1_000_000 + seen)
        assert ema.networks["g"].weight.item() == pytest.approx(0.5, abs=1e-6)


def test_the_ramp_bounds_the_half_life_by_a_share_of_the_images_seen():
    ema = EMA({"g": nn.Linear(1, 1)}, half_life=10_000)
    assert ema.decay(64, images_seen=64) == pytest.approx(0.5 ** (64 / 3.2))
    assert ema.decay(64, images_seen=10**9) == pytest.approx(0.5 ** (64 / 10_000))
    assert EMA({"g": nn.Linear(1, 1)}, half_life=0).decay(64, 10**9) == 0


def test_float_buffers_are_averaged_integers_copied_and_the_mode_is_evaluation():
    norm = nn.BatchNorm1d(2)
    ema = EMA({"g": norm}, half_life=64).train()
    norm(torch.randn(8, 2) + 5)
    ema.update({"g": norm}, 64, images_seen=10**6)
    average = ema.networks["g"]
    assert torch.allclose(average.running_mean, norm.running_mean / 2)
    assert average.num_batches_tracked == 1
    assert not average.training
    assert not any(p.requires_grad for p in ema.parameters())
