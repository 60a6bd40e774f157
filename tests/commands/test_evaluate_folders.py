"""Evaluating folders of pictures, and what people said of them: files, pages, and what is refused before anything."""

import json

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

import gan_lab.evaluate as module
from gan_lab.cli.config.compose import compose
from gan_lab.common.errors import UserError
from gan_lab.common.images import to_uint8
from gan_lab.data.sources.folders import compared_folders
from gan_lab.evaluation.features.extractors import Grey
from gan_lab.evaluation.image_sets import StoredSampler
from gan_lab.evaluation.reports import outcome

ODD = "+metrics.odd={_target_: odd_metric.Odd, _partial_: true}"


def pictures(folder, n, seed=0):
    folder.mkdir()
    random = np.random.default_rng(seed)
    for number in range(n):
        Image.fromarray(random.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(folder / f"{number}.png")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """With pictures, in which the work is done."""
    monkeypatch.chdir(tmp_path)
    pictures(tmp_path / "photos", 6)
    pictures(tmp_path / "made", 5, seed=1)
    return tmp_path


def evaluate(*overrides):
    return module.evaluate.run(*overrides, "device=cpu")


def measure(*overrides):
    return evaluate("real=photos", "fake=made", *overrides)


@pytest.fixture(scope="module")
def composed():
    """Once, for what is refused before anything is read: composing takes most of such a test's time."""
    return compose([], "evaluate")


def refused(composed, said, *keys):
    with pytest.raises(UserError, match=said):
        module.evaluate.perform(OmegaConf.merge(composed, OmegaConf.from_dotlist(list(keys))))


@pytest.mark.parametrize(
    ("output", "base"),
    [("x.html", "x"), ("y/x.json", "y/x"), ("r3gan.v2", "r3gan.v2"), (".", "evaluation"), ("new/", "new/evaluation")],
)
def test_figures_and_page_have_one_name_and_two_endings(folder, capsys, output, base):
    measure(f"output={output}", "metrics=[image_statistics]")
    assert json.loads((folder / f"{base}.json").read_text())["figures"]["brightness"] > 0
    assert (folder / f"{base}.html").read_text().startswith("<!doctype html>")
    assert capsys.readouterr().out.endswith(f"Wrote {base}.json, {base}.html\n")
    assert "5 images of made against 6 of photos" in (folder / f"{base}.html").read_text()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "nothing to work on: give checkpoint=…, or real=… and fake=…"),
        (["real=a"], "nothing to compare real=… with: give fake=…"),
        (["fake=a"], "nothing to compare fake=… with: give real=…"),
        (["checkpoint=a", "real=b"], "checkpoint=… and real=… do not go together"),
        (["checkpoint=a", "real=b", "fake=c"], "checkpoint=…, real=… and fake=… do not go together"),
        (["answers=a", "checkpoint=b"], "checkpoint=… and answers=… do not go together"),
    ],
    ids=lambda value: None if isinstance(value, str) else " ".join(value),
)
def test_what_is_measured_is_said_in_one_way(composed, given, said):
    refused(composed, said, *given)


@pytest.mark.parametrize(
    "wrong",
    ["n=lots", "n=0", "batch_size=0", "batch_size=null", "limit=-3", "limit=2.5", "trial=-1", "seed=x", "split=all",
     "truncation=0", "truncation=1.5", "truncation=null"],
)  # fmt: skip
def test_values_that_do_not_serve_are_refused_before_anything_is_read(composed, wrong):
    said = f"^{wrong} is not valid: give"
    refused(composed, said, "real=/nowhere", "fake=/nowhere", wrong)


def test_where_nothing_can_be_written_nothing_is_measured(folder, monkeypatch):
    (folder / "file").touch()
    monkeypatch.setattr(outcome, "select_evaluator", None)
    with pytest.raises(UserError, match="file cannot be made"):
        measure("output=file/x")


def test_the_first_pictures_are_on_every_page_and_neighbours_where_features_were_kept(folder):
    for name, parts in (("without", "[image_statistics]"), ("with", "[distance]")):
        measure(f"output={name}", f"metrics={parts}")
    without, whole = ((folder / f"{name}.html").read_text() for name in ("without", "with"))
    for page in (without, whole):
        assert "The first 5, not chosen." in page and 'alt="outputs of the model"' in page
    assert "Nearest real images" not in without
    assert "among the 6 images of the real folder" in whole


