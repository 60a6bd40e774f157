"""Evaluating a model that translates, over doubles of checkpoint and data."""

import json

import pytest
from domains import Carrier, networks, two_sides

from gan_lab import evaluating
from gan_lab.configuration import compose
from gan_lab.types import UserError


@pytest.fixture
def evaluate(tmp_path, monkeypatch):
    def call(model, data, *overrides):
        path = tmp_path / "last.ckpt"
        path.touch()
        monkeypatch.setattr(evaluating, "load", lambda *_: model)
        monkeypatch.setattr(evaluating, "data_of", lambda *_: data)
        evaluating.evaluate(compose([f"checkpoint={path}", "device=cpu", *overrides], "evaluate"))
        return json.loads((tmp_path / "last-evaluation.json").read_text())

    return call


def test_translations_are_measured_and_told(evaluate, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    record = evaluate(networks(), two_sides(a=9, b=9), "paired=true", "n=8")
    assert {"fd_colour", "kd_colour_a2b_error", "fd_colour_b2a_untranslated", "cycle_a", "identity_b", "l1_b2a"} <= set(
        record["figures"]
    )
    assert record["protocol"]["directions"]["a2b"] == {"translated": 8, "real": 8, "floor": 8}
    assert record["protocol"]["paired"] is True
    printed = capsys.readouterr().out
    for part in ("untranslated", "8 against 8", f"{record['figures']['fd_colour_a2b']:.4g}", "pd_colour_a2b", "Wrote"):
        assert part in printed


def test_unequal_sets_are_no_pairs(evaluate):
    with pytest.raises(UserError, match="10 and 13 test pictures are no pairs"):
        evaluate(Carrier(lambda x: x), two_sides(), "paired=true")
