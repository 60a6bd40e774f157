"""Cells against their equations written out, and what networks that continue sequences see, are fed and give."""

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gan_lab.networks.forecasting import ConvLSTM, PredRNN, to_frames, to_maps
from gan_lab.networks.recurrent import ConvLSTMCell, SpatioTemporalLSTMCell
from gan_lab.networks.simvp import SimVP

CHANNELS, HEIGHT, WIDTH = 2, 8, 12
GIVEN = 3

small = {"maps": 6, "layers": 2, "kernel": 3}
FAMILIES = {
    "convlstm": partial(ConvLSTM, patch=2, **small),
    "predrnn": partial(PredRNN, patch=2, **small),
    "simvp": partial(SimVP, context_frames=GIVEN, hidden=8, blocks=2, kernels=(1, 3), groups=2, **small),
}
families = pytest.mark.parametrize("family", FAMILIES)
recurrent = pytest.mark.parametrize("family", ["convlstm", "predrnn"])


def make(family, **more):
    """A small network in float64 whose weights are large enough for its predictions to differ."""
    torch.manual_seed(0)
    network = FAMILIES[family](CHANNELS, HEIGHT, WIDTH, **more).double()
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0, 0.3)
    return network


def clip(length, n=2, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, length, CHANNELS, HEIGHT, WIDTH, generator=generator, dtype=torch.float64) * 2 - 1


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def filled(cell):
    """A cell in float64 with known weights, and its convolutions as functions of lists of scalars, at one pixel."""
    torch.manual_seed(0)
    cell.double()
    for parameter in cell.parameters():
        nn.init.normal_(parameter)

    def by_hand(conv):
        weight, bias = conv.weight[:, :, 0, 0].tolist(), conv.bias.tolist()
        return lambda x: [
            b + sum(w * v for w, v in zip(row, x, strict=True)) for row, b in zip(weight, bias, strict=True)
        ]

    return {name: by_hand(conv) for name, conv in cell.named_children()}


def pixel(*values):
    return torch.tensor(values, dtype=torch.float64).view(1, -1, 1, 1)


def test_the_convlstm_cell_is_equation_3():
    cell = ConvLSTMCell(1, 1, 1)
    convs = filled(cell)
    x, hidden, before = 0.3, -0.5, 0.8
    i, f, g, o = convs["gates"]([x, hidden])
    after = sigmoid(f) * before + sigmoid(i) * math.tanh(g)
    expected = sigmoid(o) * math.tanh(after)
    out, state = cell(pixel(x), (pixel(hidden), pixel(before)))
    assert out.item() == state[0].item() == pytest.approx(expected, abs=1e-12)
    assert state[1].item() == pytest.approx(after, abs=1e-12)


def test_the_spatiotemporal_cell_is_its_equations():
    cell = SpatioTemporalLSTMCell(1, 2, 1)
    convs = filled(cell)
    x, hidden, before, memory = [0.3], [-0.5, 0.2], [0.8, -0.9], [0.1, 0.4]

    def write(gates, cell):
        return [
            sigmoid(gates[2 + k]) * cell[k] + sigmoid(gates[k]) * math.tanh(gates[4 + k])  # input, forget, content
            for k in range(2)
        ]

    after = write(convs["temporal"](x + hidden), before)
    stored = write(convs["spatial"](x + memory), memory)
    out = convs["out"](x + hidden + after + stored)
    mixed = convs["fuse"](after + stored)
    expected = [sigmoid(o) * math.tanh(m) for o, m in zip(out, mixed, strict=True)]

    found, state = cell(pixel(*x), tuple(pixel(*each) for each in (hidden, before, memory)))
    assert found.equal(state[0])
    for tensor, numbers in zip(state, (expected, after, stored), strict=True):
        assert tensor.flatten().tolist() == pytest.approx(numbers, abs=1e-12)


def test_one_convolution_over_two_is_the_sum_of_one_over_each():
    """The published form: what the input gives the gates, and what the hidden state does."""
    torch.manual_seed(0)
    cell, x = ConvLSTMCell(3, 4, 3), torch.randn(2, 3, 5, 6)
    hidden, before = torch.randn(2, 2, 4, 5, 6).unbind()
    of_x, of_hidden = cell.gates.weight.split((3, 4), 1)
    gates = F.conv2d(x, of_x, cell.gates.bias, padding=1) + F.conv2d(hidden, of_hidden, padding=1)
    i, f, g, o = gates.chunk(4, 1)
    after = f.sigmoid() * before + i.sigmoid() * g.tanh()
    torch.testing.assert_close(cell(x, (hidden, before))[1], (o.sigmoid() * after.tanh(), after))


