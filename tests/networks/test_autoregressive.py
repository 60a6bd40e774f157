"""PixelCNN and the Row LSTM: receptive fields, and sampling values one after the other."""

import itertools
import time

import pytest
import torch
from torch import nn

from gan_lab.networks.ancestral import inverse_cdf, sample, sample_naively
from gan_lab.networks.pixelcnn import PixelCNN
from gan_lab.networks.pixelrnn import RowLSTM

networks = pytest.mark.parametrize("family", [PixelCNN, RowLSTM])
channel_counts = pytest.mark.parametrize("channels", [1, 3])


def make(family, channels, height, width, levels=3, maps=10, layers=2, first=3, **more):
    """A small network in float64 with weights that are large enough for its logits to differ."""
    torch.manual_seed(0)
    network = family(channels, height, width, levels, maps, layers, first=first, head=13, **more).double().eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0, 0.5)
    return network


def draw(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def seen_by_pixelcnn(rows, left, layers):
    """Says whether a value depends on one ``rows`` above and ``left`` columns to the left: on all, at this size."""
    return (rows, left) > (0, 0)


def seen_by_row_lstm(rows, left, layers):
    """The triangle in the class's docstring, with r = k = 1."""
    if rows == 0:
        return 0 < left <= 1 + layers
    return rows > 0 and -rows <= left <= 1 + layers + rows


@pytest.mark.parametrize("embed", [0, 2])
@channel_counts
@pytest.mark.parametrize(("family", "seen"), [(PixelCNN, seen_by_pixelcnn), (RowLSTM, seen_by_row_lstm)])
def test_a_value_depends_on_the_values_before_it_only(family, seen, channels, embed):
    height, width, layers = 4, 6, 6 if family is PixelCNN else 2
    network = make(family, channels, height, width, layers=layers, embed=embed)
    values = torch.randint(
        0, 3, (8, channels, height, width)
    )  # several, because a ReLU may hide a value in one of them
    x = network.embed(values).detach().requires_grad_()
    logits = network.logits(x).mul(draw(3, 1, 1, 1)).sum((0, 1))
    places = list(itertools.product(range(channels), range(height), range(width)))
    for c, i, j in places:
        (slope,) = torch.autograd.grad(logits[c, i, j], x, retain_graph=True)
        found = (slope != 0).any(0).unflatten(0, (channels, -1)).any(1)
        for place in places:
            rows, left = i - place[1], j - place[2]
            expected = seen(rows, left, layers) if rows or left else place[0] < c
            assert found[place] == expected, ((c, i, j), place)


@networks
@pytest.mark.parametrize(("channels", "levels"), [(1, 2), (1, 3), (2, 2)])
def test_the_probabilities_of_all_images_sum_to_one(family, channels, levels):
    network = make(family, channels, 2, 2, levels)
    images = torch.tensor(list(itertools.product(range(levels), repeat=4 * channels))).view(-1, channels, 2, 2)
    logs = network(images).log_softmax(1).gather(1, images[:, None]).flatten(1).sum(1)
    assert logs.exp().sum().item() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("embed", [0, 2])
@channel_counts
@networks
def test_the_logits_at_each_pixel_equal_those_of_forward(family, channels, embed, dtype, error):
    network = make(family, channels, 4, 5, embed=embed, classes=2).to(dtype)
    values, labels = torch.randint(0, 3, (3, channels, 4, 5)), torch.tensor([0, 1, 1])
    state = network.init_state(values, labels)
    found = torch.empty(3, 3, channels, 4, 5, dtype=dtype)
    for i in range(4):
        network.start_row(state, i)
        for j in range(5):
            found[..., i, j] = network.at_pixel(state, i, j)
    torch.testing.assert_close(found, network(values, labels), atol=error, rtol=0)


@channel_counts
@networks
def test_sampling_with_memory_equals_naive_sampling(family, channels):
    network = make(family, channels, 4, 5, classes=2)
    uniforms, labels = draw(6, channels, 4, 5), torch.arange(6) % 2
    found = sample(network, uniforms, labels=labels)
    assert found.unique().tolist() == [0, 1, 2]
    assert found.equal(sample_naively(network, uniforms, labels=labels))
    assert not found.equal(sample(network, uniforms, labels=1 - labels))

    known, mask = torch.randint(0, 3, found.shape), draw(6, 1, 4, 5) < 0.5
    filled = sample(network, uniforms, known, mask, labels)
    assert filled.equal(sample_naively(network, uniforms, known, mask, labels))
    assert filled.where(mask, known).equal(known) and not filled.equal(known)


@networks
def test_a_sample_does_not_depend_on_its_batch(family):
    network = make(family, 3, 4, 5)
    uniforms = draw(5, 3, 4, 5)
    assert sample(network, uniforms)[3:4].equal(sample(network, uniforms[3:4]))


@networks
def test_logits_depend_on_the_label(family):
    network = make(family, 1, 4, 4, classes=3)
    values = torch.zeros(3, 1, 4, 4, dtype=torch.long)
    logits = network(values, torch.arange(3))
    assert all((logits[a] - logits[b]).abs().max() > 1e-3 for a, b in ((0, 1), (0, 2), (1, 2)))


def test_levels_are_sampled_with_their_probabilities():
    shares = torch.tensor([0.1, 0.0, 0.6, 0.3], dtype=torch.float64)
    uniforms = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    drawn = inverse_cdf(shares.log().expand(1000, 4), uniforms)
    assert drawn.bincount(minlength=4).tolist() == [100, 0, 600, 300]
    assert inverse_cdf(torch.zeros(1, 256), torch.tensor([1 - 2**-24])).item() == 255


@networks
def test_dropout_is_active_in_training_only(family):
    network = make(family, 1, 4, 4, dropout=0.5)
    values = torch.zeros(1, 1, 4, 4, dtype=torch.long)
    assert network(values).equal(network(values))
    network.train()
    assert not network(values).equal(network(values))


@networks
def test_memory_makes_sampling_at_least_ten_times_as_fast(family):
    """At 28×28; without memory each value costs a run over the whole image, a few of which are timed."""
    network = family(1, 28, 28, levels=2, maps=32, layers=4, head=16).eval()
    uniforms = torch.rand(32, 1, 28, 28)
    start = time.perf_counter()
    values = sample(network, uniforms)
    fast = time.perf_counter() - start
    with torch.no_grad():
        start = time.perf_counter()
        for _ in range(3):
            network(values)
    assert (time.perf_counter() - start) / 3 * 28 * 28 > 10 * fast
