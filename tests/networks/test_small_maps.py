"""Convolutions as products of matrices, against PyTorch's."""

import copy

import pytest
import torch
from torch import Tensor, nn

from gan_lab.networks import small_maps, unet
from gan_lab.networks.small_maps import Conv2d, ConvTranspose2d
from gan_lab.training.alternating import to_channels_last

LAYERS = {
    "halving": lambda: Conv2d(6, 5, 4, 2, 1, bias=False),
    "3×3": lambda: Conv2d(6, 5, 3, 1, 1),
    "oblong": lambda: Conv2d(6, 5, (3, 2), (2, 1), (0, 1)),
    "pointwise": lambda: Conv2d(6, 5, 1),
    "doubling": lambda: ConvTranspose2d(6, 5, 4, 2, 1, bias=False),
    "with output padding": lambda: ConvTranspose2d(6, 5, 3, 2, 1, 1),
    "oblong, transposed": lambda: ConvTranspose2d(6, 5, (3, 2), (2, 1), (0, 1)),
}


def library(layer: nn.Module, x: Tensor) -> Tensor:
    """What PyTorch's layer makes of ``x``."""
    return type(layer).__bases__[0].forward(layer, x)  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def _few_weights_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_maps, "MANY", 1)


def products(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Records which matrices are made."""
    made, real = [], small_maps._matrix
    monkeypatch.setattr(
        small_maps, "_matrix", lambda layer, kind: made.append(type(layer).__name__) or real(layer, kind)
    )
    return made


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("bf16", "bound"), [(False, 1e-5), (True, 8e-3)])
def test_equals_the_librarys(
    name: str, layout: torch.memory_format, bf16: bool, bound: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    layer, made, found = LAYERS[name](), products(monkeypatch), []
    if layout == torch.channels_last:
        to_channels_last(layer)
    x = torch.randn(2, 6, 4, 4).contiguous(memory_format=layout).requires_grad_()
    for run in (lambda x: layer(x), lambda x: library(layer, x)):
        layer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            y = run(x)
        (gradient,) = torch.autograd.grad(y.float().square().sum(), x, retain_graph=True)
        y.float().square().sum().backward(inputs=[*layer.parameters()])
        found.append([y.detach().float(), gradient, *(p.grad for p in layer.parameters())])
        assert y.dtype == (torch.bfloat16 if bf16 else torch.float32)
    assert made == [type(layer).__name__]
    for ours, theirs in zip(*found, strict=True):
        assert (ours - theirs).norm() <= bound * theirs.norm()


@pytest.mark.parametrize("name", ["halving", "doubling"])
def test_second_derivatives(name: str) -> None:
    torch.manual_seed(0)
    layer = LAYERS[name]().double()
    x = torch.randn(1, 6, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, x)
    assert torch.autograd.gradgradcheck(layer, x)


@pytest.mark.parametrize(
    "layer",
    [
        Conv2d(4, 4, 3, groups=2),
        Conv2d(4, 4, 3, padding="same"),
        Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        Conv2d(4, 4, 2, dilation=2),
        ConvTranspose2d(4, 4, 3, groups=2),
    ],
)
def test_other_options_are_left_to_the_library(layer: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    made = products(monkeypatch)
    x = torch.randn(1, 4, 4, 4)
    assert torch.equal(layer(x), library(layer, x))
    assert not made


def test_large_maps_and_small_kernels_are_left_to_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    made, layer = products(monkeypatch), LAYERS["3×3"]()
    layer(torch.randn(1, 6, 8, 8))
    assert made == ["Conv2d"]
    layer(torch.randn(1, 6, 8, 9))
    monkeypatch.setattr(small_maps, "MANY", layer.weight.numel() + 1)
    layer(torch.randn(1, 6, 8, 8))
    assert made == ["Conv2d"]


def test_maps_smaller_than_the_kernel_are_refused_as_before() -> None:
    with pytest.raises(RuntimeError, match="Kernel size can't be greater"):
        Conv2d(6, 5, 4)(torch.randn(1, 6, 2, 2))


@pytest.mark.parametrize("bf16", [False, True])
def test_a_u_net_is_the_same_network(bf16: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    net, images = unet.Generator(3, 3, 8, 5, dropout=0), torch.randn(1, 3, 64, 64)
    to_channels_last(net)
    found = []
    for many in (1, 1 << 40):
        monkeypatch.setattr(small_maps, "MANY", many)
        its = copy.deepcopy(net)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            y = its(images).float()
        y.square().mean().backward()
        found.append((y.detach(), torch.cat([p.grad.flatten() for p in its.parameters()])))
    for ours, theirs in zip(*found, strict=True):
        assert (ours - theirs).norm() <= (0.1 if bf16 else 1e-4) * theirs.norm()
