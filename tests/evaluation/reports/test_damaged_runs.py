"""A damaged run or job stops no report over others, and no search for a run to resume."""

import json
import re

import pytest
from run_folders import make, told, write

from gan_lab.common import runs
from gan_lab.common.errors import UserError
from gan_lab.evaluation.reports.collection import report
from gan_lab.evaluation.reports.comparison import compare
from gan_lab.evaluation.reports.history import read_run
from gan_lab.evaluation.reports.jobs import read_jobs
from gan_lab.evaluation.reports.sweep import write_sweep

ODD = (None, "x", [], {}, [[1]], {"a": {"b": 1}}, -1, 1e400, True)


def places(node, path=()):
    """The paths of a document's nodes, its own included."""
    yield path
    for key, each in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from places(each, (*path, key))


def changed(node, path, value):
    """A document with another value at a path."""
    if not path:
        return value
    copy = dict(node) if isinstance(node, dict) else list(node)
    copy[path[0]] = changed(node[path[0]], path[1:], value)
    return copy


def damages(text):
    """A JSON document with every node in turn replaced by an odd value of another type."""
    document = json.loads(text)
    for path in places(document):
        for odd in ODD:
            yield json.dumps(changed(document, path, odd))


@pytest.fixture
def damaged(tmp_path):
    make(tmp_path / "runs" / "a" / "good", seed=1)
    return make(tmp_path / "runs" / "b" / "damaged", seed=2)


def reported(folder):
    *pages, index = report([str(folder)])
    assert pages and index.is_file() and "/good" in pages[0].as_posix()
    return len(pages)


@pytest.mark.parametrize("name", ["config.json", "run.json", "metrics.jsonl"])
def test_no_value_of_any_type_in_a_run_stops_the_report_over_others(damaged, tmp_path, name, monkeypatch):
    monkeypatch.setattr("gan_lab.evaluation.reports.run_page.embed_file", lambda *_: None)
    monkeypatch.setattr("gan_lab.evaluation.reports.index_page.embed_file", lambda *_: None)
    for text in dict.fromkeys(damages((damaged / name).read_text().splitlines()[-1])):
        (damaged / name).write_text(text)
        assert reported(tmp_path / "runs") == 2, text


BROKEN = {"empty": b"", "cut off": b'{"state": "fin', "no text": b"\xff\xfe\x00", "deep": b"[" * 100_000}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("name", ["config.json", "run.json", "metrics.jsonl", "metrics.csv", "samples.png"])
def test_a_damaged_file_leaves_the_rest_of_its_run_and_all_others(damaged, tmp_path, name, content, capsys):
    (damaged / name).write_bytes(content)
    assert reported(tmp_path / "runs") == 2
    if name in ("config.json", "run.json"):
        assert capsys.readouterr().err == f"gan_lab: {damaged} is damaged ({name}).\n"
        assert f"<dd>{name}</dd>" in (damaged / "report.html").read_text()
        assert f"{name} cannot be read" in (tmp_path / "runs" / "index.html").read_text()
    else:
        assert not capsys.readouterr().err


def test_a_folder_in_a_files_place_and_odd_cells_are_passed_over(damaged, tmp_path):
    for name in ("metrics.csv", "metrics.jsonl", "samples.png"):
        (damaged / name).unlink()
        (damaged / name).mkdir()
    assert reported(tmp_path / "runs") == 2 and read_run(damaged).damaged == ("metrics.csv", "metrics.jsonl")
    (damaged / "metrics.csv").rmdir()
    (damaged / "metrics.csv").write_text("images,loss\n1,2\n2," + "9" * 200_000 + "\n3,4\n")
    assert read_run(damaged).series == {"loss": [(1.0, 2.0)]}


def test_what_cannot_be_shown_is_left_out_beside_others_and_refused_alone(damaged, tmp_path, monkeypatch, capsys):
    def fails(run):
        return run.folder == damaged and 1 / 0

    monkeypatch.setattr("gan_lab.evaluation.reports.run_page.facts", lambda run: fails(run) or [])
    assert reported(tmp_path / "runs") == 1
    sentence = f"{damaged} cannot be shown (ZeroDivisionError: division by zero)"
    assert f"gan_lab: {sentence}, and is left out.\n" == capsys.readouterr().err
    with pytest.raises(UserError, match=re.escape(f"{sentence}: look for a damaged file in it")):
        report([str(damaged)])


def test_a_damaged_record_of_a_job_leaves_the_sweeps_table(sweep, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = (sweep / "jobs" / "0001.json").read_text()
    for text in [*damages(whole), *(each.decode("latin-1") for each in BROKEN.values())]:
        (sweep / "jobs" / "0001.json").write_text(text, encoding="latin-1")
        jobs = read_jobs(sweep / "jobs")
        assert [job.number for job in jobs] == [0, 1, 2, 3, 4]
    write_sweep(sweep, jobs)
    assert "1,,,unknown,,,0,0.0,,its record is damaged" in (sweep / "table.csv").read_text()


def test_a_damaged_run_is_passed_over_where_one_to_resume_is_sought(damaged, tmp_path):
    good = tmp_path / "runs" / "a" / "good"
    config = json.loads((good / "config.json").read_text())
    told(good, state="stopped")
    told(damaged, state="stopped")
    dangling = tmp_path / "runs" / "c" / "last.ckpt"
    dangling.parent.mkdir()
    dangling.symlink_to(tmp_path / "nowhere")
    for name in ("config.json", "run.json"):
        whole = (damaged / name).read_text()
        for text in dict.fromkeys([*damages(whole), *(each.decode("latin-1") for each in BROKEN.values())]):
            (damaged / name).write_text(text, encoding="latin-1")
            assert runs.find_resumable(tmp_path / "runs", config)[0] == good, text
            assert runs.find_finished(tmp_path / "runs", config) is None, text
            assert runs.best_value(damaged) in (None, 3.0, -1.0, 1.0, float("inf"))
            assert isinstance(runs.run_title(damaged), str)
        (damaged / name).write_text(whole)


def test_a_damaged_evaluation_is_named(damaged, tmp_path):
    good = tmp_path / "runs" / "a" / "good"
    record = json.loads((good / "metrics.jsonl").read_text().splitlines()[-1])
    write(good / "evaluation.json", record)
    (good / "dangling-evaluation.json").symlink_to(tmp_path / "nowhere")
    for text in dict.fromkeys(damages(json.dumps({key: record[key] for key in ("figures", "protocol")}))):
        (damaged / "evaluation.json").write_text(text)
        try:
            compare([str(good), str(damaged)], None, str(tmp_path / "compare.html"))
        except UserError as error:
            known = (f"{damaged}/evaluation.json contains no evaluation", "These evaluations share no metric")
            assert str(error).startswith(known)
