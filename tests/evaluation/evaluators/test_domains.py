from functools import partial

import pytest
import torch
from restylers import Colours, PixelDistance, Pooled, Recolour

from gan_lab.common.capabilities import LabelledImages, RealImages, TranslatesAmong
from gan_lab.common.errors import UserError
from gan_lab.data.class_view import ClassView
from gan_lab.evaluation.evaluators.select import select_evaluator
from gan_lab.evaluation.kinds import kind_of, sheet_for
from gan_lab.evaluation.metrics import domain_classifier
from gan_lab.evaluation.metrics.domain_classifier import DomainImages, TrainedAgreement
from gan_lab.evaluation.metrics.domains import StyledImages, domain_pairs
from gan_lab.evaluation.metrics.frechet import FrechetDistance
from gan_lab.inference.restyling import restyled
from gan_lab.inference.sheets import SheetOptions


@pytest.fixture
def evaluate(tmp_path):
    def run(model, data, n=360, more=(), **options):
        options = {"cache_dir": str(tmp_path), "progress": False, "extractors": {"pooled": Pooled()}} | options
        evaluator = select_evaluator(model, data, {"distance": FrechetDistance, **dict(more)}, n, **options)
        evaluator.distance = PixelDistance()
        return evaluator, evaluator.evaluate(model)

    return run


def test_the_doubles_satisfy_what_is_asked_of_them():
    data = Colours()
    assert isinstance(Recolour(), TranslatesAmong) and isinstance(data, LabelledImages)
    assert kind_of(data).name == "domains" and isinstance(ClassView(data, 1), RealImages)


def test_a_view_has_the_images_of_one_class():
    data = Colours((3, 5, 9))
    whole, labels = torch.cat([*data.images("test")]), data.labels("test")
    for number in range(3):
        view = ClassView(data, number)
        assert torch.equal(torch.cat([*view.images("test")]), whole[labels == number])
        assert torch.equal(torch.cat([*view.images("test", 2)]), whole[labels == number][:2])
        assert view.count("test") == (3, 5, 9)[number]
    assert len({ClassView(data, number).fingerprint("test") for number in range(3)}) == 3


def test_a_perfect_model_and_one_that_mistakes_domains(evaluate):
    evaluator, result = evaluate(Recolour(), Colours())
    found = result.metrics
    names = list(found)
    assert names[:3] == ["fd_pooled", "fd_pooled_untranslated", "fd_pooled_real"] and not result.failed
    assert (
        found["agreement_pooled_latent"] == found["agreement_pooled_reference"] == found["agreement_pooled_real"] == 1
    )
    assert found["agreement_pooled_untranslated"] == 0
    assert found["fd_pooled_latent"] < 0.3 * found["fd_pooled_untranslated"]
    assert found["diversity_pixels_latent"] > 0.001 and found["pose_pixels_latent"] < 1
    pairs = [f"{a}2{b}" for a in ("red", "green", "blue") for b in ("red", "green", "blue") if a != b]
    for way in ("latent", "reference"):
        of_pairs = [found[f"fd_pooled_{way}_{pair}"] for pair in pairs]
        assert found[f"fd_pooled_{way}"] == pytest.approx(sum(of_pairs) / 6)
    assert found["fd_pooled"] == pytest.approx((found["fd_pooled_latent"] + found["fd_pooled_reference"]) / 2)
    assert result.protocol["pairs"]["red2green"] == {"sources": 3, "translated": 30, "real": 8}
    assert evaluator.counts(result.protocol) == {"translated": 360, "real": 8}
    _, wrong = evaluate(Recolour(right=False), Colours())
    assert wrong.metrics["agreement_pooled_latent"] == pytest.approx(1 / 3)
    assert wrong.metrics["fd_pooled"] > 2 * found["fd_pooled"]
    predicted = wrong.protocol["predicted_domains"]["agreement_pooled_predicted"]["latent"]["red2green"]
    assert predicted == [1.0, 0.0, 0.0]


