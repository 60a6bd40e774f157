"""Tests of the diversity of translations in several styles."""

from functools import partial

import pytest
import torch
from domains import Carrier, two_sides
from torch import Tensor

from gan_lab.common.domains import Domain
from gan_lab.common.images import to_float
from gan_lab.evaluation.evaluators.translations import TranslationEvaluator
from gan_lab.evaluation.features.perceptual import ColourDistance
from gan_lab.evaluation.metrics.style_diversity import StyleDiversity, pairwise_diversity
from gan_lab.evaluation.model_metric import EvalOptions


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


class Stylist(Carrier):
    """Adds a style, a number, to images with sides that are multiples of 8; style i of seed s is s + i / 100."""

    multiple = 8

    def random_styles(self, n, to, seed=0, start=0):
        return seed + torch.arange(start, start + n)[:, None] / 100

    def styles_of(self, image, of):
        return image.mean((1, 2, 3))[:, None]

    def restyle(self, image, to, styles):
        assert not any(side % 8 for side in image.shape[2:])
        return image + styles[:, :, None, None]


def evaluated(model, data, tmp_path, seed=0, **options):
    metric = partial(StyleDiversity, n=4, styles=3, **options)
    evaluator = TranslationEvaluator(data, 100, [], {"it": metric}, seed=seed, cache_dir=str(tmp_path), progress=False)
    return evaluator.evaluate(model)


@pytest.mark.parametrize("batch_size", [1, 7])
def test_sources_are_translated_in_styles_of_their_own_numbers(tmp_path, batch_size):
    """Images of 12 px are padded to 16; the four sources of ten are evenly spaced."""
    data = two_sides(shape=(3, 12, 12))
    metric = StyleDiversity(4, 3)
    metric.update(Stylist(lambda image: image), data, EvalOptions(seed=1, batch_size=batch_size, progress=False))
    found = metric.compute()
    sources = to_float(data.sides["a"].splits["test"][0][[2, 4, 7, 9]])
    styles = (1 + torch.arange(12) / 100).view(4, 3, 1, 1, 1)
    values = pairwise_diversity(sources[:, None] + styles, ColourDistance())
    assert set(found) == {"diversity_colour_a2b", "diversity_colour_a2b.error"}
    assert found["diversity_colour_a2b"] == pytest.approx(values.mean().item(), rel=1e-4)
    assert found["diversity_colour_a2b.error"] == pytest.approx(values.std().item() / 2, rel=1e-4)


def test_an_evaluation_has_it_for_models_with_styles_only(tmp_path):
    data = two_sides(shape=(3, 16, 16))
    result = evaluated(Stylist(lambda image: image), data, tmp_path)
    assert result.metrics["diversity_colour_a2b"] > 0 and "diversity_colour_a2b_error" in result.metrics
    assert result.protocol["metrics"]["it"]["sources"] == {"a2b": 4} and result.protocol["metrics"]["it"]["styles"] == 3
    plain = evaluated(Carrier(lambda image: image), data, tmp_path)
    assert not any("diversity" in name for name in plain.metrics) and plain.protocol["metrics"] == {}


def test_label_maps_have_none(tmp_path):
    domains = {"a": Domain(), "b": Domain(labels=3)}
    metric = StyleDiversity(4, 3)
    metric.update(Stylist(lambda image: image, domains=domains), two_sides(domains=domains))
    assert metric.compute() == {}
