"""Recurrent cells against their equations written out, and inputs and outputs of the forecasting networks."""

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
CONTEXT = 3

small = {"maps": 6, "layers": 2, "kernel": 3}
FAMILIES = {
    "convlstm": partial(ConvLSTM, patch=2, **small),
    "predrnn": partial(PredRNN, patch=2, **small),
    "simvp": partial(SimVP, context_frames=CONTEXT, hidden=8, blocks=2, kernels=(1, 3), groups=2, **small),
}
families = pytest.mark.parametrize("family", FAMILIES)
recurrent = pytest.mark.parametrize("family", ["convlstm", "predrnn"])


def make(family, **more):
    """A small network in float64 with weights that are large enough for its predictions to differ."""
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


def test_the_convlstm_cell_computes_equation_3():
    cell = ConvLSTMCell(1, 1, 1)
    convs = filled(cell)
    x, hidden, before = 0.3, -0.5, 0.8
    i, f, g, o = convs["gates"]([x, hidden])
    after = sigmoid(f) * before + sigmoid(i) * math.tanh(g)
    expected = sigmoid(o) * math.tanh(after)
    out, state = cell(pixel(x), (pixel(hidden), pixel(before)))
    assert out.item() == state[0].item() == pytest.approx(expected, abs=1e-12)
    assert state[1].item() == pytest.approx(after, abs=1e-12)


def test_the_spatiotemporal_cell_computes_its_equations():
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


def test_one_convolution_over_both_inputs_is_the_sum_of_one_over_each():
    """The published form has a convolution of the input and one of the hidden state."""
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
def test_the_initial_state_is_zero_and_forget_gates_start_open(cell, names):
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


def test_maps_of_black_frames_are_zero_and_to_frames_inverts_to_maps():
    frames = clip(3)
    maps = to_maps(frames, 4)
    assert maps.shape == (2, 3, CHANNELS * 16, 2, 3)
    torch.testing.assert_close(to_frames(maps, 4), frames)
    assert to_maps(torch.full((1, 1, 1, 4, 4), -1.0), 2).unique().tolist() == [0]
    assert maps[0, 0, :16, 0, 0].equal((frames[0, 0, 0, :4, :4].flatten() + 1) / 2)  # a patch's pixels in raster order


