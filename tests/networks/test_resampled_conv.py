"""Convolutions of stride 2 against the two steps that they join."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gan_lab.networks.resampled_conv import DoubledConv2d, PooledConv2d


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [(24, 32), (25, 31), (4, 6)])
def test_both_steps_and_their_gradients_equal_the_joint_one(size, layout):
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 5, 3, padding=1)
    pooled, doubled = PooledConv2d(3, 5), DoubledConv2d(3, 5)
    for each in (conv, pooled, doubled):
        each.load_state_dict(conv.state_dict())
        each.to(memory_format=layout)
    x = torch.randn(2, 3, *size).to(memory_format=layout).requires_grad_()
    steps_of = {pooled: lambda: F.avg_pool2d(conv(x), 2), doubled: lambda: conv(F.interpolate(x, scale_factor=2))}
    for both, in_steps in steps_of.items():
        joint, steps = both(x), in_steps()
        torch.testing.assert_close(joint, steps)
        weights = torch.randn_like(steps)
        found, expected = (
            torch.autograd.grad((made * weights).sum(), [x, *layer.parameters()])
            for made, layer in ((joint, both), (steps, conv))
        )
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_gradients_of_gradients_are_equal():
    """A gradient penalty differentiates a discriminator twice."""
    pooled = PooledConv2d(2, 2).double()
    conv = nn.Conv2d(2, 2, 3, padding=1).double()
    conv.load_state_dict(pooled.state_dict())
    x = torch.randn(1, 2, 32, 32, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(pooled(x).square().sum(), x, create_graph=True)
    (found,) = torch.autograd.grad(slope.square().sum(), pooled.weight)
    (slope,) = torch.autograd.grad(F.avg_pool2d(conv(x), 2).square().sum(), x, create_graph=True)
    torch.testing.assert_close(found, torch.autograd.grad(slope.square().sum(), conv.weight)[0])
