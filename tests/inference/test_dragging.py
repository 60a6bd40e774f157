"""Dragging, with a generator of blobs that its codes place."""

import pytest
import torch
from small_models import small_stylegan2
from torch import nn

from gan_lab.common.errors import UserError
from gan_lab.inference.dragging import drag, features, sampled
from gan_lab.inference.spaces import LatentSpace, space_of

SIDE = 48


class Blob(nn.Module):
    """Maps (n, 2) places of two blobs to maps of their hats: one for each, their sum, and where they are absent."""

    def forward(self, places):
        line = torch.arange(SIDE).float()
        rows, columns = torch.meshgrid(line, line, indexing="ij")
        hats = []
        for row, column, width in ((0, 1, 6.0), (2, 3, 4.0)):
            squares = (rows - places[:, row, None, None]) ** 2 + (columns - places[:, column, None, None]) ** 2
            hats.append(torch.exp(-squares / 2 / width**2))
        return torch.stack([*hats, hats[0] + hats[1], 1 - hats[0]], 1)


class Blobs(nn.Module):
    """Images of two blobs; latents (n, 4) are their rows and columns, from the middle, in units of 10 px."""

    def __init__(self):
        super().__init__()
        self.blob = Blob()

    def latents(self, n, seed=0, start=0, truncation=1.0, label=None):
        return torch.randn(n, 4, generator=torch.Generator().manual_seed(seed + start))

    def decode(self, latents, label=None):
        return self.blob(SIDE / 2 + 10 * latents)[:, :3] - 1


@pytest.mark.parametrize("number", range(20))
def test_a_handle_arrives_at_its_target(number):
    generator = torch.Generator().manual_seed(number)
    begin = torch.tensor([[0.0, 0.0, 1.5, 1.5]]) + 0.4 * torch.randn(1, 4, generator=generator).clamp(-2, 2)
    handle = SIDE / 2 + 10 * begin[:, :2]
    target = (handle + 8 * torch.nn.functional.normalize(torch.randn(1, 2, generator=generator))).clamp(6, SIDE - 7)
    space = LatentSpace(Blobs())
    found = drag(space, begin, handle, target, steps=150, rate=0.02, search=4, reduction=1)
    assert found.left.item() <= 2
    truth = SIDE / 2 + 10 * found.codes[:, :2]
    assert (truth - target).norm() <= 2.5
    assert torch.equal(found.image, space.images(found.codes).clamp(-1, 1))
    assert torch.equal(found.paths[0], handle) and len(found.paths) > 1


def test_what_may_not_move_is_kept():
    space, begin = LatentSpace(Blobs()), torch.tensor([[-1.0, -1.0, 1.2, 1.2]])
    handles = SIDE / 2 + 10 * begin.view(2, 2)
    targets = handles + torch.tensor([[6.0, 0.0], [-6.0, 0.0]])
    movable = torch.ones(1, 1, SIDE, SIDE)
    movable[..., 24:, 24:] = 0
    free = drag(space, begin, handles, targets, steps=60, rate=0.02, search=4, reduction=1)
    kept = drag(space, begin, handles, targets, movable, steps=60, rate=0.02, search=4, reduction=1, kept=100.0)
    moves = [(SIDE / 2 + 10 * each.codes.view(2, 2) - handles).norm(dim=1) for each in (free, kept)]
    assert moves[0].min() > 3 and moves[1][0] > 3 and moves[1][1] < 0.3


def test_features_between_pixels_are_bilinear():
    maps = torch.arange(12.0).view(1, 1, 3, 4)
    points = torch.tensor([[[0.0, 0.0], [1.0, 2.5], [2.0, 3.0]]])
    assert sampled(maps, points, torch.ones(2))[0, :, 0].tolist() == pytest.approx([0, 6.5, 11], abs=1e-5)
    halves = sampled(maps, torch.tensor([[[0.5, 0.5]]]), torch.full((2,), 0.5))  # the centre of the first map's pixel
    assert halves.item() == pytest.approx(0, abs=1e-5)


def test_only_the_first_layers_of_styles_change():
    space = space_of(small_stylegan2())
    codes = space.of_samples(1)
    points = torch.tensor([[8.0, 8.0]])
    found = drag(space, codes, points, points + 4, steps=2, search=2, reduction=1, layers=3)
    changed = (found.codes - codes).abs().amax((0, 2))
    assert changed[0] > 0 and changed[2] > 0 and not changed[3:].any()  # the second is that of the small image


def test_points_outside_and_other_sizes_are_refused():
    space = space_of(small_stylegan2())
    codes, inside = space.of_samples(1), torch.tensor([[8.0, 8.0]])
    with pytest.raises(UserError, match="outside of the image of 16×16 px"):
        drag(space, codes, inside, torch.tensor([[8.0, 16.0]]))
    with pytest.raises(UserError, match="a target for each handle"):
        drag(space, codes, inside, torch.tensor([8.0, 16.0]))
    with pytest.raises(UserError, match=r"no maps of 2×2, but 4×4, 8×8, 16×16"):
        features(space, codes, 8, None)
