"""The segmenter: exact enough on a set that is easy, and measured on images that it has not seen."""

import pytest
import torch

from gan_lab.common.errors import UserError
from gan_lab.evaluation.segmenter import fitted_segmenter, quality_of


def squares(n):
    """Noisy images (n, 3, 32, 32) with a light square and a striped one, and their classes (n, 32, 32)."""
    generator = torch.Generator().manual_seed(0)
    images, classes = -0.5 + 0.1 * torch.randn(n, 3, 32, 32, generator=generator), torch.zeros(n, 32, 32).long()
    for number in range(n):
        top, left = torch.randint(1, 20, (2,), generator=generator).tolist()
        classes[number, top : top + 10, left : left + 10] = 1
        images[number, :, top : top + 10, left : left + 10] += 1
        classes[number, 24:30, left : left + 10] = 2
        images[number, :, 24:30, left : left + 10 : 2] += 1
    return images, classes


def test_easy_classes_are_found_and_measured():
    images, classes = squares(30)
    classes[:, 0] = -1
    segment, quality = fitted_segmenter(images, classes)
    assert quality.images == 6 and quality.accuracy > 0.97 > 0.9 > quality.most_frequent
    assert quality.overlaps.shape == (3,) and quality.overlaps.min() > 0.7
    assert (segment(images[:2])[:, 1:] == classes[:2, 1:]).float().mean() > 0.97


def test_overlaps_are_those_of_the_pixels():
    classes = torch.tensor([[[0, 0, 1, -1]]])
    quality = quality_of(lambda _: torch.tensor([[[0, 1, 1, 2]]]), torch.zeros(1, 3, 1, 4), classes, 3)
    assert quality.accuracy == pytest.approx(2 / 3) and quality.most_frequent == pytest.approx(2 / 3)
    assert quality.overlaps[:2].tolist() == [0.5, 0.5] and quality.overlaps[2].isnan()


def test_a_few_images_are_too_few():
    with pytest.raises(UserError, match="at least 10 images with label maps: give more, not 4"):
        fitted_segmenter(*squares(4))
