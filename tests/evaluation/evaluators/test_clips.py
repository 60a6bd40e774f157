"""Evaluators of models of clips, in features that are the means of frames."""

from functools import partial

import pytest
import torch
from sequences import Known, Off, RandomClips

from gan_lab.common.errors import UserError
from gan_lab.evaluation.evaluators.select import select_evaluator
from gan_lab.evaluation.features.extractors import Extractor, Grey
from gan_lab.evaluation.metrics.clips import KnownPredictions
from gan_lab.evaluation.metrics.frechet import FrechetDistance
from gan_lab.evaluation.metrics.prediction import Prediction
from gan_lab.evaluation.metrics.score import Score


class Means(Extractor):
    """The mean of a clip's first and of its last frame."""

    name, dim, classes, resizer, sha256, items = "means", 2, 3, "none", "0" * 64, "clips"

    def extract(self, clips):
        ends = clips[:, [0, -1]].float().mean((2, 3, 4))
        return ends, ends.new_zeros(len(clips), 3)


@pytest.fixture
def evaluator_of(tmp_path):
    def make(model, data, **options):
        metrics = {"score": Score, "distance": FrechetDistance, "prediction": Prediction}
        kept = {"cache_dir": tmp_path, "progress": False}
        return select_evaluator(model, data, metrics, extractors={"means": Means()}, **kept, **options)

    return make


def squared_gap(a, b):
    """Returns the squared distance of the means, for features with equal covariance, or without any."""
    return (Means()(a)[0].mean(0) - Means()(b)[0].mean(0)).square().sum().item()


def test_predictions_and_baselines_are_compared_with_the_truth(evaluator_of):
    data = RandomClips(30)
    result = evaluator_of(Off(data, 0.0), data).evaluate(Off(data, 0.0))
    assert next(iter(result.metrics)) == "mse_a_frame" and "cs_means" not in result.metrics
    assert result.metrics["fd_means"] == pytest.approx(0, abs=1e-6)
    truth, black = data.made[:, 2:], torch.zeros_like(data.made[:, 2:])
    spread = Means()(truth)[0].double().var(0).sum().item()  # black clips have none
    assert result.metrics["fd_means_black"] == pytest.approx(squared_gap(truth, black) + spread, rel=1e-5)
    assert result.metrics["fd_means_repeat"] > 0.1
    assert result.protocol["given"] == 2 and result.protocol["predicted"] == 3 and result.protocol["clips"] == 30
    assert result.protocol["extractors"]["means"]["distance"] == "fd_means"


def test_an_evaluator_evaluator_ofs_the_present_weights(evaluator_of):
    data = RandomClips(30)
    both = evaluator_of(Off(data, 0.0), data)
    first, second = (both.evaluate(Off(data, by)).metrics["fd_means"] for by in (0.0, 0.3))
    assert first == pytest.approx(0, abs=1e-6) and second > 1


def test_sampled_clips_are_compared_with_real_clips(evaluator_of):
    data = RandomClips(30)
    model = Known(data.made.flip(0))
    result = evaluator_of(model, data, n=60, batch_size=20).evaluate(model)
    assert next(iter(result.metrics)) == "fd_means"
    assert result.metrics["fd_means"] == pytest.approx(0, abs=0.5)  # each clip twice: another unbiased covariance
    still = data.made[:, -1:].expand_as(data.made)
    assert result.metrics["fd_means_repeat"] > squared_gap(data.made, still)
    assert result.protocol["samples"] == 60 and result.protocol["real"] == 30 and result.protocol["split"] == "train"


def test_single_clips_have_errors_and_no_distance(evaluator_of):
    data = RandomClips(1)
    metrics = evaluator_of(Off(data, 0.1), data).evaluate(Off(data, 0.1)).metrics
    assert "mse_a_frame" in metrics and not any(name.startswith("fd") for name in metrics)


def test_an_extractor_of_images_is_refused_for_clips():
    data = RandomClips(3)
    evaluator_of = partial(select_evaluator, Off(data, 0.0), data, {})
    with pytest.raises(UserError, match="extractor=grey takes images, and these data are clips: leave it out"):
        evaluator_of(extractors={"grey": Grey()})


class Counting(Off):
    def predict(self, frames, steps):
        self.asked = [*getattr(self, "asked", []), len(frames)]
        return super().predict(frames, steps)


@pytest.mark.parametrize(("max_bytes", "times"), [(2**30, 1), (0, 2)], ids=["kept", "too large"])
def test_clips_are_predicted_once_for_all_metrics(evaluator_of, max_bytes, times):
    data = RandomClips(30)
    model = Counting(data, 0.2)
    evaluator = evaluator_of(model, data, batch_size=20)
    evaluator.predictions = KnownPredictions(max_bytes)
    found = evaluator.evaluate(model)
    assert sum(model.asked) == times * 30
    assert found.metrics == evaluator_of(Off(data, 0.2), data).evaluate(Off(data, 0.2)).metrics
    other = Counting(data, 0.4)
    assert evaluator.evaluate(other).metrics["fd_means"] > found.metrics["fd_means"]
    assert sum(other.asked) == times * 30


def test_other_clips_than_those_that_are_known_are_predicted():
    known = KnownPredictions()
    known.keep(9, torch.arange(3), torch.zeros(3, 2, 1, 4, 4))
    assert known.find(9, torch.tensor([2, 0])).shape == (2, 2, 1, 4, 4)
    assert known.find(8, torch.tensor([2, 0])) is None and known.find(9, torch.tensor([2, 3])) is None
    known.keep(8, torch.arange(3), torch.zeros(3, 2, 1, 4, 4))
    assert known.find(9, torch.tensor([2])) is None
