"""Moving digits that stay what they are, and others."""

import numpy as np
import pytest
import torch
from asking import Asked, asked, asked_on_ranks
from sequences import Known

from gan_lab.common.errors import UserError
from gan_lab.data.presets import moving_digits
from gan_lab.evaluation.metrics.digit_consistency import DigitConsistency, centred

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
    found = asked(DigitConsistency(20), Known(clips), data, batch_size=24)
    assert found["one_digit"] == found["one_digit.real"] == found["digit_agreement"] == 1
    assert found["digit_confidence"] == pytest.approx(found["digit_confidence.real"])
    assert found["digit_confidence"] > 0.5


def test_digits_that_change_on_their_way_are_not(data, clips):
    probe = DigitConsistency(20)
    read = probe.grey(centred(clips[:, 0]))[1][:, :10].argmax(1)
    other = torch.stack([(read != digit).nonzero()[0, 0] for digit in read])
    changing = torch.cat([clips[:, :4], clips[other, 4:]], 1)
    found = asked(probe, Known(changing), data)
    assert found["one_digit"] == 0 and found["digit_agreement"] == pytest.approx(4 / LENGTH)


def test_of_a_model_that_is_told_digits_it_is_read_whether_they_came(data, clips):
    model, digits = Known(clips), data.splits["test"].label(0, np.arange(20))
    model.num_labels = 10
    found = asked(DigitConsistency(20), model, data)  # clip i is asked to be of digit i mod 10
    assert found["digit_asked"] == pytest.approx((digits == np.arange(20) % 10).mean(), abs=0.1)
    assert "digit_asked" not in asked(DigitConsistency(20), Known(clips), data)


def test_ranks_share_the_clips(monkeypatch, data, clips):
    alone = asked(DigitConsistency(20), Known(clips.flip(1)[:7]), data, batch_size=12)
    shared = asked_on_ranks(monkeypatch, lambda: DigitConsistency(20), Known(clips.flip(1)[:7]), data, batch_size=12)
    assert shared == pytest.approx(alone)


def test_the_window_follows_the_digit():
    random = torch.Generator().manual_seed(0)
    digit, frame = torch.randint(1, 256, (11, 9), generator=random, dtype=torch.uint8), torch.zeros(3, 1, 32, 40).byte()
    for number, (top, left) in enumerate([(0, 0), (21, 31), (7, 15)]):
        frame[number, 0, top : top + 11, left : left + 9] = digit
    windows = centred(frame)
    assert windows.shape == (3, 1, 28, 28) and windows.sum() == 3 * digit.sum()
    assert torch.equal(windows[0], windows[1]) and torch.equal(windows[0], windows[2])
    assert centred(torch.zeros_like(frame)).sum() == 0


def test_what_does_not_show_one_moving_digit_is_passed_over(data, clips, monkeypatch):
    assert not DigitConsistency().applies_to(Asked(), data)
    monkeypatch.setattr(data.source, "digits", 2)
    assert not DigitConsistency().applies_to(Known(clips), data)
    with pytest.raises(UserError, match="1 clip at least, not 0"):
        DigitConsistency(0)
