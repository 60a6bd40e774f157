"""Augmentations against their definitions."""

import pytest
import torch
from torch.autograd import gradgradcheck

from gan_lab.training.augment import Chain, DiffAugment, InstanceNoise, Mirror, cut_out, recolour, translate
from gan_lab.training.noise import KeyedStream

N, SHAPE = 64, (3, 16, 24)


class Fixed:
    """A stream that always returns the same number."""

    def __init__(self, value):
        self.value = value

    def uniform(self, n, *shape):
        return torch.full((n, *shape), self.value)


def make_images(n=N, shape=SHAPE):
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_recolouring_against_a_computation_by_hand():
    image = torch.tensor([[1.0, 0.0], [0.5, -0.5], [0.0, 0.5]]).view(1, 3, 1, 2)
    # 0.75: brighter by 0.25, saturation 1.5, contrast 1.25.
    brighter = image + 0.25
    grey = brighter.mean(1, keepdim=True)
    saturated = grey + 1.5 * (brighter - grey)
    expected = saturated.mean() + 1.25 * (saturated - saturated.mean())
    torch.testing.assert_close(recolour(image, Fixed(0.75)), expected)
    torch.testing.assert_close(recolour(image, Fixed(0.5)), image)


def test_images_shift_by_whole_pixels_up_to_an_eighth():
    images = make_images()
    moved = translate(images, KeyedStream(0))
    shifts = set()
    for image, result in zip(images, moved, strict=True):
        fits = [(y, x) for y in range(-2, 3) for x in range(-3, 4) if torch.equal(result, shifted(image, y, x))]
        assert len(fits) == 1
        shifts.add(fits[0])
    assert {y for y, _ in shifts} == {*range(-2, 3)}
    assert {x for _, x in shifts} == {*range(-3, 4)}


def shifted(image, y, x):
    """Returns the image whose pixel (r, c) is (r + y, c + x) of the given one, or 0 outside."""
    _, height, width = image.shape
    wide = torch.zeros(3, 3 * height, 3 * width)
    wide[:, height : 2 * height, width : 2 * width] = image
    return wide[:, height + y : 2 * height + y, width + x : 2 * width + x]


def test_cutout_covers_half_of_either_side_and_may_cross_the_edge():
    cut = (cut_out(torch.ones(400, *SHAPE), KeyedStream(0)) == 0).all(1)
    heights, widths = cut.any(2).sum(1), cut.any(1).sum(1)
    assert torch.equal(cut.sum((1, 2)), heights * widths)
    assert (heights.max(), widths.max()) == (8, 12)
    assert (heights.min(), widths.min()) == (4, 6)


def test_the_probability_is_the_share_of_changed_images():
    images = make_images(4000, (1, 8, 8))
    cut = DiffAugment(colour=False, translation=False, probability=0.25)(images, KeyedStream(0))
    assert (cut != images).flatten(1).any(1).float().mean().item() == pytest.approx(0.25, abs=0.03)
    never = DiffAugment(probability=0.0)
    assert torch.equal(never(images, KeyedStream(0)), images)


def test_instance_noise_has_the_given_standard_deviation():
    assert (InstanceNoise(0.3)(make_images(), KeyedStream(0)) - make_images()).std().item() == pytest.approx(
        0.3, rel=0.02
    )
    assert torch.equal(InstanceNoise(0.0)(make_images(), KeyedStream(0)), make_images())


def test_mirror_flips_half_of_the_images():
    images = make_images()
    flipped = Mirror()(images, KeyedStream(0))
    same = (flipped == images).flatten(1).all(1)
    assert torch.equal(flipped[~same], images[~same].flip(3))
    assert 16 < same.sum() < 48


@pytest.mark.parametrize("change", [recolour, translate, cut_out, Chain(a=DiffAugment(), b=None, c=Mirror())])
def test_augmentations_are_twice_differentiable(change):
    """The second derivative of a smooth function of the output agrees with finite differences."""
    images = make_images(2, (3, 4, 4)).double().requires_grad_()
    assert gradgradcheck(lambda x: change(x, KeyedStream(0)).pow(3).sum(), images)
    assert change(make_images(), KeyedStream(0)).dtype == torch.float32
