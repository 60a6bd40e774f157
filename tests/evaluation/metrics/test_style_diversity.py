"""Tests of the diversity of translations in several styles."""

import pytest
import torch
from torch import Tensor

from gan_lab.evaluation.metrics.style_diversity import pairwise_diversity


def mean_difference(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).abs().mean((1, 2, 3))


def test_it_is_the_mean_distance_of_all_pairs_of_styles_of_one_source() -> None:
    levels = torch.tensor([[0.0, 0.25, 1.0], [-0.5, -0.5, -0.5], [1.0, -1.0, 0.0]])
    images = levels.view(3, 3, 1, 1, 1).expand(-1, -1, 3, 4, 4)
    expected = [(0.25 + 1.0 + 0.75) / 3, 0.0, (2.0 + 1.0 + 1.0) / 3]  # by hand
    assert pairwise_diversity(images, mean_difference).tolist() == pytest.approx(expected)


def test_one_style_has_no_pairs() -> None:
    with pytest.raises(ValueError, match="at least 2 styles"):
        pairwise_diversity(torch.zeros(2, 1, 3, 4, 4), mean_difference)