@pytest.mark.parametrize(
    ("cell", "names"), [(ConvLSTMCell, ["gates"]), (SpatioTemporalLSTMCell, ["temporal", "spatial"])]
)
def test_a_cell_begins_empty_and_keeps_what_it_holds(cell, names):
    made = cell(8, 8, 5)
    assert not any(part.any() for part in made.init_state(2, 3, 4)) and made.init_state(2, 3, 4)[0].shape == (
        2,
        8,
        3,
        4,
    )
    for name in names:
        bias = getattr(made, name).bias.detach().view(-1, 8)
        assert (bias[1] > 0.9).all() and (bias[[0, *range(2, len(bias))]].abs() < 0.1).all()


def test_frames_become_maps_in_which_black_is_nothing_and_come_back():
    frames = clip(3)
    maps = to_maps(frames, 4)
    assert maps.shape == (2, 3, CHANNELS * 16, 2, 3)
    torch.testing.assert_close(to_frames(maps, 4), frames)
    assert to_maps(torch.full((1, 1, 1, 4, 4), -1.0), 2).unique().tolist() == [0]
    assert maps[0, 0, :16, 0, 0].equal((frames[0, 0, 0, :4, :4].flatten() + 1) / 2)  # a square's pixels in raster order


def gates_from_nothing(conv, x, *zeros):
    """Of a convolution over x and states that are zero."""
    weight = conv.weight[:, : x.shape[1]]
    return F.conv2d(x, weight, conv.bias, padding=weight.shape[-1] // 2)


def test_one_time_step_of_convlstm_is_its_convolutions():
    network, frames = make("convlstm"), clip(1)
    x = to_maps(frames[:, 0], 2)
    read = []
    for cell in network.encoder:
        i, _, g, o = gates_from_nothing(cell.gates, x).chunk(4, 1)
        content = i.sigmoid() * g.tanh()
        x = o.sigmoid() * content.tanh()
        read.append((x, content))
    x, made = to_maps(frames[:, 0], 2), []
    for cell, (hidden, content) in zip(network.forecaster, read, strict=True):
        i, f, g, o = F.conv2d(torch.cat([x, hidden], 1), cell.gates.weight, cell.gates.bias, padding=1).chunk(4, 1)
        x = o.sigmoid() * (f.sigmoid() * content + i.sigmoid() * g.tanh()).tanh()
        made.append(x)
    expected = to_frames(F.conv2d(torch.cat(made, 1), network.out.weight, network.out.bias), 2)
    torch.testing.assert_close(network(frames, 1)[:, 0], expected)


def test_one_time_step_of_predrnn_is_its_convolutions():
    network, frames = make("predrnn"), clip(1)
    x, memory = to_maps(frames[:, 0], 2), torch.zeros(2, 6, 4, 6, dtype=torch.float64)
    for layer in network.cells:
        i, _, g = gates_from_nothing(layer.temporal, x).chunk(3, 1)
        cell = i.sigmoid() * g.tanh()
        spatial = F.conv2d(torch.cat([x, memory], 1), layer.spatial.weight, layer.spatial.bias, padding=1)
        i, f, g = spatial.chunk(3, 1)
        memory = f.sigmoid() * memory + i.sigmoid() * g.tanh()
        out = layer.out(torch.cat([x, torch.zeros_like(cell), cell, memory], 1))
        x = out.sigmoid() * layer.fuse(torch.cat([cell, memory], 1)).tanh()
    torch.testing.assert_close(network(frames, 1)[:, 0], to_frames(network.out(x), 2))


@families
def test_a_prediction_sees_what_is_before_it_and_no_other(family):
    """Frames given, and true ones that are fed."""
    network = make(family)
    frames, truth = clip(GIVEN).requires_grad_(), clip(3, seed=2).requires_grad_()
    made = network(frames, 4, truth, torch.ones(2, 3, dtype=torch.bool))
    first = GIVEN + 4 - made.shape[1]  # which frame the first prediction is of
    reach = GIVEN if family == "simvp" else GIVEN + 3  # SimVP is not fed
    for k, picture in enumerate(made.unbind(1), first):
        slopes = torch.autograd.grad(picture[0].sum(), (frames, truth), retain_graph=True, materialize_grads=True)
        seen = torch.cat(slopes, 1).abs().sum((2, 3, 4)) > 0
        assert seen[0].tolist() == [j < min(k, reach) for j in range(GIVEN + 3)]
        assert not seen[1].any()  # the other sequence


@recurrent
def test_nothing_fed_is_its_own_predictions(family):
    network, frames, truth = make(family), clip(3), clip(3, seed=2)
    alone = network(frames, 4)
    assert alone.equal(network(frames, 4, truth, torch.zeros(2, 3, dtype=torch.bool)))
    assert not alone.equal(network(frames, 4, truth, torch.ones(2, 3, dtype=torch.bool)))


def test_predrnn_fed_everything_is_teacher_forcing():
    """It is as if all frames were given."""
    network, frames, truth = make("predrnn"), clip(3), clip(3, seed=2)
    fed = network(frames, 4, truth, torch.ones(2, 3, dtype=torch.bool))
    torch.testing.assert_close(fed, network(torch.cat([frames, truth], 1), 1))
    again = torch.cat([frames, network(frames, 1)[:, -1:]], 1)
    torch.testing.assert_close(network(frames, 2), network(again, 1))


@pytest.mark.parametrize("forced", [True, False])
def test_convlstm_fed_everything_or_nothing_is_a_loop(forced):
    network, frames, truth = make("convlstm"), clip(3), clip(3, seed=2)
    states = [cell.init_state(2, 4, 6) for cell in network.encoder]
    for x in to_maps(frames, 2).unbind(1):
        for layer, cell in enumerate(network.encoder):
            x, states[layer] = cell(x, states[layer])
    expected, x = [], frames[:, -1]
    for s in range(4):
        x, hidden = to_maps(x, 2), []
        for layer, cell in enumerate(network.forecaster):
            x, states[layer] = cell(x, states[layer])
            hidden.append(x)
        expected.append(to_frames(network.out(torch.cat(hidden, 1)), 2))
        x = truth[:, s] if forced and s < 3 else expected[-1]
    fed = torch.full((2, 3), forced)
    torch.testing.assert_close(network(frames, 4, truth, fed), torch.stack(expected, 1))


@recurrent
def test_each_sequence_is_fed_as_is_said_of_it(family):
    network, frames, truth = make(family), clip(2), clip(3, seed=2)
    fed = torch.tensor([[True, False, True], [False, True, False]])
    together = network(frames, 4, truth, fed)
    for i in range(2):
        one = slice(i, i + 1)
        torch.testing.assert_close(together[one], network(frames[one], 4, truth[one], fed[one]))


@pytest.mark.parametrize("given", [1, 2, 5])
@pytest.mark.parametrize("steps", [1, 3, 7])
@families
def test_any_number_of_frames_follow_any_number(family, given, steps):
    made = make(family)(clip(given), steps)
    assert made.shape == (2, given - 1 + steps if family == "predrnn" else steps, CHANNELS, HEIGHT, WIDTH)
    assert made.isfinite().all()


def test_simvp_rolls_out_in_blocks():
    network, frames = make("simvp"), clip(GIVEN)
    made = network(frames, 2 * GIVEN)
    torch.testing.assert_close(made[:, :GIVEN], network(frames, GIVEN))
    torch.testing.assert_close(made[:, GIVEN:], network(made[:, :GIVEN], GIVEN))
    torch.testing.assert_close(made[:, :2], network(frames, 2))
    torch.testing.assert_close(network(torch.cat([clip(4, seed=3), frames], 1), 4), made[:, :4])
    few = frames[:, :1].expand(-1, GIVEN - 1, -1, -1, -1)
    torch.testing.assert_close(network(frames[:, :2], 4), network(torch.cat([few[:, 1:], frames[:, :2]], 1), 4))


def test_simvp_of_the_papers_size_has_its_number_of_weights():
    with torch.device("meta"):
        network = SimVP(1, 64, 64, context_frames=10)
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(58.0e6, rel=0.01)  # OpenSTL's benchmark


@pytest.mark.parametrize("autocast", [False, True])
@recurrent
def test_checkpointing_leaves_gradients_as_they_are(family, autocast):
    frames, truth, fed = clip(3), clip(2, seed=2), torch.tensor([[True, False], [False, True]])
    found = []
    for checkpointing in (False, True):
        network = make(family, checkpointing=checkpointing).float()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            made = network(frames.float(), 3, truth.float(), fed).float()
            made.square().mean().backward()
        found.append([made, *(p.grad for p in network.parameters())])
    assert all(a.equal(b) for a, b in zip(*found, strict=True))


@families
def test_sides_that_do_not_divide_are_refused(family):
    with pytest.raises(ValueError, match=r"multiples of 2 px, not 8×9: data\.size=8 works"):
        FAMILIES[family](1, 8, 9)
    with pytest.raises(ValueError, match=r"data\.size=8 works"):
        make(family)(clip(2)[..., :7], 1)


@families
def test_even_kernels_are_refused(family):
    with pytest.raises(ValueError, match="kernel=4 is not valid: give an odd number such as 5"):
        FAMILIES[family](1, 8, 8, kernel=4)
