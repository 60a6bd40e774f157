"""Names beside the rows of a sheet."""

import pytest
import torch

from gan_lab.common.images import grid
from gan_lab.inference.captions import _shown, name_rows


@pytest.mark.parametrize("channels", [1, 3])
def test_each_row_has_its_name_on_the_left(channels):
    sheet = grid(torch.zeros(6, channels, 32, 32), 2)
    named = name_rows(sheet, ["happy", "", "sad"])
    margin = named[..., : -sheet.shape[-1]]
    assert torch.equal(named[..., -sheet.shape[-1] :], sheet) and named.dtype == torch.uint8
    dark = [int((part < 100).sum()) for part in margin.chunk(3, 1)]
    assert dark[0] > 20 and dark[1] == 0 and dark[2] > 20


def test_without_names_the_sheet_stays():
    sheet = grid(torch.zeros(2, 3, 8, 8))
    assert name_rows(sheet, []) is sheet


def test_long_names_are_cut_and_undrawable_ones_give_way_to_numbers():
    assert [_shown(name, 7) for name in ("x" * 30, "猫", "été")] == ["x" * 23 + "…", "7", "été"]
