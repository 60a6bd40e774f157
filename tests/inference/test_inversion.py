"""Inversion, against generators that can be inverted by hand."""

import pytest
import torch
from small_models import small_stylegan2

from gan_lab.common.errors import UserError
from gan_lab.common.seeds import seed_of
from gan_lab.inference.inversion import correlation, editability, invert, normalised, schedule
from gan_lab.inference.spaces import LatentSpace, space_of, spread_of


class Linear:
    """Images (n, 1, 2, 3) that are linear in latents (n, 4)."""

    matrix = torch.tensor([[2.0, 0, 0, 0, 0, 1], [0, 1, 0, 0, 0, 0], [0, 0, 3, 0, 1, 0], [0, 0, 0, 1, 0, 0]])

    def latents(self, n, seed=0, start=0, truncation=1.0, label=None):
        rows = [torch.Generator().manual_seed(seed_of(seed, start + i)) for i in range(n)]
        return torch.stack([torch.randn(4, generator=row) for row in rows]) if n else torch.zeros(0, 4)

    def decode(self, latents, label=None):
        return (latents @ self.matrix).view(-1, 1, 2, 3) / 5


@pytest.fixture
def space():
    return LatentSpace(Linear())


def test_the_code_of_a_linear_generator_is_found(space):
    codes = space.of_samples(5, seed=3)
    found = invert(space, space.images(codes), steps=300)
    torch.testing.assert_close(found.codes, codes, atol=2e-3, rtol=0)
    torch.testing.assert_close(found.images, space.images(codes).clamp(-1, 1), atol=1e-3, rtol=0)
    torch.testing.assert_close(found.from_prior, codes.square().mean(1).sqrt(), atol=0.1, rtol=0)


def test_an_image_does_not_depend_on_the_others_of_its_batch(space):
    images = space.images(space.of_samples(3, seed=3))
    together = invert(space, images, steps=20, starts=3, seed=7, start=4)
    alone = [invert(space, images[i : i + 1], steps=20, starts=3, seed=7, start=4 + i) for i in range(3)]
    torch.testing.assert_close(together.codes, torch.cat([each.codes for each in alone]))


def test_the_best_of_several_starts_is_kept(space):
    images = space.images(space.of_samples(4, seed=3))
    one, five = (invert(space, images, steps=3, starts=starts) for starts in (1, 5))
    assert (five.losses <= one.losses).all() and (five.losses < one.losses).any()


class Encoded(Linear):
    """The same with an encoder, whose codes are off by ``error``."""

    def __init__(self, error=0.0):
        self.error = error

    def encode(self, image, label=None):
        return 5 * image.flatten(1) @ torch.linalg.pinv(self.matrix) + self.error


def test_without_steps_the_code_is_the_encoders(space):
    codes = space.of_samples(3, seed=3)
    found = invert(LatentSpace(Encoded()), space.images(codes), steps=0)
    torch.testing.assert_close(found.codes, codes)
    with pytest.raises(UserError, match="own encoder, and it has none of space=z: give steps=500"):
        invert(space, space.images(codes), steps=0)


def test_starts_are_the_encoders_code_then_the_mean_then_samples(space):
    images, spread = space.images(space.of_samples(3, seed=3)), spread_of(space, 500)
    far = LatentSpace(Encoded(error=100.0))
    alone, mean, sampled = (invert(far, images, steps=0, starts=starts, spread=spread) for starts in (1, 2, 40))
    assert (alone.from_prior > 50).all() and (mean.from_prior < 1e-3).all()
    assert (sampled.losses <= mean.losses).all() and (sampled.losses < mean.losses).any()


def test_few_steps_come_nearer_from_the_encoders_code(space):
    images = space.images(space.of_samples(3, seed=3))
    near, plain = (invert(each, images, steps=20) for each in (LatentSpace(Encoded(error=0.2)), space))
    assert (near.losses < plain.losses).all()


