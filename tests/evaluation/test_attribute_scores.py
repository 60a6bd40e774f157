"""Scores of attributes, learnt from examples."""

import pytest
import torch

from gan_lab.common.errors import UserError
from gan_lab.data.reading.examples import Examples, two_sets
from gan_lab.evaluation.attribute_scores import scores_of
from gan_lab.evaluation.features.general import General


def stripes(n, upright, seed):
    """Noisy images (n, 3, 32, 32) of upright or lying stripes."""
    generator = torch.Generator().manual_seed(seed)
    wave = torch.sin(torch.arange(32) * 0.8 + 6 * torch.rand(n, 1, generator=generator))
    images = wave[:, None, None, :].expand(n, 3, 32, 32) + 0.3 * torch.randn(n, 3, 32, 32, generator=generator)
    return (images if upright else images.transpose(2, 3)).clamp(-1, 1)


def test_new_images_are_scored_by_the_examples_that_they_look_like():
    """Of shaded stripes, "upright" is the way they run, and "dark" their mean."""
    shades = torch.tensor([-0.4, 0.4]).repeat(20)[:, None, None, None]
    images = 0.5 * torch.cat([stripes(20, False, 0), stripes(20, True, 1)]) + shades
    attributes = {"upright": (range(20), range(20, 40)), "dark": (range(1, 40, 2), range(0, 40, 2))}
    scores = scores_of(General(), Examples(images, attributes))
    found = scores(0.5 * torch.cat([stripes(10, False, 2), stripes(10, True, 3)]) - 0.4)
    assert (found["upright"][:10] < 0).all() and (found["upright"][10:] > 0).all() and (found["dark"] > 0).all()


def test_too_few_examples_are_refused():
    with pytest.raises(UserError, match="4 images without thick and 20 with it: give at least 5 of each"):
        scores_of(General(), two_sets(stripes(4, False, 0), stripes(20, True, 1), "thick"))
