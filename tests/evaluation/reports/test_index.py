"""The page over several runs: of a sweep or a folder, sorted, with means over seeds, or moved."""

import json
import re
import shutil
from urllib.parse import unquote

import pytest
from run_folders import make, told

from gan_lab.evaluation.reports.collection import report
from gan_lab.evaluation.reports.history import History, read_run
from gan_lab.evaluation.reports.index_page import result_chart
from gan_lab.evaluation.reports.index_table import index_columns, informative_keys
from gan_lab.evaluation.reports.jobs import Job, job_from_run, job_rows, read_jobs, seed_rows, values_over_seeds
from gan_lab.evaluation.reports.pages import Cell
from gan_lab.evaluation.reports.sweep import write_sweep


def scripts(page, what):
    return [json.loads(each) for each in re.findall(rf'<script type="application/json"{what}>(.*?)</script>', page)]


def test_an_index_over_a_sweep_links_to_its_runs_and_back(sweep, browser, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    *pages, index = report([str(sweep)])
    assert index == sweep / "index.html" and len(pages) == 4
    browser.open(index)
    assert not browser.console and not browser.outside
    links = re.findall(r'<td class="name"><a href="([^"]+)">(\d)</a></td>', browser.document)
    assert [number for _, number in links] == ["0", "1", "2", "3"]
    found = table(read_jobs(sweep / "jobs"))
    assert found["model"] == ["dcgan", "dcgan", "sngan", "sngan", "dcgan"]
    assert [*found][:5] == ["job", "best quick_fd_grey", "fd_grey", "model", "seed"]
    for (address, *_), page in zip(links, pages, strict=True):
        assert (sweep / unquote(address)).resolve() == page.resolve()
        back = re.search(r'<nav><a href="([^"]+)"', page.read_text())[1]
        assert (page.parent / unquote(back)).resolve() == index.resolve()
    assert "no &lt;seed&gt;" in browser.document and browser.document.count("<img") == 4
    (ways,) = scripts(browser.document, "")
    assert ways[0] == [[250, 500], [3, 4]] and len(ways) == 4


def test_a_sweep_that_ends_writes_the_same_page_without_links(sweep, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_sweep(sweep, read_jobs(sweep / "jobs"))
    ended = (sweep / "index.html").read_text()
    assert "<a href" not in ended
    report([str(sweep)])
    made = (sweep / "index.html").read_text()
    assert re.sub(r"</?a\b[^>]*>", "", made) == ended and made != ended
    write_sweep(sweep, read_jobs(sweep / "jobs"))
    assert (sweep / "index.html").read_text() == made


def test_all_runs_of_a_folder_and_their_differences(sweep, tmp_path):
    *pages, index = report([str(tmp_path / "runs")], output=str(tmp_path / "out"))
    assert pages[0].name == "dcgan-digits_2026-11-22_08-00-00.html"
    assert {path.parent for path in (*pages, index)} == {tmp_path / "out"}
    text = index.read_text()
    heads = re.findall('<th class="([^"]+)">([^<]+)</th>', text)
    assert [name for group, name in heads if "more" not in group] == [
        *("run", "best quick_fd_grey", "fd_grey", "method", "seed", "state", "images", "minutes")
    ]
    assert heads[-2:] == [("settings more", "name"), ("settings more", "data.seed")]  # not the loggers' folders
    assert "show all columns: also 2 settings that differ" in text
    assert "<td>sngan</td><td>4.5</td><td>0.71</td><td>2</td>" in text  # over seeds
    assert "<td>method</td><td>sngan</td>" in pages[2].read_text()


def test_a_click_on_a_columns_heading_sorts_and_the_best_are_bold(sweep, browser, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told(tmp_path / "runs/dcgan-digits/2026-11-22_08-00-01", figures={"fd_grey": 10.0})
    path = write_sweep(sweep, read_jobs(sweep / "jobs"))[1][-1]
    text = path.read_text()
    assert re.findall(r'<td class="metrics best">([^<]+)</td>', text) == ["2"]  # during training all were as good
    clicks = """<script>
      const jobs = () => [...document.querySelector(".sortable").rows].slice(1).map(row => row.cells[0].innerText);
      const head = [...document.querySelectorAll(".sortable th button")].find(each => each.innerText === "fd_grey");
      for (const name of ["up", "down"]) { head.click(); document.body.dataset[name] = jobs(); }
      document.body.dataset.sorted = head.parentElement.getAttribute("aria-sort") + head.tabIndex;
    </script></body>"""
    (sweep / "sorted.html").write_text(text.replace("</body>", clicks))
    browser.open(sweep / "sorted.html")
    assert not browser.console
    for part in ('data-up="0,2,3,1,4"', 'data-down="1,3,2,0,4"', 'data-sorted="descending0"'):  # 4 has no metric
        assert part in browser.document, part


def test_bars_are_means_over_seeds(sweep, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    svg = result_chart(read_jobs(sweep / "jobs"))
    assert re.findall(r"<title>(\w+: [^<]+)</title></rect>", svg) == ["dcgan: 2.5 ± 0.71", "sngan: 4.5 ± 0.71"]


def test_metrics_of_different_names_are_given_with_their_names(sweep, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told(tmp_path / "runs/dcgan-digits/2026-11-22_08-00-01", figures={"fd_colour": 7.5})
    jobs = read_jobs(sweep / "jobs")
    assert [line["last metric"] for line in job_rows(jobs)] == [
        "fd_grey 2",
        "fd_colour 7.5",
        "fd_grey 4",
        "fd_grey 5",
        "",
    ]
    means = [(row["model"], row["last metric: mean"], row["seeds"]) for row in seed_rows(jobs)]
    assert means == [("dcgan", "fd_grey 2", "1"), ("dcgan", "fd_colour 7.5", "1"), ("sngan", "fd_grey 4.5", "2")]
    assert not result_chart(jobs)
    found = table(jobs)
    assert found["fd_grey"] == ["2", "", "4", "5", ""] and found["fd_colour"] == ["", "7.5", "", "", ""]


def table(jobs):
    return {column.name: [cell.text for cell in column.cells] for column in index_columns(jobs, "job")}


def many_runs(folder, count=40):
    """Runs of different methods, metrics, protocols and settings."""
    for number in range(count):
        run = make(
            folder / f"method{number:02d}-digits" / f"2026-11-22_08-00-{number:02d}", method=f"method{number:02d}"
        )
        config = json.loads((run / "config.json").read_text())
        config |= {"batch_size": 8 + number, "model": {f"weight{number % 7}": 0.1 * number, "note": "long " * 20}}
        (run / "config.json").write_text(json.dumps(config))
        figures = {("fd_grey", "l1", "psnr")[number % 3]: 1.0 + number, "kd_grey": 0.1, "kd_grey_error": 0.01}
        told(run, figures=figures, state="failed" if number == 3 else "finished", error="out of memory " * 9)
        lines = (run / "metrics.jsonl").read_text().replace('"samples": 100', f'"samples": {100 + number % 4}')
        (run / "metrics.jsonl").write_text(lines.replace('"train"', '"test"' if number % 2 else '"train"'))
    return folder


SEEN = """<script>addEventListener("load", () => {
  const frame = document.querySelector(".frame"), [row] = [...frame.querySelectorAll("tr")].slice(1);
  const metric = row.querySelector(".metrics").getBoundingClientRect(), edge = frame.getBoundingClientRect();
  const name = row.cells[0];
  const before = name.getBoundingClientRect().left;
  frame.scrollLeft = 500;
  Object.assign(document.body.dataset, {
    page: document.documentElement.scrollWidth <= innerWidth,
    scrolls: frame.scrollWidth > frame.clientWidth && frame.scrollLeft === 500,
    shown: metric.right <= edge.right && metric.left >= edge.left && row.offsetHeight < 150,
    stays: name.getBoundingClientRect().left === before,
  });
});</script></body>"""


@pytest.mark.parametrize("width", [1280, 500])  # Chromium's windows are not narrower
def test_the_table_of_many_runs_scrolls_in_its_frame_and_shows_metrics_first(tmp_path, browser, width):
    page = report([str(many_runs(tmp_path / "runs"))])[-1]
    text = page.read_text()
    page.write_text(text.replace("</body>", SEEN))
    browser.open(page, width)
    for part in ("page", "scrolls", "shown", "stays"):
        assert f'data-{part}="true"' in browser.document, part
    assert not browser.console
    assert text.count("These runs differ in") == 1 and "These runs differ in samples, split, so" in text
    assert 'class="best"' not in text and "metrics best" not in text  # not comparable


def test_differing_protocols_and_settings_are_columns(tmp_path):
    jobs = [
        job_from_run(n, read_run(f.parent), []) for n, f in enumerate(sorted(many_runs(tmp_path).rglob("run.json")))
    ]
    columns = {column.name: column for column in index_columns(jobs, "run")}
    assert [cell.text for cell in columns["samples"].cells[:5]] == ["100", "101", "102", "103", "100"]
    assert not columns["split"].more and columns["model.weight3"].more and columns["kd_grey"].more
    assert columns["psnr"].cells[2] == Cell("3") and "kd_grey_error" not in columns and "model.note" not in columns
    names = [*columns]
    assert names[:5] == ["run", "best quick_fd_grey", "fd_grey", "l1", "psnr"] and names.index("samples") < 12


def test_columns_begin_with_what_describes_a_run_best(tmp_path):
    values = {"aaa": ["1", "2", "1"], "seed": ["1", "2", "1"], "method": ["a", "b", "c"], "name": ["x", "y", "z"]}
    assert informative_keys(list(values.items()), 6) == ["method", "seed"]


def test_runs_that_were_moved_with_their_sweep_are_found(sweep, tmp_path):
    moved = tmp_path / "elsewhere" / "kept"
    moved.parent.mkdir()
    shutil.move(tmp_path / "runs", moved)
    *pages, _ = report([str(moved / "sweeps" / "first")])
    assert [page.parent.parent.parent for page in pages] == [moved] * 4


def test_runs_that_differ_in_more_than_seeds_have_no_mean(tmp_path):
    def job(number, model, seed, rate, value):
        told = {"state": "finished", "figures": {"fd_grey": value}}
        run = History(tmp_path, {"seed": seed, "data": {"seed": seed}, "rate": rate}, told, {}, {}, [])
        return Job(number, {"model": model, "seed": str(seed)}, "finished", "", "", run)

    alike = [job(0, "dcgan", 1, 0.1, 2.0), job(1, "dcgan", 2, 0.1, 3.0)]
    others = [job(2, "sngan", 1, 0.1, 4.0), job(3, "sngan", 2, 0.2, 5.0)]
    assert values_over_seeds([*alike, *others]) == {(("dcgan",), "fd_grey"): [2.0, 3.0]}


def test_metrics_in_features_of_the_training_loss_are_marked(tmp_path):
    for name, names in (("a", ["grey"]), ("b", [])):
        folder = make(tmp_path / name)
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        for line in lines:
            line["protocol"]["trained_on"] = names
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    text = report([str(tmp_path)])[-1].read_text()
    assert text.count("no independent witness") == 1
    assert re.search(r"<td[^>]*>[\d.e-]+ †</td>", text)


def test_features_that_do_not_know_the_images_are_marked(tmp_path):
    folder = make(tmp_path / "a")
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        line["protocol"] |= {"unknown": {"grey": 0.08}, "trained_on": ["grey"]}
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    make(tmp_path / "b")
    text = report([str(tmp_path)])[-1].read_text()
    assert text.count("does not know such images") == 1 == text.count("no independent witness")
    assert re.search(r"<td[^>]*>[\d.e-]+ †‡</td>", text)


@pytest.mark.parametrize(
    ("values", "error", "behind"), [((20.0, 30.0), 0.1, True), ((20.0, 18.0), 0.1, False), ((18.6, 18.7), 0.1, False)]
)
def test_a_row_of_noise_says_where_every_run_is_behind_it(tmp_path, browser, values, error, behind):
    for name, value in zip("ab", values, strict=True):
        told(make(tmp_path / name), figures={"fd_grey": value, "fd_grey_error": error, "fd_grey_gaussian": 18.5,
                                             "fd_grey_real": 1.5})  # fmt: skip
    index = report([str(tmp_path)])[-1]
    browser.open(index)
    assert not browser.console
    below = re.findall(r"<tr>(.*?)</tr>", re.search(r"<tfoot>(.*?)</tfoot>", browser.document, re.DOTALL)[1], re.DOTALL)
    texts = [[cell for cell in re.findall(r">([^<]*)</td>", row) if cell] for row in below]
    assert texts == [["real images", "1.5"], ["pixel Gaussian", "18.5"]]
    assert ("By fd_grey every run here is worse than the pixel Gaussian" in browser.document) == behind
    assert "worse than the real" not in browser.document
