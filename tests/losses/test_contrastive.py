"""Patchwise contrastive loss against closed forms."""

import math

import torch
from torch.nn.functional import normalize

from gan_lab.losses.contrastive import Heads, patch_nce, patches


def test_loss_of_orthonormal_features():
    """Orthonormal features, P = 4: -log(e^(1/τ) / (e^(1/τ) + 3))."""
    features = torch.eye(4)[None]
    expected = math.log(math.exp(1 / 0.5) + 3) - 1 / 0.5
    torch.testing.assert_close(patch_nce(features, features, 0.5), torch.tensor(expected))


def test_loss_of_equal_features():
    """Equal features give chance, log P."""
    features = torch.ones(2, 8, 1)
    torch.testing.assert_close(patch_nce(features, features), torch.tensor(math.log(8)))


def test_cosines_are_not_rounded_under_autocast():
    """bfloat16 steps by 0.004 near 1, which τ makes 0.06."""
    queries = normalize(1 + 0.1 * torch.randn(2, 64, 16), dim=2)
    keys = normalize(queries + 0.01 * torch.randn(2, 64, 16), dim=2)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = patch_nce(queries, keys)
    torch.testing.assert_close(mixed, patch_nce(queries, keys), rtol=1e-6, atol=1e-6)


def test_patches_are_contrasted_within_their_image():
    first, second = (normalize(torch.randn(1, 5, 3), dim=2) for _ in range(2))
    both = torch.cat([first, second])
    mean = (patch_nce(first, first) + patch_nce(second, second)) / 2
    torch.testing.assert_close(patch_nce(both, both), mean)


def test_keys_get_no_gradient():
    queries, keys = (torch.randn(1, 4, 3, requires_grad=True) for _ in range(2))
    patch_nce(queries, keys).backward()
    assert queries.grad.abs().sum() > 0
    assert keys.grad is None


def test_patches_are_columns_of_the_maps():
    maps = torch.arange(2 * 3 * 4 * 5.0).view(2, 3, 4, 5)
    places = torch.tensor([[0, 7], [19, 3]])
    assert torch.equal(patches(maps, places)[0, 1], maps[0, :, 1, 2])
    assert torch.equal(patches(maps, places)[1, 0], maps[1, :, 3, 4])


def test_heads_give_unit_features():
    outputs = Heads([3, 5], 64)([torch.randn(2, 4, 3), torch.randn(2, 6, 5)])
    assert [output.shape for output in outputs] == [(2, 4, 64), (2, 6, 64)]
    for output in outputs:
        torch.testing.assert_close(output.norm(dim=2), torch.ones(output.shape[:2]))
