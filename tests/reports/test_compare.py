"""Evaluations side by side: order, ties, and what makes them incomparable."""

import json
from pathlib import Path

import pytest

from gan_lab.comparing import compare
from gan_lab.presenting import Row
from gan_lab.reports.compare import Run, ties
from gan_lab.types import UserError


def written(folder, fd, error, precision=0.5, **protocol):
    folder.mkdir()
    figures = {"fd_grey": fd, "fd_grey_error": error, "precision_grey": precision, "cs_grey": 5.0, "cs_grey_std": 9.0}
    told = {"samples": 1000, "real": 5000, "split": "train", "extractors": {"grey": {}}, **protocol}
    (folder / "last-evaluation.json").write_text(json.dumps({"figures": figures, "protocol": told}))
    return str(folder)


@pytest.fixture
def runs(tmp_path):
    values = {"worse": (3.0, 0.1, 0.6), "best": (1.0, 0.3, 0.4), "tied": (1.6, 0.2, 0.9)}
    return [written(tmp_path / name, *each) for name, each in values.items()]


def test_the_best_come_first_and_ties_are_marked(runs, tmp_path, capsys):
    page = tmp_path / "compare.html"
    found = compare(runs, None, str(page))
    assert [run.name.split("/")[0] for run in found] == ["best", "tied", "worse"]
    text = page.read_text()
    marked = [row.split("</td>")[0] for row in text.split('<td class="best">')[1:]]
    # 0.6 apart with an error of √(0.3² + 0.2²); precision has no error, and a deviation over splits is none
    assert marked.count("1 ± 0.3") == 1 and marked.count("1.6 ± 0.2") == 1 and "3 ± 0.1" not in marked
    assert marked.count("0.9") == 1 and marked.count("0.4") == 0
    assert "1,000 / 5,000" in text and "not comparable" not in text
    assert "best" in capsys.readouterr().out


def test_any_figure_orders_and_higher_may_be_better(runs, tmp_path):
    found = compare(runs, "precision_grey", str(tmp_path / "x.html"))
    assert [run.name.split("/")[0] for run in found] == ["tied", "worse", "best"]


@pytest.mark.parametrize(
    ("name", "best"),
    [("modes", ["b"]), ("modes_missed", ["a"]), ("fd_inf_grey", ["a"]), ("precision_grey", ["b"]), ("brightness", [])],
)
def test_which_way_is_better(name, best):
    runs = [Run(of, {name: Row(name, value)}, {}, Path()) for of, value in (("a", 1.0), ("b", 2.0))]
    assert sorted(ties(runs, name)) == best


def test_different_protocols_are_told(runs, tmp_path, capsys):
    compare([*runs, written(tmp_path / "more", 0.5, 0.1, samples=50_000)], None, str(tmp_path / "x.html"))
    assert "differ in samples" in capsys.readouterr().out


def test_what_cannot_be_compared_is_said_in_a_sentence(runs, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "other.json").write_text('{"a": 1}')
    for paths, by, said in (
        (runs[:1], None, "two evaluations"),
        ([*runs, str(tmp_path / "empty")], None, "gan_lab.evaluate checkpoint="),
        ([*runs, str(tmp_path / "other.json")], None, "holds no evaluation"),
        (runs, "fid", "has no fid: give by= one of fd_grey"),
    ):
        with pytest.raises(UserError, match=said):
            compare(paths, by, str(tmp_path / "x.html"))
