"""Saliency: gradients of logits with respect to pixels."""

import pytest
import torch

from gan_lab.inference.saliency import blurred, heat_maps, smooth_gradients, strengths


def test_of_a_linear_discriminator_it_is_its_weights():
    weights = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(0))
    found = smooth_gradients(lambda images: (images * weights).sum((1, 2, 3)), torch.rand(2, 3, 8, 8), 3)
    assert torch.allclose(found, weights.expand(2, -1, -1, -1), atol=1e-6)
    assert torch.allclose(strengths(found)[1], weights.abs().sum(0), atol=1e-5)


def test_noise_belongs_to_an_image_and_smooths_a_kink():
    images = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    patches = lambda images: (images - 0.5).abs()  # noqa: E731
    every = smooth_gradients(patches, images, 16, 0.2, seed=1)
    assert every.abs().max() <= 1 / 16 + 1e-6 and every.abs().min() < 0.9 / 16  # a mean over 16 patches
    apart = smooth_gradients(patches, images[1:2], 16, 0.2, seed=1, start=1)
    assert torch.allclose(apart, every[1:2])


def test_heat_maps_are_brightest_where_the_heat_is():
    heat = torch.zeros(1, 16, 16)
    heat[0, 4:6, 4:6] = 3
    shown = heat_maps(torch.full((1, 1, 16, 16), -1.0), heat)
    assert shown.shape == (1, 3, 16, 16)
    assert shown[0, :, 4, 4].tolist() == pytest.approx([1, 1, 1]) and shown[0, :, 10:].max() == -1
    assert blurred(heat)[0, 4, 3] > 0 and blurred(heat).max() < 3
