"""Pivotal tuning: the weights move, the model stays, and the change belongs to one model."""

import pytest
import torch
from small_models import small_stylegan2

from gan_lab.common.errors import UserError
from gan_lab.inference.inversion import invert
from gan_lab.inference.spaces import space_of, spread_of
from gan_lab.inference.tuning import drawing_parameters, fingerprint, load_delta, save_delta, tune, tuned


@pytest.fixture(scope="module")
def case():
    """A space, images that its model cannot draw, their inversions, and a change of weights."""
    space = space_of(small_stylegan2(), "w")
    torch.manual_seed(1)
    images = torch.rand(2, 3, 16, 16) - 0.5
    pivots = invert(space, images, steps=20, spread=spread_of(space, 100))
    return space, images, pivots, tune(space, images, pivots, steps=40, rate=3e-3)


def error(space, images, codes):
    return (space.images(codes) - images).square().mean()


def test_the_tuned_model_draws_the_images_from_their_pivots(case):
    space, images, pivots, delta = case
    before = space.images(pivots.codes)
    with tuned(space.network, delta):
        after = error(space, images, pivots.codes)
    assert after < 0.7 * (before - images).square().mean()
    assert torch.equal(space.images(pivots.codes), before)
    assert all(parameter.grad is None for parameter in space.network.parameters())


def test_half_a_change_is_half_the_way(case):
    space, _, pivots, delta = case
    name = next(iter(delta))
    own = dict(space.network.named_parameters())[name].clone()
    with tuned(space.network, delta, 0.5):
        torch.testing.assert_close(dict(space.network.named_parameters())[name].data, own + delta[name] / 2)
    with tuned(space.network, delta, 0.0):
        assert torch.equal(space.images(pivots.codes), pivots.images)


def test_locality_keeps_what_is_near_the_pivots(case):
    space, images, pivots, _ = case
    samples = space.of_samples(16, seed=9)
    plain = space.images(samples)
    changes = []
    for locality in (0.0, 10.0):
        with tuned(space.network, tune(space, images, pivots, steps=40, rate=3e-3, locality=locality)):
            changes.append((space.images(samples) - plain).square().mean())
    assert changes[1] < 0.7 * changes[0]


def test_the_mapping_network_is_part_of_the_fingerprint_but_is_not_tuned(case, tmp_path):
    space, *_, delta = case
    assert {name for name in drawing_parameters(space) if "mapping" in name} and not [
        n for n in delta if "mapping" in n
    ]
    own = fingerprint(space)
    assert own == fingerprint(space_of(small_stylegan2(), "w")) != fingerprint(space_of(small_stylegan2(1), "w"))
    save_delta(tmp_path / "delta.safetensors", delta, own)
    found = load_delta(tmp_path / "delta.safetensors", own)
    assert found.keys() == delta.keys() and all(torch.equal(found[name], delta[name]) for name in delta)
    with pytest.raises(UserError, match="of another model"):
        load_delta(tmp_path / "delta.safetensors", "another")
    (tmp_path / "empty").touch()
    with pytest.raises(UserError, match="cannot be read as changed weights"):
        load_delta(tmp_path / "empty", own)
    with pytest.raises(UserError, match="of another model"), tuned(torch.nn.Linear(1, 1), delta):
        pass
