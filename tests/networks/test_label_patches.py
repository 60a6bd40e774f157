"""Convolutions of label maps by tables of their patches, equal to the convolutions in result and gradients."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gan_lab.networks import label_patches
from gan_lab.networks.label_patches import find_patches, pixel_codes


def layers():
    torch.manual_seed(0)
    return nn.Conv2d(6, 5, 3, 1, 1), nn.Conv2d(5, 4, 3, 1, 1)


def label_maps(height=40, width=64, cell=8):
    """Areas of one class, a corner of no class, and the edges of an object."""
    random = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 5, (3, height // cell, width // cell), generator=random)
    ids = ids.repeat_interleave(cell, 1).repeat_interleave(cell, 2)
    maps = F.one_hot(ids, 6).permute(0, 3, 1, 2).float()
    maps[:, :5, :9, :9] = 0
    maps[0, 5, 12, 10:50] = 1
    return maps


def found(labels):
    return find_patches(labels, pixel_codes(labels))


def test_tables_give_what_the_convolutions_give():
    (first, second), labels = layers(), label_maps()
    weights = torch.randn(3, 4, 40, 64)
    results = []
    for convolve in (lambda: second(F.relu(first(labels))), lambda: found(labels).convolved(first, second)):
        result = convolve()
        gradients = torch.autograd.grad((result * weights).sum(), [*first.parameters(), *second.parameters()])
        results.append([result, *gradients])
    assert len(found(labels).inner) < 0.4 * 3 * 40 * 64
    for own, expected in zip(*results, strict=True):
        torch.testing.assert_close(own, expected, atol=1e-4, rtol=1e-4)


def test_gradients_of_16_bits_add_up_in_float32():
    """Ten thousand ones: a sum in bfloat16 would stop at 256."""
    table = torch.zeros(2, 3, dtype=torch.bfloat16, requires_grad=True)
    label_patches._taken(table, torch.ones(10_000, dtype=torch.int64)).sum().backward()
    torch.testing.assert_close(table.grad[1].float(), torch.full((3,), 10_000.0), rtol=1e-2, atol=0)
    assert not table.grad[0].any()


def test_equal_pixels_have_equal_codes_and_others_have_not():
    labels = label_maps()
    codes, kinds = pixel_codes(labels).flatten(), labels.movedim(1, 3).flatten(0, 2).unique(dim=0, return_inverse=True)
    assert len(codes.unique()) == len(kinds[0])
    assert all(len(codes[kinds[1] == kind].unique()) == 1 for kind in range(len(kinds[0])))


@pytest.mark.parametrize("labels", [label_maps(16, 16), torch.rand(3, 6, 40, 64)], ids=["small", "without repetitions"])
def test_maps_for_which_a_table_does_not_pay_have_none(labels):
    assert found(labels) is None


def test_an_export_does_not_look_for_patches():
    class Network(nn.Module):
        def forward(self, labels):
            return labels * float(pixel_codes(labels) is None)

    assert torch.jit.trace(Network(), label_maps(), check_trace=False)(label_maps()).any()
    assert not Network()(label_maps()).any()


def test_few_numbers_of_rows_occur_so_that_a_cpu_compiles_few_programs():
    tables = [found(label_maps(cell=cell, height=64)) for cell in range(8, 33)]
    rows = {len(table.rows) for table in tables} | {len(table.inner) for table in tables}
    assert len(rows) < len(tables)
    for count in rows:
        assert count % (1 << max(count.bit_length() - 5, 0)) == 0