def test_the_page_leads_to_the_test_with_people(folder, capsys):
    measure("output=a b", "metrics=[image_statistics]", "trial=3")
    assert capsys.readouterr().out.endswith("Wrote a b.json, a b.html, a b-trial.html\n")
    assert '<a href="a%20b-trial.html">a b-trial.html</a>' in (folder / "a b.html").read_text()
    assert '"questions"' in (folder / "a b-trial.html").read_text()


def test_answers_become_a_rate(folder, capsys):
    answers = [{"question": number, "truth": 0, "answer": 0, "right": number % 4 != 0} for number in range(40)]
    (folder / "answers.json").write_text(json.dumps({"kind": "pairs", "model": "m", "answers": answers}))
    assert evaluate("answers=answers.json") is None
    assert "10 of 40 wrong: an error rate of 25.0 %, with 95 % confidence between 14.2 % and 40.2 %." in (
        capsys.readouterr().out
    )
    found = json.loads((folder / "answers-rate.json").read_text())
    assert (found["n"], found["wrong"], found["model"], found["kind"]) == (40, 10, "m", "pairs")
    assert (found["low"], found["high"]) == pytest.approx((0.141871, 0.401937), abs=1e-5)


@pytest.mark.parametrize("text", [None, "no JSON", "[1]", '{"kind": "pairs", "model": "m", "answers": []}'])
def test_a_file_without_answers_is_refused(folder, composed, text):
    if text is not None:
        (folder / "answers.json").write_text(text)
    refused(composed, r"answers\.json contains no answers: give the file", "answers=answers.json")


def test_figures_that_are_no_numbers_are_named_and_left_out(folder, capsys):
    measure("output=x", "metrics=[image_statistics]", ODD)
    record = json.loads((folder / "x.json").read_text(), parse_constant=pytest.fail)
    assert record["undefined"] == ["odd_error", "odder"] and record["figures"]["odd"] == 1.5
    assert not {"odd_error", "odder"} & set(record["figures"])
    for told in (capsys.readouterr().out, (folder / "x.html").read_text()):
        assert "No finite value" in told and "odd_error, odder" in told


def test_made_pictures_are_read_by_their_numbers(folder, monkeypatch):
    _, made = compared_folders("photos", "made")
    whole = torch.cat(list(made.images("train")))
    monkeypatch.setattr(made, "images", None)
    assert isinstance(made.rendered("train").pixels, np.memmap)
    assert torch.equal(to_uint8(StoredSampler(made, torch.device("cpu")).sample(3, start=1)), whole[1:4])


def test_a_folder_has_no_held_out_images(folder, capsys):
    measure("output=x", "metrics=[distance,ratio]", "page=false")
    record = json.loads((folder / "x.json").read_text())
    assert set(record["figures"]) == {"fd_general", "fd_general_gaussian"}
    assert "held_out" not in record["protocol"]
    assert "ratio is left out: there are no held-out real images" in capsys.readouterr().err


def test_a_damaged_picture_does_not_decide_the_size(folder):
    pictures(folder / "many", 100)
    (folder / "many" / "-.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match="1 unreadable images are skipped"):
        real, _ = compared_folders("many", "made")
    assert real.count("train") == 100 and (real.height, real.width) == (16, 16)
    pictures(folder / "broken", 0)
    (folder / "broken" / "0.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"0\.png cannot be read, and no other image"):
        compared_folders("broken", "made")


def test_a_size_that_is_none_is_refused_by_its_own_key():
    with pytest.raises(UserError, match=r"^size=0 is not valid"):
        compared_folders("/nowhere", "/nowhere", 0)


def test_a_second_comparison_of_the_same_folders_extracts_nothing(folder, monkeypatch):
    def compared(name):
        measure("metrics=[distance,kernel]", "extractor=grey", "page=false", f"output={name}.json")
        return json.loads((folder / f"{name}.json").read_text())["figures"]

    first = compared("first")
    monkeypatch.setattr(Grey, "extract", None)
    assert compared("second") == first
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    Image.new("RGB", (16, 16), "red").save(folder / "made" / "0.png")
    assert compared("changed") != first
