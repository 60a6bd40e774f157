"""Scores that part images like two sets of examples."""

import pytest
import torch

from gan_lab.common.errors import UserError
from gan_lab.evaluation.features.general import General
from gan_lab.evaluation.two_classes import score_of


def stripes(n, upright, seed):
    """Noisy images (n, 3, 32, 32) of upright or lying stripes."""
    generator = torch.Generator().manual_seed(seed)
    wave = torch.sin(torch.arange(32) * 0.8 + 6 * torch.rand(n, 1, generator=generator))
    images = wave[:, None, None, :].expand(n, 3, 32, 32) + 0.3 * torch.randn(n, 3, 32, 32, generator=generator)
    return (images if upright else images.transpose(2, 3)).clamp(-1, 1)


def test_new_images_are_scored_by_the_set_that_they_look_like():
    score = score_of(General(), stripes(20, False, 0), stripes(20, True, 1))
    assert (score(stripes(10, False, 2)) < 0).all() and (score(stripes(10, True, 3)) > 0).all()


def test_too_few_examples_are_refused():
    with pytest.raises(UserError, match="at least 5 images each"):
        score_of(General(), stripes(4, False, 0), stripes(20, True, 1))
