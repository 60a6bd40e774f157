"""Statistics of how images look, on patterns whose values are known."""

import pytest
import torch
import torch.nn.functional as F
from patterns import pattern, pictures

from gan_lab.training.callbacks import looks


@pytest.mark.parametrize("side", [16, 28, 33, 64])
@pytest.mark.parametrize(("rows", "columns"), [(True, True), (True, False), (False, True)])
def test_a_checkerboard_stands_out_at_any_size(side, rows, columns):
    images = pictures(side=side)
    board = looks.checkerboard(images + 0.15 * pattern(side, rows, columns))
    assert looks.checkerboard(images).prominence < 3 < 8 < board.prominence
    assert board.amplitude == pytest.approx(0.15, rel=0.25)


def lattice(side, period):
    steps = torch.arange(side) % period < period // 2
    return torch.where(steps[:, None] == steps, 1.0, -1.0)


@pytest.mark.parametrize(("side", "period"), [(28, 4), (33, 4), (64, 4), (60, 8), (128, 8)])
def test_patterns_of_several_layers_stand_out_at_their_own_period(side, period):
    images = pictures(side=side)
    boards = images + 0.3 * lattice(side, period)
    assert period in looks.periods_of(images)
    assert looks.checkerboard(images, period).prominence < 4 < 16 < looks.checkerboard(boards, period).prominence
    assert looks.checkerboard(boards, period).amplitude == pytest.approx(0.3, rel=0.25)
    assert looks.checkerboard(boards, 2).prominence < 8
    assert looks.checkerboard(images + 0.15 * pattern(side, True, True), period).prominence < 4
    assert looks.periods_of(images[..., : 7 * period - 1]) == [each for each in (2, 4, 8) if each < period]


def test_images_without_fine_detail_and_noise_have_none():
    flat = torch.zeros(4, 1, 16, 16)
    assert looks.checkerboard(flat).prominence == 0 == looks.checkerboard(flat).amplitude
    assert looks.checkerboard(torch.randn(16, 3, 32, 32)).prominence < 2
    smooth = F.interpolate(pictures(side=8), (64, 64), mode="bicubic")
    assert looks.checkerboard(smooth).prominence < 8


def test_likeness_is_a_correlation():
    images = pictures()
    assert looks.likeness(images, images) == pytest.approx(1, abs=1e-4)
    assert looks.likeness(images, 0.3 - 0.5 * images) == pytest.approx(-1, abs=1e-4)
    assert looks.likeness(images, images.mean(1, keepdim=True)) == pytest.approx(1, abs=1e-4)
    assert looks.likeness(images, torch.zeros_like(images)) == 0
    assert abs(looks.likeness(images, pictures(seed=1))) < 0.2


def test_negatives_of_a_set_are_known_by_their_levels():
    light = pictures() / 3 + 0.6
    assert looks.is_negative(light, -light.roll(1, 0)) and not looks.is_negative(light, light.roll(1, 0))
    assert not looks.is_negative(pictures(), -pictures(seed=1)), "balanced levels are no negatives"


def test_grey_and_flat_images():
    images = pictures()
    assert looks.colourfulness(images.mean(1, keepdim=True).expand(-1, 3, -1, -1)) < 1e-6
    assert looks.colourfulness(images[:, :1]) == 0
    assert looks.contrast(images / 2) == pytest.approx(looks.contrast(images) / 2)


def test_structure_is_what_an_image_shares_with_its_own_counterpart_alone():
    images = pictures()
    assert looks.structure(images, -images) > 0.5
    assert looks.structure(images, images.abs()) > 0.2, "edges are shared"
    assert looks.structure(images, pictures(seed=1)) < 0.05
    assert looks.structure(images, images[:1].expand_as(images)) < 0.05
