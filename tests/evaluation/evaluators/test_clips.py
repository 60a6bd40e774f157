"""Measuring models of sequences, over features that are the frames' own means."""

from functools import partial

import pytest
import torch
from sequences import Known, Off, RandomClips

from gan_lab.common.errors import UserError
from gan_lab.evaluation.evaluators.select import select_evaluator
from gan_lab.evaluation.features.extractors import Extractor, Grey
from gan_lab.evaluation.metrics.frechet import FrechetDistance
from gan_lab.evaluation.metrics.prediction import Prediction
from gan_lab.evaluation.metrics.score import Score


class Means(Extractor):
    """The mean of a clip's first and of its last frame."""

    name, dim, classes, resizer, sha256, axes = "means", 2, 3, "none", "0" * 64, 5

    def extract(self, clips):
        ends = clips[:, [0, -1]].float().mean((2, 3, 4))
        return ends, ends.new_zeros(len(clips), 3)


@pytest.fixture
def measure(tmp_path):
    def make(model, data, **options):
        parts = {"score": Score, "distance": FrechetDistance, "prediction": Prediction}
        kept = {"cache_dir": tmp_path, "progress": False}
        return select_evaluator(model, data, parts, extractors={"means": Means()}, **kept, **options)

    return make


def squared_gap(a, b):
    """Of features whose covariance is the same, or nothing: the squared distance of their means."""
    return (Means()(a)[0].mean(0) - Means()(b)[0].mean(0)).square().sum().item()


def test_predictions_are_compared_with_what_came_and_so_are_the_baselines(measure):
    data = RandomClips(30)
    report = measure(Off(data, 0.0), data).report(Off(data, 0.0))
    assert next(iter(report.figures)) == "mse_a_frame" and "cs_means" not in report.figures
    assert report.figures["fd_means"] == pytest.approx(0, abs=1e-6)
    came, black = data.made[:, 2:], torch.zeros_like(data.made[:, 2:])
    spread = Means()(came)[0].double().var(0).sum().item()  # black clips have none
    assert report.figures["fd_means_black"] == pytest.approx(squared_gap(came, black) + spread, rel=1e-5)
    assert report.figures["fd_means_repeat"] > 0.1
    assert report.protocol["given"] == 2 and report.protocol["predicted"] == 3 and report.protocol["clips"] == 30
    assert report.protocol["extractors"]["means"]["distance"] == "fd_means"


def test_a_run_measures_what_the_model_has_become(measure):
    data = RandomClips(30)
    both = measure(Off(data, 0.0), data)
    first, second = (both.report(Off(data, by)).figures["fd_means"] for by in (0.0, 0.3))
    assert first == pytest.approx(0, abs=1e-6) and second > 1


def test_sequences_from_nothing_are_compared_with_real_clips(measure):
    data = RandomClips(30)
    model = Known(data.made.flip(0))
    report = measure(model, data, n=60, batch_size=20).report(model)
    assert next(iter(report.figures)) == "fd_means"
    assert report.figures["fd_means"] == pytest.approx(0, abs=0.5)  # each clip twice: another unbiased covariance
    still = data.made[:, -1:].expand_as(data.made)
    assert report.figures["fd_means_repeat"] > squared_gap(data.made, still)
    assert report.protocol["samples"] == 60 and report.protocol["real"] == 30 and report.protocol["split"] == "train"


def test_single_clips_have_errors_and_no_distance(measure):
    data = RandomClips(1)
    figures = measure(Off(data, 0.1), data).report(Off(data, 0.1)).figures
    assert "mse_a_frame" in figures and not any(name.startswith("fd") for name in figures)


def test_clips_are_not_seen_by_what_takes_pictures():
    data = RandomClips(3)
    measure = partial(select_evaluator, Off(data, 0.0), data, {})
    with pytest.raises(UserError, match="extractor=grey takes pictures, and these data are clips: leave it away"):
        measure(extractors={"grey": Grey()})
