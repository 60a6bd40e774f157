"""Digit consistency of clips whose digits stay the same, or change."""

import numpy as np
import pytest
import torch
from model_metrics import CPUModel, measure, measure_on_ranks
from sequences import Known

from gan_lab.common.errors import UserError
from gan_lab.data.presets import moving_digits
from gan_lab.evaluation.metrics.digit_consistency import DigitConsistency, centre_window

LENGTH = 6


@pytest.fixture(scope="module")
def data():
    clips = moving_digits(
        None, 20, 20, 1, (1.0, 3.0), None, 0, name="digits", channels=1, size=40, length=LENGTH, batch_size=4
    )
    clips.setup("test")
    return clips


@pytest.fixture(scope="module")
def clips(data):
    return torch.cat([*data.clips("test")])


def test_digits_that_only_move_are_one_digit(data, clips):
    found = measure(DigitConsistency(20), Known(clips), data, batch_size=24)
    assert found["one_digit"] == found["one_digit.real"] == found["digit_agreement"] == 1
    assert found["digit_confidence"] == pytest.approx(found["digit_confidence.real"])
    assert found["digit_confidence"] > 0.5


def test_digits_that_change_are_not_one_digit(data, clips):
    metric = DigitConsistency(20)
    read = metric.grey(centre_window(clips[:, 0]))[1][:, :10].argmax(1)
    other = torch.stack([(read != digit).nonzero()[0, 0] for digit in read])
    changing = torch.cat([clips[:, :4], clips[other, 4:]], 1)
    found = measure(metric, Known(changing), data)
    assert found["one_digit"] == 0 and found["digit_agreement"] == pytest.approx(4 / LENGTH)


def test_a_model_conditioned_on_digits_is_checked_for_them(data, clips):
    model, digits = Known(clips), data.splits["test"].label(0, np.arange(20))
    model.num_labels = 10
    found = measure(DigitConsistency(20), model, data)  # clip i is asked to be of digit i mod 10
    assert found["digit_asked"] == pytest.approx((digits == np.arange(20) % 10).mean(), abs=0.1)
    assert "digit_asked" not in measure(DigitConsistency(20), Known(clips), data)


def test_ranks_share_the_clips(monkeypatch, data, clips):
    alone = measure(DigitConsistency(20), Known(clips.flip(1)[:7]), data, batch_size=12)
    shared = measure_on_ranks(monkeypatch, lambda: DigitConsistency(20), Known(clips.flip(1)[:7]), data, batch_size=12)
    assert shared == pytest.approx(alone)


def test_the_window_follows_the_digit():
    random = torch.Generator().manual_seed(0)
    digit, frame = torch.randint(1, 256, (11, 9), generator=random, dtype=torch.uint8), torch.zeros(3, 1, 32, 40).byte()
    for number, (top, left) in enumerate([(0, 0), (21, 31), (7, 15)]):
        frame[number, 0, top : top + 11, left : left + 9] = digit
    windows = centre_window(frame)
    assert windows.shape == (3, 1, 28, 28) and windows.sum() == 3 * digit.sum()
    assert torch.equal(windows[0], windows[1]) and torch.equal(windows[0], windows[2])
    assert centre_window(torch.zeros_like(frame)).sum() == 0


def test_it_applies_to_clips_of_one_digit_only(data, clips, monkeypatch):
    assert not DigitConsistency().applies_to(CPUModel(), data)
    monkeypatch.setattr(data.source, "digits", 2)
    assert not DigitConsistency().applies_to(Known(clips), data)
    with pytest.raises(UserError, match="n=0 is not valid"):
        DigitConsistency(0)
