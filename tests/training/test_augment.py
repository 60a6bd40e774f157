"""Changes in front of the discriminator, against what they are by definition."""

import pytest
import torch
from torch.autograd import gradgradcheck

from gan_lab.training.augment import Chain, DiffAugment, InstanceNoise, Mirror, cut_out, recolour, translate
from gan_lab.training.noise import KeyedStream

N, SHAPE = 64, (3, 16, 24)


class Fixed:
    """Noise that is the same number everywhere."""

    def __init__(self, value):
        self.value = value

    def uniform(self, n, *shape):
        return torch.full((n, *shape), self.value)


def pictures(n=N, shape=SHAPE):
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_recolouring_by_hand():
    image = torch.tensor([[1.0, 0.0], [0.5, -0.5], [0.0, 0.5]]).view(1, 3, 1, 2)
    # 0.75: brighter by 0.25, saturation 1.5, contrast 1.25.
    brighter = image + 0.25
    grey = brighter.mean(1, keepdim=True)
    saturated = grey + 1.5 * (brighter - grey)
    expected = saturated.mean() + 1.25 * (saturated - saturated.mean())
    torch.testing.assert_close(recolour(image, Fixed(0.75)), expected)
    torch.testing.assert_close(recolour(image, Fixed(0.5)), image)


def test_pictures_move_by_whole_pixels_up_to_an_eighth_each_way():
    images = pictures()
    moved = translate(images, KeyedStream(0))
    found = set()
    for image, its in zip(images, moved, strict=True):
        fits = [(y, x) for y in range(-2, 3) for x in range(-3, 4) if torch.equal(its, shifted(image, y, x))]
        assert len(fits) == 1
        found.add(fits[0])
    assert {y for y, _ in found} == {*range(-2, 3)}
    assert {x for _, x in found} == {*range(-3, 4)}


def shifted(image, y, x):
    """Pixel (r, c) is the image's (r + y, c + x), or 0 outside."""
    _, height, width = image.shape
    wide = torch.zeros(3, 3 * height, 3 * width)
    wide[:, height : 2 * height, width : 2 * width] = image
    return wide[:, height + y : 2 * height + y, width + x : 2 * width + x]


def test_a_cut_rectangle_has_half_of_either_side_and_may_hang_over_the_edge():
    cut = (cut_out(torch.ones(400, *SHAPE), KeyedStream(0)) == 0).all(1)
    heights, widths = cut.any(2).sum(1), cut.any(1).sum(1)
    assert torch.equal(cut.sum((1, 2)), heights * widths)
    assert (heights.max(), widths.max()) == (8, 12)
    assert (heights.min(), widths.min()) == (4, 6)


def test_a_probability_is_the_share_of_pictures_that_are_changed():
    images = pictures(4000, (1, 8, 8))
    cut = DiffAugment(colour=False, translation=False, probability=0.25)(images, KeyedStream(0))
    assert (cut != images).flatten(1).any(1).float().mean().item() == pytest.approx(0.25, abs=0.03)
    never = DiffAugment(probability=0.0)
    assert torch.equal(never(images, KeyedStream(0)), images)


def test_instance_noise_has_the_deviation_stated():
    assert (InstanceNoise(0.3)(pictures(), KeyedStream(0)) - pictures()).std().item() == pytest.approx(0.3, rel=0.02)
    assert torch.equal(InstanceNoise(0.0)(pictures(), KeyedStream(0)), pictures())


def test_mirroring_turns_every_second_picture():
    images = pictures()
    turned = Mirror()(images, KeyedStream(0))
    same = (turned == images).flatten(1).all(1)
    assert torch.equal(turned[~same], images[~same].flip(3))
    assert 16 < same.sum() < 48


@pytest.mark.parametrize("change", [recolour, translate, cut_out, Chain(a=DiffAugment(), b=None, c=Mirror())])
def test_penalties_pass_through_each(change):
    """The second derivative of a smooth function of what comes out is that of finite differences."""
    images = pictures(2, (3, 4, 4)).double().requires_grad_()
    assert gradgradcheck(lambda x: change(x, KeyedStream(0)).pow(3).sum(), images)
    assert change(pictures(), KeyedStream(0)).dtype == torch.float32