def test_a_network_that_is_trained_once_tells_the_domains_apart(evaluate, monkeypatch):
    train, calls = domain_classifier.train_classifier, []
    monkeypatch.setattr(domain_classifier, "train_classifier", lambda *a: calls.append(1) or train(*a))
    chosen = {"more": {"domain_classifier": partial(TrainedAgreement, steps=15)}}
    found = evaluate(Recolour(), Colours(), **chosen)[1].metrics
    assert found["agreement_latent"] == found["agreement_reference"] == found["agreement_real"] == 1
    assert found["agreement_untranslated"] == 0
    wrong = evaluate(Recolour(right=False), Colours(), **chosen)[1]
    assert wrong.metrics["agreement"] == pytest.approx(1 / 3) and len(calls) == 1
    assert wrong.protocol["metrics"]["domain_classifier"]["steps"] == 15


def test_the_network_of_other_labels_is_another_one(tmp_path):
    """The pixels are the same: labels tell one choice of attributes from another."""

    class Swapped(Colours):
        def labels(self, split):
            return 2 - super().labels(split)

        def _whole(self, split):
            return Colours()._whole(split)

    sets = [DomainImages(data, (0, 1, 2), "rgb", cache_dir=tmp_path) for data in (Colours(), Swapped())]
    found = [each.network(9, 15, 0) for each in sets]
    images = torch.cat([*Colours().images("test")])
    assert torch.equal(found[0].predicted(images), 2 - found[1].predicted(images))


def test_translations_are_those_of_the_seeds_styles_and_of_references_once_each():
    model, data = Recolour(), Colours()
    pair = domain_pairs(model, data)[1]
    assert (pair.source, pair.target, pair.name) == (0, 2, "red2blue")
    latent = StyledImages(model, data, pair, "latent", 4, 3, 20, "cpu")
    images = torch.cat([part for _, part in latent.batches(False)])
    source = next(ClassView(data, 0).images("test"))[3:4] / 127.5 - 1  # evenly spaced: 1, 3, 5, 7 of 8
    wanted = restyled(model, source, 2, model.random_styles(1, 2, seed=3, start=14))
    assert torch.equal(images[14], ((wanted[0] + 1) * 127.5).round().byte())
    reference = StyledImages(model, data, pair, "reference", 4, 3, 20, "cpu")
    styles = reference._styles_of_references()
    every = model.styles_of(torch.cat([*ClassView(data, 2).images("test")]) / 127.5 - 1, 2)
    for begin in range(0, 40, 8):
        assert torch.equal(styles[begin : begin + 8].sort(0).values, every.sort(0).values)


def test_batches_and_repetition_change_nothing(evaluate):
    _, first = evaluate(Recolour(), Colours(), batch_size=10)
    _, again = evaluate(Recolour(), Colours(), batch_size=256)
    assert first.metrics == pytest.approx(again.metrics, rel=1e-4)


def test_a_model_without_styles_is_measured_once_for_each_source(evaluate):
    _, result = evaluate(Recolour(styled=False), Colours())
    assert not any("reference" in name or "diversity" in name for name in result.metrics)
    assert result.protocol["pairs"]["red2green"] == {"sources": 8, "translated": 8, "real": 8}
    assert "fd_pooled_latent_red2green" in result.metrics and "pose_pixels" in result.metrics


def test_domains_with_too_few_images_are_left_out(evaluate):
    _, result = evaluate(Recolour(), Colours((8, 2, 8)))
    assert set(result.protocol["pairs"]) == {"red2blue", "blue2red"}
    with pytest.raises(UserError, match="at least 3 test and training images of each of two domains"):
        evaluate(Recolour(), Colours((8, 2, 0)))


def test_the_sheet_shows_references_above_and_sources_beside():
    data, model = Colours(), Recolour()
    sheet = sheet_for(model, data, SheetOptions(64))()
    plain = sheet_for(Recolour(styled=False), data, SheetOptions(64))()
    assert sheet.shape[0] == plain.shape[0] == 3 and sheet.dtype == torch.uint8
    assert plain.shape[2] < sheet.shape[2]