def gates_from_nothing(conv, x, *zeros):
    """The gates for the input x and zero states."""
    weight = conv.weight[:, : x.shape[1]]
    return F.conv2d(x, weight, conv.bias, padding=weight.shape[-1] // 2)


def test_one_time_step_of_convlstm_equals_its_convolutions():
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


def test_one_time_step_of_predrnn_equals_its_convolutions():
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
def test_a_prediction_depends_on_the_frames_before_it_only(family):
    """Frames of the context, and true frames by teacher forcing."""
    network = make(family)
    frames, future = clip(CONTEXT).requires_grad_(), clip(3, seed=2).requires_grad_()
    made = network(frames, 4, future, torch.ones(2, 3, dtype=torch.bool))
    first = CONTEXT + 4 - made.shape[1]  # index of the first predicted frame
    reach = CONTEXT if family == "simvp" else CONTEXT + 3  # SimVP has no teacher forcing
    for k, prediction in enumerate(made.unbind(1), first):
        slopes = torch.autograd.grad(prediction[0].sum(), (frames, future), retain_graph=True, materialize_grads=True)
        seen = torch.cat(slopes, 1).abs().sum((2, 3, 4)) > 0
        assert seen[0].tolist() == [j < min(k, reach) for j in range(CONTEXT + 3)]
        assert not seen[1].any()  # the other sequence


@recurrent
def test_without_teacher_forcing_inputs_are_predictions(family):
    network, frames, future = make(family), clip(3), clip(3, seed=2)
    alone = network(frames, 4)
    assert alone.equal(network(frames, 4, future, torch.zeros(2, 3, dtype=torch.bool)))
    assert not alone.equal(network(frames, 4, future, torch.ones(2, 3, dtype=torch.bool)))


def test_full_teacher_forcing_of_predrnn_is_a_longer_context():
    network, frames, future = make("predrnn"), clip(3), clip(3, seed=2)
    teacher_mask = network(frames, 4, future, torch.ones(2, 3, dtype=torch.bool))
    torch.testing.assert_close(teacher_mask, network(torch.cat([frames, future], 1), 1))
    again = torch.cat([frames, network(frames, 1)[:, -1:]], 1)
    torch.testing.assert_close(network(frames, 2), network(again, 1))


@pytest.mark.parametrize("forced", [True, False])
def test_convlstm_with_or_without_teacher_forcing_equals_a_loop(forced):
    network, frames, future = make("convlstm"), clip(3), clip(3, seed=2)
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
        x = future[:, s] if forced and s < 3 else expected[-1]
    teacher_mask = torch.full((2, 3), forced)
    torch.testing.assert_close(network(frames, 4, future, teacher_mask), torch.stack(expected, 1))


@recurrent
def test_each_sequence_has_its_own_teacher_mask(family):
    network, frames, future = make(family), clip(2), clip(3, seed=2)
    teacher_mask = torch.tensor([[True, False, True], [False, True, False]])
    together = network(frames, 4, future, teacher_mask)
    for i in range(2):
        one = slice(i, i + 1)
        torch.testing.assert_close(together[one], network(frames[one], 4, future[one], teacher_mask[one]))


@pytest.mark.parametrize("context", [1, 2, 5])
@pytest.mark.parametrize("steps", [1, 3, 7])
@families
def test_any_number_of_frames_follows_any_number(family, context, steps):
    made = make(family)(clip(context), steps)
    assert made.shape == (2, context - 1 + steps if family == "predrnn" else steps, CHANNELS, HEIGHT, WIDTH)
    assert made.isfinite().all()


def test_simvp_predicts_in_blocks():
    network, frames = make("simvp"), clip(CONTEXT)
    made = network(frames, 2 * CONTEXT)
    torch.testing.assert_close(made[:, :CONTEXT], network(frames, CONTEXT))
    torch.testing.assert_close(made[:, CONTEXT:], network(made[:, :CONTEXT], CONTEXT))
    torch.testing.assert_close(made[:, :2], network(frames, 2))
    torch.testing.assert_close(network(torch.cat([clip(4, seed=3), frames], 1), 4), made[:, :4])
    few = frames[:, :1].expand(-1, CONTEXT - 1, -1, -1, -1)
    torch.testing.assert_close(network(frames[:, :2], 4), network(torch.cat([few[:, 1:], frames[:, :2]], 1), 4))


def test_simvp_of_the_papers_size_has_the_published_number_of_parameters():
    with torch.device("meta"):
        network = SimVP(1, 64, 64, context_frames=10)
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(58.0e6, rel=0.01)  # OpenSTL's benchmark


@pytest.mark.parametrize("autocast", [False, True])
@recurrent
def test_checkpointing_does_not_change_gradients(family, autocast):
    frames, future, teacher_mask = clip(3), clip(2, seed=2), torch.tensor([[True, False], [False, True]])
    found = []
    for checkpointing in (False, True):
        network = make(family, checkpointing=checkpointing).float()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            made = network(frames.float(), 3, future.float(), teacher_mask).float()
            made.square().mean().backward()
        found.append([made, *(p.grad for p in network.parameters())])
    assert all(a.equal(b) for a, b in zip(*found, strict=True))


@families
def test_sides_that_are_no_multiples_are_refused(family):
    with pytest.raises(ValueError, match=r"multiples of 2 px, not 8×9: data\.size=8 works"):
        FAMILIES[family](1, 8, 9)
    with pytest.raises(ValueError, match=r"data\.size=8 works"):
        make(family)(clip(2)[..., :7], 1)


@families
def test_even_kernels_are_refused(family):
    with pytest.raises(ValueError, match="kernel=4 is not valid: give an odd number such as 5"):
        FAMILIES[family](1, 8, 8, kernel=4)
