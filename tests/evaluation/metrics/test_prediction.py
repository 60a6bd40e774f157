"""Predictions whose error is known."""

from functools import partial

import pytest
import torch
from model_metrics import CPUModel, measure, measure_on_ranks
from sequences import Off, RandomClips

from gan_lab.data.clip_subsets import evenly_spaced_clips
from gan_lab.evaluation.features.perceptual import PerceptualDistance
from gan_lab.evaluation.metrics.prediction import Prediction

SHAPE = 1, 12, 12


class Absolute(PerceptualDistance):
    name, sha256 = "absolute", ""

    def forward(self, a, b):
        return (a - b).abs().mean((1, 2, 3))


make = partial(Prediction, distance=Absolute(), shape=SHAPE)


def test_the_summed_form_is_over_values_in_0_to_1():
    data = RandomClips(9)
    found = measure(make(), Off(data, 0.2), data)
    pixels, off = 12 * 12, torch.tensor([0.1, 0.2, 0.3])  # of values in [0, 1]
    assert found["mse_a_frame_by_frame"] == pytest.approx((pixels * off.square()).tolist(), rel=1e-4)
    assert found["mse_a_frame"] == pytest.approx((pixels * off.square()).mean().item(), rel=1e-4)
    assert found["mae_a_frame"] == pytest.approx((pixels * off).mean().item(), rel=1e-4)
    assert found["absolute"] == pytest.approx(0.4, rel=1e-4)
    assert found["psnr_by_frame"] == pytest.approx((-20 * off.log10()).tolist(), rel=1e-4)
    assert found["mse_a_frame.error"] == pytest.approx(0, abs=1e-3)


def test_the_baselines_are_the_last_frame_and_black():
    data = RandomClips(9)
    found = measure(make(), Off(data, 0.0), data)
    values = data.made.double() / 255
    black, repeated = values[:, 2:].square(), (values[:, 2:] - values[:, 1:2]).square()
    assert found["mse_a_frame"] == pytest.approx(0, abs=1e-6)
    assert found["mse_a_frame.black"] == pytest.approx(black.sum((2, 3, 4)).mean().item(), rel=1e-5)
    assert found["mse_a_frame.repeat"] == pytest.approx(repeated.sum((2, 3, 4)).mean().item(), rel=1e-5)
    curve = repeated.sum((2, 3, 4)).mean(0).tolist()
    assert found["mse_a_frame_by_frame.repeat"] == pytest.approx(curve, rel=1e-5)


def test_ranks_share_the_clips(monkeypatch):
    data = RandomClips(9)
    alone = measure(make(), Off(data, 0.2), data)
    shared = measure_on_ranks(monkeypatch, make, Off(data, 0.2), data, batch_size=10)
    assert shared.keys() == alone.keys()
    assert all(shared[name] == pytest.approx(alone[name], rel=1e-5, abs=1e-6) for name in alone)


def test_fewer_clips_are_spread_over_the_split():
    data = RandomClips(9)
    parts = [*evenly_spaced_clips(data, "test", 3, 2)]
    assert torch.equal(torch.cat([part for _, part in parts]), data.made[[2, 5, 8]])
    for n, max_n, taken in ((3, 5, 3), (5, 3, 3), (None, None, 9)):
        prediction = make(n=n, max_n=max_n, n_perceptual=2)
        found = measure(prediction, Off(data, 0.2), data)
        described = prediction.described
        assert described["n"] == taken and described["n_perceptual"] == 2 and described["given"] == 2
        assert found["absolute"] == pytest.approx(0.4, rel=1e-4)
    two = data.made[[4, 8], 2:].double() / 127.5  # of the nine, and black is -1
    assert found["absolute.black"] == pytest.approx(two.mean().item(), rel=1e-5)


def test_the_perceptual_distance_can_be_left_out():
    data, prediction = RandomClips(3), make(n_perceptual=0)
    assert "absolute" not in measure(prediction, Off(data, 0.2), data) and "distance" not in prediction.described


def test_it_applies_if_the_model_predicts_and_there_are_frames_to_predict():
    data = RandomClips(1)
    assert not make().applies_to(CPUModel(), data)
    data.length = 2
    assert not make().applies_to(Off(data, 0.0), data)
