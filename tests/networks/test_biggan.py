"""BigGAN's networks by the tables of the paper, and what its method adds to a GAN."""

import math
from functools import partial
from itertools import pairwise

import pytest
import torch
from scipy.stats import norm, truncnorm
from torch import nn

from gan_lab.losses.adversarial import NonSaturating
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.losses.orthogonal import non_orthogonality
from gan_lab.models.bases.latents import Normal
from gan_lab.models.biggan import BigGAN, resampled
from gan_lab.networks.biggan import DeepDiscriminator, DeepGenerator, Discriminator, Generator

UP, DOWN = [16, 16, 8, 4, 2, 1], [1, 2, 4, 8, 16, 16]
"""Feature maps at 128 px in multiples of ``base`` (tables 4 to 7)."""


def conv(before, after, side):
    return side * side * before * after + after


def attention(maps):
    """Queries and keys of an eighth of the maps, values of half of them, a convolution back, a gain."""
    return 2 * maps * maps // 8 + maps * maps + 1


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.fixture(autouse=True)
def quick_weights(monkeypatch):
    """Counts need no orthogonal matrices of thousands of rows."""
    monkeypatch.setattr(torch.nn.init, "orthogonal_", lambda weight: torch.nn.init.normal_(weight, 0, 0.1))


def test_biggan_at_128():
    """Appendix B, table 4: 70.4 and 88.0 million, layer by layer."""
    maps, part = [96 * each for each in UP], 20
    blocks = sum(conv(a, b, 3) + conv(b, b, 3) + conv(a, b, 1) + 2 * (128 + part) * (a + b) for a, b in pairwise(maps))
    ends = 1000 * 128 + (part + 1) * 16 * maps[0] + 2 * 96 + conv(96, 3, 3)
    expected = blocks + ends + attention(192)
    assert count(Generator(120, 3, 128, 128, 96, 1000, attention=64)) == expected == 70_433_988
    maps = [96 * each for each in DOWN]
    blocks = sum(conv(a, b, 3) + conv(b, b, 3) + conv(a, b, 1) for a, b in pairwise([3, *maps[:-1]]))
    last = 2 * conv(1536, 1536, 3)  # nothing halves, nothing changes: no convolution beside
    expected = blocks + last + 1537 + 1000 * 1536 + attention(96)
    assert count(Discriminator(3, 128, 128, 96, 1000, attention=64)) == expected == 87_982_370


def bottleneck(before, narrow, after):
    return conv(before, narrow, 1) + 2 * conv(narrow, narrow, 3) + conv(narrow, after, 1)


def test_biggan_deep_at_128():
    """Appendix B, table 7: 50.4 and 34.6 million in the paper's rounding, layer by layer."""
    maps, condition = [128 * each for each in UP], 256
    blocks = sum(
        bottleneck(a, a // 4, out) + 2 * condition * (a + 3 * a // 4) for a, b in pairwise(maps) for out in (a, b)
    )
    ends = 1000 * 128 + (condition + 1) * 16 * maps[0] + 2 * 128 + conv(128, 3, 3)
    expected = blocks + ends + attention(256)
    assert count(DeepGenerator(128, 3, 128, 128, 128, 1000, attention=64)) == expected == 50_244_484
    maps = [128 * each for each in DOWN]
    blocks = sum(
        bottleneck(a, b // 4, b) + (conv(a, b - a, 1) if b > a else 0) + bottleneck(b, b // 4, b)
        for a, b in pairwise(maps)
    )
    expected = conv(3, 128, 3) + blocks + 2049 + 1000 * 2048 + attention(256)
    assert count(DeepDiscriminator(3, 128, 128, 128, 1000, attention=64)) == expected == 34_590_210


@pytest.mark.parametrize("classes", [0, 5])
@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 32, 48), (3, 64, 64)])
def test_the_deep_networks_take_any_size_and_classes(shape, classes):
    labels = [torch.tensor([0, 4])] if classes else []
    images = DeepGenerator(10, *shape, base=4, classes=classes)(torch.randn(2, 10), *labels)
    assert images.shape == (2, *shape)
    assert DeepDiscriminator(*shape, base=4, classes=classes)(images, *labels).shape == (2,)


