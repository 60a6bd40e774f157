"""Comparison of evaluations: order, ties, and differences that make them incomparable."""

import json
from pathlib import Path

import pytest
from PIL import Image

from gan_lab.common.errors import UserError
from gan_lab.evaluation.features.inception import PUBLISHED, RESIZERS
from gan_lab.evaluation.reports.comparison import compare
from gan_lab.evaluation.reports.evaluations import (
    EvaluationResult,
    counts,
    higher_is_better,
    protocol_differences,
    sort_evaluations,
    tied_with_best,
    unique_names,
)
from gan_lab.evaluation.reports.tables import MetricRow


def written(folder, fd, error, precision=0.5, **protocol):
    folder.mkdir(parents=True)
    figures = {"fd_grey": fd, "fd_grey_error": error, "precision_grey": precision, "cs_grey": 5.0, "cs_grey_std": 9.0}
    stated = {"samples": 1000, "real": 5000, "split": "train", "extractors": {"grey": {}}, **protocol}
    (folder / "last-evaluation.json").write_text(json.dumps({"figures": figures, "protocol": stated}))
    return str(folder)


def evaluation(protocol=None, **values):
    return EvaluationResult(
        "same", {name: MetricRow(name, value) for name, value in values.items()}, protocol or {}, "", Path()
    )


@pytest.fixture
def runs(tmp_path):
    values = {"worse": (3.0, 0.1, 0.6), "best": (1.0, 0.3, 0.4), "tied": (1.6, 0.2, 0.9)}
    return [written(tmp_path / name, *each) for name, each in values.items()]


def test_the_best_is_first_and_ties_are_marked(runs, tmp_path, capsys):
    page = tmp_path / "compare.html"
    found = compare(runs, None, str(page))
    assert [run.name for run in found] == ["best", "tied", "worse"]
    text = page.read_text()
    marked = [row.split("</td>")[0] for row in text.split('<td class="best">')[1:]]
    # 0.6 apart with an error of √(0.3² + 0.2²); precision has no error, and a deviation over splits is none
    assert marked.count("1 ± 0.3") == 1 and marked.count("1.6 ± 0.2") == 1 and "3 ± 0.1" not in marked
    assert marked.count("0.9") == 1 and marked.count("0.4") == 0
    assert "1,000 / 5,000" in text and "not comparable" not in text
    assert "best" in capsys.readouterr().out


def test_any_metric_sorts_and_higher_may_be_better(runs, tmp_path):
    found = compare(runs, "precision_grey", str(tmp_path / "x.html"))
    assert [run.name for run in found] == ["tied", "worse", "best"]


HIGHER = """cs_grey is clean_is unresized_is cs_colour_a2b quick_cs_grey precision_grey recall_inception_clean
    density_clip coverage_dinov2 authenticity_grey label_accuracy cas cas_both modes modes_good ssim_a2b psnr_a2b
    diversity diversity_colour diversity_vgg16"""
LOWER = """fd_grey fid clean_fid unresized_kid fid_inf fd_inf_grey fd_grey_classes fd_grey_class_3 kd_colour_a2b kid
    quick_fd_grey quick_clean_fid modes_missed modes_kl spectrum ms_ssim path_length path_length_alexnet cycle_a
    identity_b l1_a2b wrong_b2a pd_colour_a2b lpips_alex_a2b lpips_vgg_b2a"""
NEITHER = "sharpness brightness contrast colourfulness island my_own_figure"


@pytest.mark.parametrize(
    ("name", "higher"),
    [(name, higher) for names, higher in ((HIGHER, True), (LOWER, False), (NEITHER, None)) for name in names.split()],
)
def test_the_direction_of_improvement(name, higher):
    assert higher_is_better(name) is higher
    low, high = evaluation(**{name: 1.0}), evaluation(**{name: 2.0})
    assert tied_with_best([low, high], name) == {True: {high}, False: {low}, None: set()}[higher]


def test_every_published_name_is_known():
    found = {prefix + name: kind for _, prefix, _ in RESIZERS.values() for kind, name in PUBLISHED.items()}
    assert {name: higher_is_better(name) for name in found} == {name: kind == "cs" for name, kind in found.items()}


def test_nan_is_last():
    nan, low, high = (evaluation(recall=value) for value in (float("nan"), 0.1, 0.2))
    assert sort_evaluations([nan, low, high], "recall") == [high, low, nan]


