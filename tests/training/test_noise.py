import torch

from gan_lab.models.bases.latents import Normal, Uniform, draw_per_sample
from gan_lab.training.noise import KeyedStream, seed_of


def test_the_parts_make_up_the_global_batch():
    whole, parts = KeyedStream(0, 7, "draw"), [KeyedStream(0, 7, "draw", part=i, parts=4) for i in range(4)]
    for draw in (lambda k, n: k.normal(n, 3), lambda k, n: k.uniform(n, 1, 1, 1), lambda k, n: k.integers(n, 10)):
        assert torch.equal(draw(whole, 16), torch.cat([draw(part, 4) for part in parts]))


def test_the_seed_depends_on_every_part_of_the_key():
    seeds = {seed_of(0, 1, "a"), seed_of(1, 0, "a"), seed_of(0, 1, "b"), seed_of(0, 11, "a"), seed_of(0, 1, 1, "a")}
    assert len(seeds) == 5


def test_ranges_of_the_numbers():
    assert KeyedStream(1).uniform(1000).min() >= 0 and KeyedStream(1).uniform(1000).max() < 1
    assert set(KeyedStream(1).integers(1000, 5).tolist()) == {0, 1, 2, 3, 4}
    uniform = Uniform(50)(KeyedStream(2), 100)
    assert uniform.shape == (100, 50)
    assert -1 <= uniform.min() < -0.99 and 0.99 < uniform.max() < 1


def test_sample_i_depends_on_seed_and_i_alone():
    prior = Normal(8)
    rows = draw_per_sample(lambda noise: prior(noise, 1), 10, seed=3, start=5)
    assert torch.equal(rows[4:5], draw_per_sample(lambda noise: prior(noise, 1), 1, seed=3, start=9))
    assert not torch.equal(rows[4:5], draw_per_sample(lambda noise: prior(noise, 1), 1, seed=4, start=9))
    assert draw_per_sample(lambda noise: prior(noise, 1), 0, seed=3, start=0).shape == (0, 8)
    assert len({tuple(row.tolist()) for row in rows}) == 10
