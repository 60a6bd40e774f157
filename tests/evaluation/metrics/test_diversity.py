"""Random pairs, and diversity metrics of sets whose diversity is known."""

import pytest
import torch
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as ms_ssim

from gan_lab.evaluation.features import perceptual
from gan_lab.evaluation.features.perceptual import PerceptualDistance
from gan_lab.evaluation.metrics.diversity import (
    BETAS,
    PerceptualDiversity,
    StructuralDiversity,
    ms_ssim_of_size,
    random_pairs,
)
from gan_lab.evaluation.statistics import NotApplicableError


def random_images(n, alike=0.0, side=32, seed=0):
    """Returns noise, of which a share is common to all images."""
    random = torch.Generator().manual_seed(seed)
    own, common = torch.rand(n, 3, side, side, generator=random), torch.rand(1, 3, side, side, generator=random)
    return (255 * (alike * common + (1 - alike) * own)).round().to(torch.uint8)


def measured(kind, real, fake, **options):
    metric = kind(tuple(real.shape[1:]), len(real), len(fake), **options)
    for side, images in ((True, real), (False, fake)):
        for rows in torch.arange(len(images)).flip(0).split(7):
            metric.update(images[rows], side, rows)
    return metric.compute()


def test_no_image_is_in_two_pairs_and_classes_are_kept():
    labels = torch.arange(101) % 3
    found = random_pairs(101, 1000, labels)
    assert found.shape == (2, 50)  # 34, 34 and 33 images
    assert len(found.flatten().unique()) == 100
    assert (labels[found[0]] == labels[found[1]]).all()
    assert random_pairs(101, 10).shape == (2, 10)
    assert len(random_pairs(7, 10).flatten().unique()) == 6


@pytest.mark.parametrize(
    ("kind", "name", "sign"), [(StructuralDiversity, "ms_ssim", -1), (PerceptualDiversity, "diversity_colour", 1)]
)
def test_similar_images_are_less_diverse(kind, name, sign):
    found = measured(kind, random_images(40), random_images(40, alike=0.9, seed=1))
    assert sign * found[name] < sign * found[f"{name}.real"]
    assert found[f"{name}.error"] > 0
    same = measured(kind, random_images(40), random_images(40, alike=1.0))
    assert same[name] == pytest.approx(1 if sign < 0 else 0, abs=1e-5)


def test_the_metric_is_the_mean_over_the_pairs():
    fake = random_images(12)
    a, b = random_pairs(12, 1000)
    betas = tuple(beta / sum(BETAS[:2]) * sum(BETAS) for beta in BETAS[:2])
    expected = ms_ssim(fake[a].float(), fake[b].float(), data_range=255.0, betas=betas, normalize="relu").item()
    assert measured(StructuralDiversity, fake, fake)["ms_ssim"] == pytest.approx(expected, rel=1e-4)


def test_large_images_have_all_five_scales():
    a, b = (random_images(1, 0.5, side=176, seed=seed).float() for seed in (0, 1))
    expected = ms_ssim(a, b, data_range=255.0, normalize="relu").item()
    assert ms_ssim_of_size((3, 176, 176))(a / 127.5 - 1, b / 127.5 - 1).item() == pytest.approx(expected, rel=1e-4)


def test_lpips_is_used_if_it_has_weights_and_named(monkeypatch):
    class Known(PerceptualDistance):
        name, sha256 = "lpips_vgg", "1" * 64

        def forward(self, a, b):
            return (a - b).abs().mean((1, 2, 3))

    monkeypatch.setattr(perceptual, "lpips", lambda network, weights: Known() if weights == "there" else None)
    found = PerceptualDiversity((3, 32, 32), 8, 8, weights={"vgg16": "there"})
    assert (found.name, found.described) == ("diversity_lpips_vgg", {"distance": "lpips_vgg", "sha256": "1" * 64})
    assert PerceptualDiversity((3, 32, 32), 8, 8, weights={}).name == "diversity_colour"
    assert PerceptualDiversity((3, 28, 28), 8, 8, weights={"vgg16": "there"}).name == "diversity_colour"


def test_single_pairs_are_not_applicable():
    with pytest.raises(NotApplicableError, match="2 pairs"):
        PerceptualDiversity((3, 32, 32), 3, 8)


def test_images_smaller_than_the_window_are_not_applicable():
    with pytest.raises(NotApplicableError, match="11 px"):
        StructuralDiversity((1, 8, 8), 10, 10)
