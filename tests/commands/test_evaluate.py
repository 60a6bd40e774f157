"""Evaluating models, over doubles of checkpoint and data."""

import json

import pytest
import torch
from domains import Carrier, networks, two_sides

from gan_lab.cli.session import Session
from gan_lab.common import runs
from gan_lab.common.errors import UserError
from gan_lab.common.images import scatter_plot
from gan_lab.data.modules.points import PointsDataModule
from gan_lab.evaluate import evaluate as command
from gan_lab.inference import sheets
from gan_lab.training import checkpoint


@pytest.fixture
def evaluate(tmp_path, monkeypatch):
    def call(model, data, *overrides):
        path = tmp_path / "last.ckpt"
        path.touch()
        monkeypatch.setattr(checkpoint, "read", lambda *_: {"gan_lab": {}})
        monkeypatch.setattr(checkpoint, "model_of", lambda *_: model)
        monkeypatch.setattr(Session, "data", lambda *_: data)
        command.run(f"checkpoint={path}", "device=cpu", *overrides)
        return json.loads((tmp_path / "last-evaluation.json").read_text())

    return call


def test_translations_are_measured_and_told(evaluate, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    record = evaluate(networks(), two_sides(a=9, b=9), "paired=true", "n=8")
    assert {
        "fd_general",
        "kd_general_a2b_error",
        "fd_general_b2a_untranslated",
        "cycle_a",
        "identity_b",
        "l1_b2a",
    } <= set(record["figures"])
    assert record["protocol"]["directions"]["a2b"] == {"translated": 8, "real": 8, "floor": 8}
    assert record["protocol"]["paired"] is True
    printed = capsys.readouterr().out
    for part in ("untranslated", "8 against 8", f"{record['figures']['fd_general_a2b']:.4g}", "pd_colour_a2b", "Wrote"):
        assert part in printed


@pytest.mark.parametrize(
    ("model", "paired", "shown"),
    [
        (Carrier(lambda x: x, lambda x: -x), False, "one of a, its translation and the way back, then the same of b"),
        (Carrier(lambda x: x), True, "the source, the output and the target"),
        (Carrier(lambda x: x), False, "the source, the output"),
    ],
    ids=["both ways", "pairs", "one way"],
)
def test_translations_are_shown(evaluate, tmp_path, model, paired, shown):
    (tmp_path / "config.json").write_text('{"name": "cut-maps"}')
    evaluate(model, two_sides(a=9, b=9, paired=paired), "paired=false", "metrics=[distance]")
    page = (tmp_path / "last-evaluation.html").read_text()
    assert f"Test images spread over the set, not chosen: {shown}." in page and 'alt="outputs of the model"' in page
    assert f"<h1>cut-maps {tmp_path.name}, last</h1>" in page


def test_a_test_with_people_of_translations_is_refused_before_anything_is_measured(evaluate):
    model = Carrier(lambda x: x)
    with pytest.raises(UserError, match="leave out trial="):
        evaluate(model, two_sides(), "trial=3")
    assert not model.asked


class OnePoint:
    """Samples are (truncation, 0)."""

    device = torch.device("cpu")

    def sample(self, n, seed=0, start=0, label=None, truncation=1.0):
        return torch.tensor([truncation, 0.0]).expand(n, 2)[..., None, None]


def test_points_are_shown_as_they_are_measured(evaluate, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(sheets, "scatter_plot", lambda points, *how: drawn.append(points) or scatter_plot(points, *how))
    data = PointsDataModule("ring", spacing=1.0, deviation=0.02, scale=2.0, count=10, batch_size=5)
    record = evaluate(OnePoint(), data, "n=10", "truncation=0.5")
    assert record["figures"]["modes"] == 1 and drawn[0][-1].tolist() == [0.5, 0.0]
    assert "blue within three deviations of a mode" in (tmp_path / "last-evaluation.html").read_text()


def test_what_json_has_no_word_for_is_null_and_a_run_is_found_by_it(tmp_path):
    config = {"clip": float("inf"), "rates": [1.0, float("nan")], "seed": 1}
    runs.write_json(tmp_path / "x.json", config)
    written = json.loads((tmp_path / "x.json").read_text(), parse_constant=pytest.fail)
    assert written == {"clip": None, "rates": [1.0, None], "seed": 1}
    assert runs.differing_keys(config, written) == []


def test_unequal_sets_are_no_pairs(evaluate):
    with pytest.raises(UserError, match="10 and 13 test images cannot be pairs"):
        evaluate(Carrier(lambda x: x), two_sides(), "paired=true")