def test_evaluations_of_the_same_name_are_distinct():
    best, worse = evaluation(fd_grey=1.0), evaluation(fd_grey=2.0)
    assert best.name == worse.name and tied_with_best([worse, best], "fd_grey") == {best}


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["runs/a/last-evaluation", "runs/b/last-evaluation"], ["a", "b"]),
        (["x/2025-01-01_00-00-00/last-evaluation", "y/2025-01-01_00-00-00/last-evaluation"],
         ["x/2025-01-01_00-00-00", "y/2025-01-01_00-00-00"]),
        (["x/2025-01-01/last-evaluation", "x/2025-01-02/last-evaluation"], ["x/2025-01-01", "x/2025-01-02"]),
        (["a/last-evaluation", "a/best-evaluation", "b/last-evaluation"],
         ["a/last-evaluation", "a/best-evaluation", "b/last-evaluation"]),
        (["a/wgan", "b/dcgan"], ["wgan", "dcgan"]),
        (["old/mnist/a/e", "new/mnist/a/e", "new/mnist/b/e"], ["old/mnist/a", "new/mnist/a", "b"]),
    ],
)  # fmt: skip
def test_names_are_the_shortest_unique_ends_of_paths(paths, names):
    assert unique_names([Path(f"/all/{path}.json") for path in paths]) == names


def test_names_are_not_markup(tmp_path, capsys):
    paths = [written(tmp_path / name, 1.0, 0.1) for name in ("run [a]", "run [bold]b", ":smile:")]
    compare([*paths, paths[0]], None, str(tmp_path / "x.html"))  # twice the same is one
    out = capsys.readouterr().out
    assert [out.count(name) for name in ("run [a]", "run [bold]b", ":smile:")] == [1, 1, 1]


PROTOCOL = {
    "samples": 1000,
    "real": 5000,
    "split": "train",
    "truncation": 1.0,
    "seed": 0,
    "ema": True,
    "judge": {"name": "grey", "sha256": "12"},
    "extractors": {"grey": {"sha256": "12"}},
    "metrics": {"score": {"splits": 10}},
    "data": {
        **{"name": "mnist", "size": [32, 32], "classes": 10, "limit": None, "flip": False, "root": "/data/mnist"},
        "splits": {
            "train": {"count": 5000, "transform": "2 black pixels", "found": "5,000 pictures", "unreadable": {}},
            "test": {"count": 100, "transform": "2 black pixels", "found": "100 pictures", "unreadable": {}},
        },
    },
}
TRANSLATION = {
    "directions": {"a2b": {"translated": 50, "real": 40, "floor": 40}},
    "split": "test",
    "networks": {"pd_colour": "36"},
    "data": {"paired": True, "a": {"name": "maps", "size": [64, 64]}, "b": {"name": "maps", "size": [64, 64]}},
}


def changed(protocol, path, value):
    """A copy with another value at a dotted path."""
    copy = json.loads(json.dumps(protocol))
    *way, last = path.split(".")
    node = copy
    for key in way:
        node = node[key]
    node[last] = value
    return copy


@pytest.mark.parametrize(
    ("protocol", "path", "value", "sentence_part"),
    [
        (PROTOCOL, "samples", 50_000, "in samples,"),
        (PROTOCOL, "real", 4000, "in real,"),
        (PROTOCOL, "truncation", 0.7, "in truncation,"),
        (PROTOCOL, "ema", False, "in ema,"),
        (PROTOCOL, "judge.sha256", "34", "in judge (sha256),"),
        (PROTOCOL, "extractors.grey.sha256", "34", "in extractors (grey.sha256),"),
        (PROTOCOL, "metrics.score", {"splits": 5}, "in metrics (score.splits),"),
        (PROTOCOL, "data.name", "digits", "in data (name),"),
        (PROTOCOL, "data.size", [64, 64], "in data (size),"),
        (PROTOCOL, "data.splits.train.transform", "bicubic", "in data (transform),"),
        (PROTOCOL, "data.splits.train.found", "others", "in data (found),"),
        (TRANSLATION, "directions.a2b.real", 30, "in directions (a2b.real),"),
        (TRANSLATION, "directions.b2a", {"translated": 9, "real": 9}, "in directions (b2a.translated, b2a.real),"),
        (TRANSLATION, "networks.pd_colour", "37", "in networks (pd_colour),"),
        (TRANSLATION, "data.b.name", "facades", "in data (b.name),"),
    ],
)
def test_differences_that_metrics_depend_on_are_reported(protocol, path, value, sentence_part):
    (sentence,) = protocol_differences([evaluation(protocol), evaluation(changed(protocol, path, value))])
    assert sentence_part in sentence


