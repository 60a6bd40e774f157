"""Tests of the diversity of translations in several styles."""

import pytest
import torch
from torch import Tensor

from gan_lab.evaluation.features.perceptual import ColourDistance
from gan_lab.evaluation.metrics.style_diversity import pairwise_diversity


def mean_difference(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).abs().mean((1, 2, 3))


def test_it_is_the_mean_distance_of_all_pairs_of_styles_of_one_source() -> None:
    levels = torch.tensor([[0.0, 0.25, 1.0], [-0.5, -0.5, -0.5], [1.0, -1.0, 0.0]])
    images = levels.view(3, 3, 1, 1, 1).expand(-1, -1, 3, 4, 4)
    expected = [(0.25 + 1.0 + 0.75) / 3, 0.0, (2.0 + 1.0 + 1.0) / 3]  # by hand
    assert pairwise_diversity(images, mean_difference).tolist() == pytest.approx(expected)


def test_a_networks_maps_are_computed_once_for_each_image() -> None:
    images = torch.rand(2, 3, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    distance = ColourDistance()
    expected = pairwise_diversity(images, lambda a, b: distance(a, b))
    maps, seen = distance.maps, []
    distance.maps = lambda images: seen.append(len(images)) or maps(images)
    assert pairwise_diversity(images, distance).tolist() == pytest.approx(expected.tolist(), rel=1e-5)
    assert seen == [3, 3]


def test_one_style_has_no_pairs() -> None:
    with pytest.raises(ValueError, match="at least 2 styles"):
        pairwise_diversity(torch.zeros(2, 1, 3, 4, 4), mean_difference)