def test_one_style_starts_from_the_mean_of_the_encoders_styles():
    model = small_stylegan2()
    model.encode_styles = lambda image, label=None: torch.arange(36.0).view(1, 6, 6).expand(len(image), -1, -1)
    images = model.sample(2)
    one, each = (invert(space_of(model, name), images, steps=0).codes for name in ("w", "w+"))
    assert torch.equal(each[0], torch.arange(36.0).view(6, 6)) and torch.equal(one[1], each[1].mean(0))


def test_the_prior_pulls_codes_to_the_mean(space):
    images = space.images(3 * space.of_samples(2, seed=3))
    free, pulled = (invert(space, images, steps=100, prior=prior) for prior in (0.0, 1.0))
    assert (pulled.from_prior < free.from_prior).all()
    assert 1 < free.usual < 3


def test_codes_of_samples_are_as_easy_to_edit_as_samples():
    """An image that is linear in its code changes alike everywhere; beyond its range it does not change at all."""
    wide = LatentSpace(Linear())
    wide.images = lambda codes: 0.1 * LatentSpace(Linear()).images(codes)
    spread = spread_of(wide, 500)
    codes = torch.cat([wide.of_samples(2, seed=4), torch.full((1, 4), 1000.0)])
    found = editability(wide, codes, spread)
    torch.testing.assert_close(found[:2], torch.ones(2), rtol=1e-3, atol=0)
    assert found[2] < 0.1


def test_the_rate_rises_and_falls_as_in_the_paper():
    assert schedule(0) == pytest.approx(0, abs=1e-6) and schedule(0.025) == pytest.approx(0.5)
    assert schedule(0.05) == schedule(0.5) == schedule(0.75) == 1
    assert schedule(0.875) == pytest.approx(0.5) and schedule(1) == pytest.approx(0)


def test_correlation_counts_equal_neighbours_at_every_size():
    assert correlation(torch.ones(2, 1, 16, 16)).tolist() == [2 + 2 * 16] * 2  # doubled means of fours are 2
    checkerboard = torch.ones(16, 16)
    checkerboard[::2, 1::2] = checkerboard[1::2, ::2] = -1
    assert correlation(checkerboard[None, None]).item() == 2
    torch.manual_seed(0)
    assert correlation(torch.randn(1, 1, 64, 64)).item() < 0.2


def test_normalised_noise_has_mean_0_and_deviation_1():
    noise = normalised(3 + 2 * torch.randn(2, 1, 8, 8))
    torch.testing.assert_close(noise.mean((1, 2, 3)), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(noise.square().mean((1, 2, 3)), torch.ones(2))


@pytest.mark.parametrize("name", ["z", "w", "w+"])
def test_images_of_a_model_with_styles_come_nearer_in_every_space(name):
    model = small_stylegan2()
    space = space_of(model, name)
    spread = spread_of(space, 200)
    images = space.images(space.of_samples(2, seed=5))
    before = (space.images(space.repeated(spread.mean, 2)) - images).square().mean((1, 2, 3))
    noise = None if name == "z" else 1e3
    found = invert(space, images, steps=60, spread=spread, noise_weight=noise)
    assert ((found.images - images).square().mean((1, 2, 3)) < 0.3 * before).all()
    assert len(found.noise) == (0 if name == "z" else len(space.noise_sizes))
    again = space.images(found.codes, found.noise or None).clamp(-1, 1)
    assert torch.equal(again, found.images)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(parameter.requires_grad for parameter in model.generator.parameters())


def test_what_does_not_fit_is_refused_in_words(space):
    with pytest.raises(UserError, match=r"images of \(1, 2, 3\), not of \(1, 4, 4\)"):
        invert(space, torch.zeros(1, 1, 4, 4))
    with pytest.raises(UserError, match="no noise of layers"):
        invert(space, torch.zeros(1, 1, 2, 3), noise_weight=1.0)
    with pytest.raises(UserError, match="has no styles"):
        space_of(Linear(), "w")