@pytest.mark.parametrize(
    ("protocol", "path", "value"),
    [
        (PROTOCOL, "seed", 1),
        (PROTOCOL, "ema", None),  # not known for images from elsewhere
        (PROTOCOL, "extractors.inception", {"sha256": "56"}),
        (PROTOCOL, "metrics.kernel", {"subsets": None}),
        (PROTOCOL, "data.root", "/moved"),
        (PROTOCOL, "data.flip", True),
        (PROTOCOL, "data.classes", 0),
        (PROTOCOL, "data.splits.test.found", "others"),
        (PROTOCOL, "data.splits.train.unreadable", {"a.png": "broken"}),
        (TRANSLATION, "directions.a2b.floor", 30),
        (TRANSLATION, "networks.lpips_alex", "38"),
        (TRANSLATION, "data.a.preprocess", "crop"),
    ],
)
def test_differences_that_metrics_do_not_depend_on_are_not_reported(protocol, path, value):
    assert protocol_differences([evaluation(protocol), evaluation(changed(protocol, path, value))]) == []


def test_models_of_small_sets_are_comparable_if_evaluated_on_the_whole_set():
    whole = {**PROTOCOL, "split": "whole"}
    few = changed(changed(whole, "data.limit", 500), "data.splits.train.found", "500 pictures")
    assert protocol_differences([evaluation(whole), evaluation(few)]) == []


def test_differences_are_printed_and_written(runs, tmp_path, capsys):
    compare([*runs, written(tmp_path / "more", 0.5, 0.1, samples=50_000)], None, str(tmp_path / "x.html"))
    assert "differ in samples" in capsys.readouterr().out and "differ in samples" in (tmp_path / "x.html").read_text()


def test_counts_are_those_of_the_evaluation():
    assert counts(PROTOCOL) == "1,000 / 5,000" and counts({"samples": 25_600}) == "25,600"
    directions = {"a2b": {"translated": 1000, "real": 184}, "b2a": {"translated": 184, "real": 1000}}
    assert counts({"directions": directions}) == "a2b 1,000 / 184, b2a 184 / 1,000"


def test_a_damaged_image_of_samples_is_left_out(runs, tmp_path):
    whole, none, half = (Path(run) / "samples.png" for run in runs)
    Image.effect_noise((64, 64), 50).save(whole)
    none.write_bytes(b"no picture")
    half.write_bytes(whole.read_bytes()[:1000])
    compare(runs, None, str(tmp_path / "x.html"))
    assert (tmp_path / "x.html").read_text().count("<img") == 1


@pytest.mark.parametrize(
    "content",
    [
        "no JSON",
        "[]",
        '{"a": 1}',
        '{"figures": [1, 2], "protocol": {}}',
        '{"figures": {"fid": null}, "protocol": {}}',
        '{"figures": {"fid": 1}, "protocol": null}',
        '{"figures": {"fid": 1}, "protocol": {"samples": null}}',
        '{"figures": {"fid": 1}, "protocol": {"directions": {"a2b": {}}}}',
    ],
)
def test_a_file_without_an_evaluation_is_refused(content, runs, tmp_path):
    (tmp_path / "other.json").write_text(content)
    with pytest.raises(UserError, match=r"other\.json contains no evaluation"):
        compare([*runs, str(tmp_path / "other.json")], None, str(tmp_path / "x.html"))


def test_evaluations_that_cannot_be_compared_are_refused(runs, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "other.json").write_text('{"figures": {"fid": 1}, "protocol": {"samples": 9, "real": 9}}')
    for paths, by, said in (
        (runs[:1], None, "two evaluations"),
        (runs[:1] * 2, None, "two evaluations"),
        ([*runs, str(tmp_path / "empty")], None, "gan_lab.evaluate checkpoint="),
        ([*runs, str(tmp_path / "missing.json")], None, "contains no evaluation"),
        ([*runs, str(tmp_path / "other.json")], None, "share no metric"),
        (runs, "fid", "has no fid: give by= one of fd_grey"),
    ):
        with pytest.raises(UserError, match=said):
            compare(paths, by, str(tmp_path / "x.html"))
