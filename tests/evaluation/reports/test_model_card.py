"""Cards of exported models."""

import json
from types import SimpleNamespace

import pytest

from gan_lab.evaluation.reports.model_card import card

CONTENTS = {"data": {"name": "digits", "size": 8, "channels": 1}, "class_names": ["0", "1"], "versions": {"torch": "2"}}


def model(uses_ema=True):
    return SimpleNamespace(images_seen=512, uses_ema=uses_ema, ema=object())


@pytest.fixture
def run(tmp_path):
    """The folder of a run with an evaluation of its last checkpoint."""
    (tmp_path / "run.json").write_text(
        json.dumps({"command": "python -m gan_lab.train model=dcgan", "images_seen": 512})
    )
    record = {"images_seen": 512, "figures": {"fd_grey": 2.5}, "protocol": {"ema": True, "samples": 100, "real": 50}}
    (tmp_path / "last-evaluation.json").write_text(json.dumps(record))
    return tmp_path


def test_a_card_states_data_figures_protocol_and_command(run):
    text = card(model(), CONTENTS, run / "last.ckpt", "hf://me/digits")
    for words in ("8×8 px, grey", "Classes: 0, 1", "| fd_grey | 2.5 |", "samples 100", "model=dcgan", "Licence"):
        assert words in text
    assert 'gan_lab.load("hf://me/digits")' in text


def test_figures_of_other_weights_are_left_out(run):
    assert "fd_grey" not in card(model(uses_ema=False), CONTENTS, run / "last.ckpt")
    later = model()
    later.images_seen = 1024
    assert "fd_grey" not in card(later, CONTENTS, run / "last.ckpt")
