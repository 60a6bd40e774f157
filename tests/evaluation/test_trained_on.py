"""Extractors that a model was trained on: found wherever they are in it, stated, and marked in tables and pages."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from cases import plain
from rich.console import Console
from torch import nn

import gan_lab
from gan_lab.common.instantiate import instantiate
from gan_lab.evaluation.features.extractors import Colour, Grey
from gan_lab.evaluation.features.perceptual import ColourDistance, perceptual_distance
from gan_lab.evaluation.reports.comparison import compare
from gan_lab.evaluation.reports.evaluation_page import write_evaluation_page
from gan_lab.evaluation.reports.marks import TRAINED_ON as MARK
from gan_lab.evaluation.reports.marks import extractor_of
from gan_lab.evaluation.reports.tables import metric_rows, metrics_table
from gan_lab.evaluation.results import environment_info
from gan_lab.evaluation.trained_on import trained_on

if TYPE_CHECKING:
    from collections.abc import Sized

NOTE = "no independent witness"


@dataclass
class Objective:
    loss: object


def holding(part):
    model = nn.Linear(2, 2)
    model.part = part
    return model


def of_checkers(part: Sized) -> Sized:
    raise AssertionError("it builds no witness")


def builds_grey(part: Sized | None = None) -> Grey:
    return Grey()


def circle(part):
    parts = [part]
    return [*parts, parts.append(parts) or parts]


@pytest.mark.parametrize(
    ("part", "names"),
    [
        (nn.ReLU(), []),
        (ColourDistance(), ["colour"]),
        ([ColourDistance(), Grey()], ["colour", "grey"]),
        ({"a": (nn.Sequential(Colour()),)}, ["colour"]),
        (Objective(ColourDistance()), ["colour"]),
        (partial(perceptual_distance, ["vgg16"], 8), ["colour"]),
        (partial(Grey), ["grey"]),
        (partial(builds_grey), ["grey"]),
        (partial(print, "called"), []),
        (partial(print, ColourDistance(), file=[Grey()]), ["colour", "grey"]),
        (partial(ColourDistance()), ["colour"]),
        (partial(Grey, "no/such/file"), ["grey"]),
        (partial(of_checkers), []),
        (partial(np.add, 1), []),
        (partial(nn.ReLU()), []),
        (circle(Grey()), ["grey"]),
        (SimpleNamespace(evaluators=[Grey()]), []),
    ],
    ids=[
        "another",
        "module",
        "list",
        "nested",
        "dataclass",
        "function",
        "class",
        "annotation",
        "no witness",
        "arguments",
        "witness called",
        "fails",
        "names of checkers",
        "ufunc",
        "module called",
        "circle",
        "no part",
    ],
)
def test_extractors_are_found_wherever_they_are(part, names, capsys):
    model = holding(part)
    assert trained_on(model) == names
    assert environment_info(model, {}, [])["trained_on"] == names
    assert not capsys.readouterr().out


def test_nothing_is_said_of_what_is_no_model():
    assert trained_on(SimpleNamespace(sample=None)) is None


@pytest.mark.parametrize(("name", "names"), [("vqgan", ["colour"]), ("vae_gan", []), ("dcgan", [])])
def test_the_methods_here(name, names):
    model, _, _ = gan_lab.compose(
        "train", f"model={name}", "data=fake", "data.channels=3", "data.size=16", "logger=none"
    )
    assert trained_on(model) == names


FIGURES = {
    "fd_colour": 2.0,
    "fd_colour_error": 0.1,
    "fd_grey": 3.0,
    "reconstruction_pd_colour": 0.2,
    "colourfulness": 5.0,
}
PROTOCOL = {"samples": 10, "real": 20, "extractors": {"colour": {"distance": "fd_colour"}, "grey": {}}}
TOLD = {**PROTOCOL, "trained_on": ["colour"]}


def test_their_metrics_are_marked():
    marks = {row.name: row.mark.strip() for row in metric_rows(FIGURES, protocol=TOLD)}
    assert marks == {"fd_colour": MARK, "fd_grey": "", "reconstruction_pd_colour": MARK, "colourfulness": ""}
    assert not any(row.mark for row in metric_rows(FIGURES, protocol=PROTOCOL))


INCEPTION = {"inception": {"distance": "fid", "kernel": "kid", "score": "is"}, "general": {"distance": "fd_general"}}
OURS = {"fd_general": 2.0, "mind_general": 2.0, "pd_colour": 1.0, "swd": 1.0, "recall_general": 0.5}


@pytest.mark.parametrize(
    ("extractors", "metrics"),
    [
        (INCEPTION, "fid kid is fid_inf mind quick_mind fdr_inception cmmd_inception precision_inception"),
        ({"inception_clean": {}, "general": {}}, "clean_fid clean_mind clean_fid_inf fdr_inception_clean"),
        ({"inception_spatial": {}, "general": {}}, "sfid mind_inception_spatial"),
    ],
)
def test_metrics_with_published_names_are_marked(extractors, metrics):
    told = {**PROTOCOL, "extractors": extractors, "trained_on": ["inception"]}
    figures = OURS | dict.fromkeys(metrics.split(), 3.0)
    assert {row.name for row in metric_rows(figures, protocol=told) if row.mark} == set(metrics.split())
    told["trained_on"] = ["general"]
    assert {row.name for row in metric_rows(figures, protocol=told) if row.mark} == {
        "fd_general", "mind_general", "recall_general"
    }  # fmt: skip


def test_a_metric_is_of_the_extractor_with_the_longest_name():
    extractors = {name: {} for name in ("inception", "inception_clean", "general", "grey")}
    names = {"fid": "inception", "clean_fid": "inception_clean", "mind": "inception", "mind_general": "general",
             "cmmd_inception_clean": "inception_clean", "swd": None}  # fmt: skip
    assert {metric: extractor_of(metric, extractors) for metric in names} == names


@pytest.mark.parametrize(("protocol", "count"), [(TOLD, 1), (PROTOCOL, 0), ({**PROTOCOL, "trained_on": None}, 0)])
def test_tables_and_pages_explain_the_mark_once(tmp_path, protocol, count):
    console = Console(width=200, record=True)
    console.print(metrics_table(FIGURES, "10 against 20", None, protocol))
    record = {"figures": FIGURES, "protocol": protocol}
    page = write_evaluation_page(tmp_path / "x.html", "A model", "10 against 20", record).read_text()
    for text in (console.export_text(), page):
        assert " ".join(text.split()).count(NOTE) == count and text.count(f"fd_colour {MARK}") == count
        assert f"fd_grey {MARK}" not in text


def test_a_comparison_marks_single_runs(tmp_path, capsys):
    for name, protocol in (("a", TOLD), ("b", PROTOCOL)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "evaluation.json").write_text(json.dumps({"figures": FIGURES, "protocol": protocol}))
    compare([str(tmp_path / name) for name in "ab"], None, str(tmp_path / "x.html"))
    for text in (capsys.readouterr().out, (tmp_path / "x.html").read_text()):
        assert f"2 ± 0.1 {MARK}" in text and text.count("2 ± 0.1") == 2
        assert " ".join(text.split()).count(NOTE) == 1


@pytest.mark.parametrize("model", ["fast_style", "adain", "cartoon"])
def test_models_that_learn_from_our_general_network_say_so(model, tmp_path):
    assert trained_on(instantiate(plain([f"model={model}"], tmp_path)["model"])) == ["general"]
