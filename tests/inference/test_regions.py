"""Regions of images: maps of another code within them."""

import numpy as np
import pytest
import torch
from PIL import Image
from small_models import small_stylegan2

from gan_lab.common.errors import UserError
from gan_lab.inference.regions import region_of, swapped
from gan_lab.inference.spaces import LatentSpace, space_of


class Painter(torch.nn.Module):
    """Images (n, 1, 8, 8) of one shade, through maps of 4 and of 8 px, each made by a layer that is called twice."""

    def __init__(self):
        super().__init__()
        self.small, self.large = torch.nn.Identity(), torch.nn.Identity()

    def latents(self, n, seed=0, start=0, truncation=1.0, label=None):
        return torch.zeros(n, 1)

    def decode(self, latents, label=None):
        maps = latents[:, :, None, None].expand(-1, -1, 4, 4)
        maps = self.small(maps) + self.small(2 * maps)
        return self.large(torch.nn.functional.interpolate(maps, scale_factor=2)) / 100


def test_a_box_and_a_picture_are_regions(tmp_path):
    assert region_of((1, 2, 4, 3), (5, 6))[0, 0].nonzero().tolist() == [[2, 1], [2, 2], [2, 3]]
    Image.fromarray(np.uint8([[0, 255]]).repeat(8, 0).repeat(8, 1)).save(tmp_path / "mask.png")
    found = region_of(tmp_path / "mask.png", (4, 8))[0, 0]
    assert found.shape == (4, 8) and (found[:, :3] == 0).all() and (found[:, 5:] == 1).all()
    (tmp_path / "no.png").write_bytes(b"no image")
    for wrong, words in (((0, 0, 7, 2), "does not lie in the model's images of 6×5 px"),
                         (tmp_path / "no.png", "cannot be read as an image"),
                         (tmp_path / "mask.png", "give a picture of the model's shape, 6×5")):  # fmt: skip
        with pytest.raises(UserError, match=words):
            region_of(wrong, (5, 6))


def test_maps_come_from_the_other_code_inside_the_region():
    """A region of half the width: three times its shade there, also for two codes at once, and as before afterwards."""
    space, region = LatentSpace(Painter()), region_of((0, 0, 4, 8), (8, 8))
    with swapped(space, torch.tensor([[10.0]]), region, reduction=2):
        for _ in range(2):
            found = 100 * space.images(torch.tensor([[1.0], [2.0]]))
            torch.testing.assert_close(found[:, 0, 0, ::4], torch.tensor([[30.0, 3], [30, 6]]))
    assert (100 * space.images(torch.tensor([[1.0]]))).allclose(torch.tensor(3.0))
    with pytest.raises(UserError, match="no maps of 2×2 or less"), swapped(space, torch.ones(1, 1), region):
        pass


def test_a_whole_region_gives_the_other_image_and_an_empty_one_the_own():
    space = space_of(small_stylegan2())
    own, other = space.of_samples(2).split(1)
    for part, wanted in ((torch.ones(1, 1, 16, 16), other), (torch.zeros(1, 1, 16, 16), own)):
        with swapped(space, other, part, reduction=1):
            torch.testing.assert_close(space.images(own), space.images(wanted))