def test_each_part_of_a_latent_conditions_one_block():
    generator = Generator(10, 3, 64, 64, base=4).eval()
    latents = torch.randn(1, 10)
    plain = generator(latents)
    changed = []
    for part in range(generator.parts):
        seen = []
        hooks = [
            block.register_forward_hook(lambda _, __, out, seen=seen: seen.append(out)) for block in generator.blocks
        ]
        other = latents.clone()
        other[:, 2 * part : 2 * part + 2] += 1
        generator(latents)
        generator(other)
        for hook in hooks:
            hook.remove()
        half = len(seen) // 2
        changed.append([not torch.equal(a, b) for a, b in zip(seen[:half], seen[half:], strict=True)])
    blocks = len(generator.blocks)
    assert changed == [[True] * blocks, *([place >= first for place in range(blocks)] for first in range(blocks))]
    assert plain.abs().max() <= 1


def test_a_latent_with_fewer_numbers_than_parts_is_refused():
    with pytest.raises(ValueError, match=r"model\.prior\.dim=100"):
        Generator(4, 3, 64, 64, base=4)


def test_non_orthogonality_by_hand():
    """Rows (1, 1), (1, 0): their product is 1, twice; a bias and orthogonal rows of any length cost nothing."""
    weights = [torch.tensor([[1.0, 1.0], [1.0, 0.0]]), torch.tensor([1.0, 1.0]), 3 * torch.eye(3)]
    assert float(non_orthogonality(weights)) == pytest.approx(2.0)
    for matrix in (torch.randn(7, 3), torch.randn(3, 7)):
        product = matrix @ matrix.T
        expected = (product - product.diag().diag()).square().sum()
        torch.testing.assert_close(non_orthogonality([matrix]), expected)
    kernel = torch.ones(2, 1, 2, 2)
    assert float(non_orthogonality([kernel])) == pytest.approx(2 * 16.0)


@pytest.mark.parametrize("most", [0.08, 1.0, 1.9])
def test_truncated_latents_are_distributed_like_resampled_ones(most):
    latents = torch.tensor(norm.ppf((torch.arange(4000) + 0.5) / 4000))
    truncated = resampled(latents, most)
    expected = truncnorm.ppf((torch.arange(4000) + 0.5) / 4000, -most, most)
    torch.testing.assert_close(truncated, torch.tensor(expected), atol=1e-6, rtol=1e-6)
    assert math.isclose(float(resampled(torch.zeros(1), most)), 0.0, abs_tol=1e-6)


def test_the_averaged_generator_has_standing_statistics():
    """Those of the first norm follow from the weights of the layer before: its inputs are standard normal."""
    torch.manual_seed(0)
    generator = Generator(12, 1, 16, 16, base=2)
    nn.init.normal_(generator.dense.bias)
    objective, adam = AdversarialObjective(NonSaturating()), partial(torch.optim.Adam, lr=1e-3)
    gan = BigGAN(generator, nn.Linear(1, 1), Normal(12), objective, adam, adam, standing=32)
    gan.sync_buffers()
    averaged = gan.ema.networks["generator"]
    first = next(layer for layer in averaged.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm))
    weight, bias = (each.view(len(first.running_mean), -1, *each.shape[1:]) for each in averaged.dense.parameters())
    mean = bias.mean(1)
    variance = (weight.square().sum(2) + bias.square()).mean(1) - mean.square()
    torch.testing.assert_close(first.running_mean, mean, atol=0.05, rtol=0)
    torch.testing.assert_close(first.running_var, variance, atol=0, rtol=0.05)
    assert first.momentum == 0.1 and not first.training
    assert torch.equal(next(iter(generator.modules())).norm.running_mean, torch.zeros(8)), (
        "that of training keeps its own"
    )
