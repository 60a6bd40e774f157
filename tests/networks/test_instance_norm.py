"""Our instance norm against PyTorch's, in both memory layouts, and gradients that no layout changes."""

from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from gan_lab.networks import layers, patchgan, resnet, unet
from gan_lab.networks.instance_norm import InstanceNorm2d
from gan_lab.training.alternating import to_channels_last

LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
SHAPES = [(1, 3, 5, 7), (1, 16, 32, 32), (3, 8, 6, 4), (2, 1, 4, 4), (4, 5, 1, 2)]


def reference(x: Tensor, norm: nn.InstanceNorm2d) -> Tensor:
    """The formula, in float64."""
    variance, mean = torch.var_mean(x, (2, 3), correction=0, keepdim=True)
    x = (x - mean) / (variance + norm.eps).sqrt()
    if not norm.affine:
        return x
    weight, bias = (each.detach().double()[:, None, None] for each in (norm.weight, norm.bias))
    return x * weight + bias


def maps(shape: tuple[int, ...], layout: str, kind: torch.dtype) -> Tensor:
    return (torch.randn(shape) * 2 + 3).to(kind).contiguous(memory_format=LAYOUTS[layout])


def make(affine: bool, channels: int) -> InstanceNorm2d:
    norm = InstanceNorm2d(channels, affine=affine)
    if affine:
        nn.init.normal_(norm.weight, 1, 0.2)
        nn.init.normal_(norm.bias)
    return norm


def relative(found: Tensor, expected: Tensor) -> float:
    return float((found.double() - expected).norm() / expected.norm().clamp(min=1e-12))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize(("kind", "bound"), [(torch.float32, 1e-5), (torch.bfloat16, 5e-3), (torch.float64, 1e-11)])
def test_equals_the_formula_in_each_layout_of_maps_and_gradients(
    shape: tuple[int, ...], affine: bool, kind: torch.dtype, bound: float
) -> None:
    torch.manual_seed(0)
    norm = make(affine, shape[1])
    norm = norm.double() if kind == torch.float64 else norm
    for layout, its in product(LAYOUTS, LAYOUTS):
        x, gradient = maps(shape, layout, kind).requires_grad_(), maps(shape, its, kind)
        exact = x.detach().double().contiguous().requires_grad_()
        expected = reference(exact, norm)
        found = norm(x)
        assert found.dtype == kind
        assert relative(found.detach(), expected.detach()) < bound
        (found_gradient,) = torch.autograd.grad(found, x, gradient)
        (expected_gradient,) = torch.autograd.grad(expected, exact, gradient.double())
        # Of two pixels nothing is left but rounding.
        scale = expected_gradient.norm() if shape[2] * shape[3] > 2 else gradient.double().norm()
        assert float((found_gradient.double() - expected_gradient).norm() / scale) < 2 * bound


@pytest.mark.parametrize("layout", LAYOUTS)
def test_keeps_the_layout(layout: str) -> None:
    x = maps((2, 8, 4, 4), layout, torch.float32)
    assert InstanceNorm2d(8)(x).is_contiguous(memory_format=LAYOUTS[layout])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("affine", [False, True])
def test_equals_pytorchs_under_autocast(layout: str, affine: bool) -> None:
    torch.manual_seed(0)
    ours = make(affine, 8)
    theirs = nn.InstanceNorm2d(8, affine=affine)
    theirs.load_state_dict(ours.state_dict())
    x = maps((2, 8, 6, 6), layout, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        kept = nn.functional.conv2d(x, torch.eye(8)[:, :, None, None])
        found, expected = ours(kept), theirs(kept)
    assert found.dtype == expected.dtype
    assert torch.allclose(found.float(), expected.float(), atol=0.04)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_second_derivatives(layout: str) -> None:
    torch.manual_seed(0)
    x = maps((2, 3, 3, 3), layout, torch.float64).requires_grad_()
    norm = make(True, 3).double()
    assert torch.autograd.gradcheck(norm, x)
    assert torch.autograd.gradgradcheck(norm, x)


def test_maps_of_one_pixel_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 1 spatial element"):
        InstanceNorm2d(3)(torch.zeros(1, 3, 1, 1))


def test_every_instance_norm_is_ours() -> None:
    for kind in ("instance", "plain_instance"):
        norm = layers.make_norm(kind, 4)
        assert isinstance(norm, InstanceNorm2d)
        assert list(norm.state_dict()) == list(nn.InstanceNorm2d(4, affine=kind == "instance").state_dict())


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize(
    "network",
    [
        lambda: resnet.Generator(3, 3, 8, 2),
        lambda: resnet.Generator(3, 3, 8, 1, antialias=True, init="xavier"),
        lambda: resnet.Generator(3, 3, 8, 1, norm="batch", upsample="resize"),
        lambda: unet.Generator(3, 3, 8, 4, norm="plain_instance", dropout=0),
        lambda: unet.Generator(3, 3, 8, 4, dropout=0),
        lambda: patchgan.Discriminator(3, 8),
        lambda: patchgan.Discriminator(3, 8, norm="batch"),
        lambda: patchgan.Discriminator(3, 8, antialias=True),
    ],
)
def test_gradients_do_not_depend_on_the_layout(network: Callable[[], nn.Module], batch: int) -> None:
    """With PyTorch's instance norm those of a generator were wrong by 130 % for a batch of one, channels last."""
    gradients = []
    for change in (lambda _: None, to_channels_last):
        torch.manual_seed(0)
        trained = network()
        change(trained)
        trained(torch.randn(batch, 3, 32, 32)).square().mean().backward()
        gradients.append(torch.cat([each.grad.flatten() for each in trained.parameters()]))
    assert relative(gradients[1], gradients[0].double()) < 1e-4
