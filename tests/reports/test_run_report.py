"""Runs as pages: what is shown of them whole, cut off, going on, or moved; a slider, a read-out, an index."""

import csv
import json
import re
import shutil
from urllib.parse import unquote

import pytest
from PIL import Image

from gan_lab import report as entry
from gan_lab.reporting import report
from gan_lab.reports.charts import Axes, lines, powers, short, smoothed, thinned
from gan_lab.reports.history import History, read_run
from gan_lab.reports.index import best, reached
from gan_lab.reports.jobs import Job, by_setting, over_seeds, read_jobs
from gan_lab.reports.jobs import lines as lines_of
from gan_lab.reports.run import duration, evenly, facts
from gan_lab.reports.sweep import write_sweep
from gan_lab.runs import title
from gan_lab.types import UserError

PROTOCOL = {"samples": 100, "real": 1617, "split": "train", "seed": 0, "ema": True,
            "extractors": {"grey": {"resizer": "bilinear", "sha256": "29dde5c99543" * 4}}}  # fmt: skip


PHASES = ("discriminator", "generator")


def measured(images, tier, figures):
    return json.dumps({"tier": tier, "images_seen": images, "figures": figures, "curves": {}, "protocol": PROTOCOL})


def make(folder, seed=0, method="dcgan", last=2.5):
    """A finished run of 500 images, as its callbacks would leave it behind."""
    (folder / "samples").mkdir(parents=True)
    config = {"name": f"{method}-digits", "method": method, "seed": seed, "takes": "image", "run_dir": str(folder)}
    config |= {"data": {"name": "digits", "size": 32, "seed": seed}, "logger": {"folder": f"{folder}/x"}}
    (folder / "config.json").write_text(json.dumps(config))
    told = {"state": "finished", "time": "2026-11-22T08:00:00", "images_seen": 500, "iteration": 50, "seconds": 61.0}
    told |= {"figures": {"quick_fd_grey": 3.0, "fd_grey": last, "nan": None}}
    (folder / "run.json").write_text(json.dumps({**told, "best": {"name": "quick_fd_grey", "value": 3.0}}))
    with (folder / "metrics.csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        phases = (f"train/{phase}/{term}" for phase in PHASES for term in ("adversarial", "grad_norm"))
        table.writerow(["images", *phases, "perf/images_per_second"])
        for i in range(1, 51):
            table.writerow([10 * i, 1 / i, 2.0, "nan" if i == 7 else 1.25 + i, 1e3 if i == 9 else 1.0, ""])
    lines = [measured(250, "quick", {"quick_fd_grey": 3.0}), measured(500, "quick", {"quick_fd_grey": 4.0})]
    final = measured(500, "final", {"fd_grey": last, "fd_grey_error": 0.125, "fd_grey_gaussian": 18.5})
    (folder / "metrics.jsonl").write_text("\n".join([*lines, final]) + "\n")
    for images in (0, 250, 500):
        Image.new("RGB", (24, 16), (images // 2, 30, 90)).save(folder / "samples" / f"{images:09d}.png")
    shutil.copyfile(folder / "samples" / "000000500.png", folder / "samples.png")
    (folder / "last.ckpt").write_bytes(b"")
    return folder


@pytest.fixture
def run(tmp_path):
    return make(tmp_path / "runs" / "dcgan-digits" / "2026-11-22_08-00-00")


@pytest.fixture
def sweep(tmp_path):
    """Two methods, two seeds, and one job that failed before it began."""
    for number, (method, seed) in enumerate((m, s) for m in ("dcgan", "sngan") for s in (1, 2)):
        make(tmp_path / f"runs/{method}-digits/2026-11-22_08-00-0{number}", seed, method, 2.0 + number)
        job = {"job": number, "overrides": [f"model={method}", f"seed={seed}"], "state": "finished"}
        job["run"] = f"runs/{method}-digits/2026-11-22_08-00-0{number}"
        write(tmp_path / f"runs/sweeps/first/jobs/{number:04d}.json", job)
    failed = {"job": 4, "overrides": ["model=dcgan", "seed=x"], "state": "failed", "error": "no <seed>", "run": None}
    write(tmp_path / "runs/sweeps/first/jobs/0004.json", failed)
    return tmp_path / "runs/sweeps/first"


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def told(folder, **changes):
    """Writes the changes into ``run.json``; None takes a key out."""
    kept = {**json.loads((folder / "run.json").read_text()), **changes}
    (folder / "run.json").write_text(json.dumps({key: value for key, value in kept.items() if value is not None}))


def scripts(page, what):
    return [json.loads(each) for each in re.findall(rf'<script type="application/json"{what}>(.*?)</script>', page)]


def test_a_slider_shows_the_pictures_and_curves_are_read_out(run, browser):
    (page,) = report([str(run)])
    assert page == run / "report.html"
    text = page.read_text()
    (grids,) = scripts(text, ' id="grids"')
    assert [each["images"] for each in grids] == [0, 250, 500]
    assert len({each["source"] for each in grids}) == 3
    moved = """<script>
      const slider = document.getElementById("time");
      document.body.dataset.before = document.getElementById("grid").src;
      slider.value = 1;
      slider.dispatchEvent(new Event("input"));
      const plot = [...document.querySelectorAll(".plot")].find(each => each.innerText.startsWith("Generator"));
      document.body.dataset.end = plot.querySelector("b").textContent;
      const svg = plot.querySelector("svg"), box = svg.getBoundingClientRect();
      svg.dispatchEvent(new PointerEvent("pointermove", { bubbles: true, clientX: box.left + box.width / 10 }));
      document.body.dataset.first = plot.querySelector("b").textContent;
      plot.dispatchEvent(new PointerEvent("pointerleave"));
      plot.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft" }));
      document.getElementById("log").click();
    </script></body>"""
    shown = run / "moved.html"
    shown.write_text(text.replace("</body>", moved))
    browser.open(shown)
    assert not browser.console and not browser.outside
    assert f'data-before="{grids[2]["source"]}"' in browser.document
    assert f'class="sheet" src="{grids[1]["source"]}" alt="samples after 250 images"' in browser.document
    assert 'data-end="51.25"' in browser.document and 'data-first="2.25"' in browser.document
    (generator,) = re.findall(r"<figcaption>Generator: losses</figcaption>.*?</figure>", browser.document, re.S)
    assert "after 490" in generator and "<b>50.25</b>" in generator
    (data,) = scripts(generator, "")
    assert [axis[-1] for axis in data[0]] == [500, 51.25] and len(data[0][0]) == 49


def test_a_page_tells_the_facts_figures_and_protocol(run):
    text = report([str(run)])[0].read_text()
    assert "<h1>dcgan-digits 2026-11-22_08-00-00</h1>" in text
    for part in ("1 min 1 s", "quick_fd_grey 3 after 250 images", "100 / 1,617", "bilinear; sha256 29dde5c99543",
                 "<td>2.5</td><td>0.125</td><td>18.5</td>", "train/generator/adversarial (1)", "Gradient norms",
                 "averaged (EMA)", "split: train", "gan_lab.sample checkpoint="):  # fmt: skip
        assert part in text, part
    spike = next(data for data in scripts(text, "") if 1e3 in data[-1][1])
    assert len(spike) == 2  # both players' norms in one chart
    figures = next(data for data in scripts(text, "") if [250, 500] in data[0])
    assert figures == [[[250, 500], [3, 4]], [[500], [2.5]]]


def test_the_machine_and_its_versions_are_told(run):
    told(run, hardware="x86_64 CPU", versions={"torch": "2.15"})
    known = dict(facts(read_run(run)))
    assert (known["machine"], known["versions"]) == ("x86_64 CPU", "torch 2.15")


def test_runs_that_translate_and_points_of_the_plane(run):
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(
        json.dumps({**config, "takes": "unpaired", "data": {"name": "ring", "size": [1, 1]}})
    )
    protocol = {"directions": {"a2b": {"translated": 50, "real": 40}}, "split": "test"}
    record = {
        "tier": "quick",
        "images_seen": 9,
        "figures": {"pd_a2b": 0.5, "modes": float("nan")},
        "protocol": protocol,
    }
    broken = [json.dumps({**record, **each}) for each in ({"figures": []}, {"protocol": None}, {"images_seen": "x"})]
    (run / "metrics.jsonl").write_text("\n".join([json.dumps(record), *broken, "[]"]))
    text = report([str(run)])[0].read_text()
    assert "gan_lab.translate checkpoint=" in text and "a2b 50 / 40" in text and "<dd>ring</dd>" in text
    assert "<td>pd_a2b</td><td>0.5</td>" in text and "NaN" not in text


def test_what_is_cut_off_or_not_there_yet_is_left_out(run):
    told(run, state="running", figures=None, best=None, images_seen=None, seconds=None)
    for name, whole in (("metrics.csv", "510,0.5,2"), ("metrics.jsonl", measured(510, "quick", {"fd": 1.0})[:50])):
        with (run / name).open("a") as file:
            file.write(whole)
    grid = run / "samples" / "000000500.png"
    grid.write_bytes(grid.read_bytes()[:60])
    text = report([str(run)])[0].read_text()
    assert [each["images"] for each in scripts(text, ' id="grids"')[0]] == [0, 250]
    known = dict(facts(read_run(run)))
    assert known["state"] == "not ended" and known["images seen"] == "500"
    assert "resume=" in text
    for path in run.glob("*[!l]"):
        if path.is_file() and path.name != "config.json":
            path.unlink()
    shutil.rmtree(run / "samples")
    assert "unknown" in report([str(run)])[0].read_text()


def test_an_index_over_a_sweep_leads_to_its_runs_and_back(sweep, browser, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    *pages, index = report([str(sweep)])
    assert index == sweep / "index.html" and len(pages) == 4
    browser.open(index)
    assert not browser.console and not browser.outside
    links = re.findall(r'<td><a href="([^"]+)">(\d)</a></td><td>(\w+)</td><td>(\d)</td>', browser.document)
    assert [link[1:] for link in links] == [
        ("0", "dcgan", "1"),
        ("1", "dcgan", "2"),
        ("2", "sngan", "1"),
        ("3", "sngan", "2"),
    ]
    for (address, *_), page in zip(links, pages, strict=True):
        assert (sweep / unquote(address)).resolve() == page.resolve()
        back = re.search(r'<nav><a href="([^"]+)"', page.read_text())[1]
        assert (page.parent / unquote(back)).resolve() == index.resolve()
    assert "no &lt;seed&gt;" in browser.document and browser.document.count("<img") == 4
    (ways,) = scripts(browser.document, "")
    assert ways[0] == [[250, 500], [3, 4]] and len(ways) == 4


def test_a_sweep_that_ends_makes_the_same_page_without_pages_of_runs(sweep, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_sweep(sweep, read_jobs(sweep / "jobs"))
    ended = (sweep / "index.html").read_text()
    assert "<a href" not in ended
    report([str(sweep)])
    made = (sweep / "index.html").read_text()
    assert re.sub(r"</?a\b[^>]*>", "", made) == ended and made != ended
    write_sweep(sweep, read_jobs(sweep / "jobs"))
    assert (sweep / "index.html").read_text() == made


def test_all_runs_of_a_folder_and_what_sets_them_apart(sweep, tmp_path):
    *pages, index = report([str(tmp_path / "runs")], output=str(tmp_path / "out"))
    assert pages[0].name == "dcgan-digits_2026-11-22_08-00-00.html"
    assert {path.parent for path in (*pages, index)} == {tmp_path / "out"}
    text = index.read_text()
    assert "<th>run</th><th>method</th><th>seed</th><th>state</th>" in text  # data.seed goes with seed
    assert "4 settings in which they differ" in text  # name, method and both seeds; not the loggers' folders
    assert "<td>data.seed</td><td>1</td><td>2</td><td>1</td><td>2</td>" in text
    assert "<td>sngan</td><td>4.5</td><td>0.71</td><td>2</td>" in text  # over seeds
    assert "<td>method</td><td>sngan</td>" in pages[2].read_text()


def test_runs_that_were_measured_otherwise_are_said_not_to_be_comparable(run, tmp_path):
    other = make(tmp_path / "mine")
    assert "not comparable" not in report([str(run), str(other)])[-1].read_text()
    records = (other / "metrics.jsonl").read_text()
    (other / "metrics.jsonl").write_text(records.replace('"samples": 100', '"samples": 90'))
    assert "These runs differ in samples, so" in report([str(run), str(other)])[-1].read_text()


def test_a_click_or_a_key_on_a_columns_head_sorts_and_the_best_stand_in_bold(sweep, browser, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told(tmp_path / "runs/dcgan-digits/2026-11-22_08-00-01", figures={"fd_grey": 10.0})
    path = write_sweep(sweep, read_jobs(sweep / "jobs"))[1][-1]
    text = path.read_text()
    assert re.findall(r'<td class="best">([^<]+)</td>', text) == ["2"]  # on the way all were as good
    clicks = """<script>
      const jobs = () => [...document.querySelector(".sortable").rows].slice(1).map(row => row.cells[0].innerText);
      const head = [...document.querySelectorAll(".sortable th button")].find(each => each.innerText === "fd_grey");
      for (const name of ["up", "down"]) { head.click(); document.body.dataset[name] = jobs(); }
      document.body.dataset.sorted = head.parentElement.getAttribute("aria-sort") + head.tabIndex;
    </script></body>"""
    (sweep / "sorted.html").write_text(text.replace("</body>", clicks))
    browser.open(sweep / "sorted.html")
    assert not browser.console
    for part in ('data-up="0,2,3,1,4"', 'data-down="1,3,2,0,4"', 'data-sorted="descending0"'):  # 4 has no figure
        assert part in browser.document, part


def test_over_seeds_bars_are_means(sweep, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    svg = reached(read_jobs(sweep / "jobs"))
    assert re.findall(r"<title>(\w+: [^<]+)</title></rect>", svg) == ["dcgan: 2.5 ± 0.71", "sngan: 4.5 ± 0.71"]


def test_figures_of_different_names_stand_with_them(sweep, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told(tmp_path / "runs/dcgan-digits/2026-11-22_08-00-01", figures={"fd_colour": 7.5})
    jobs = read_jobs(sweep / "jobs")
    assert [line["last figure"] for line in lines_of(jobs)] == [
        "fd_grey 2",
        "fd_colour 7.5",
        "fd_grey 4",
        "fd_grey 5",
        "",
    ]
    means = [(row["model"], row["last figure: mean"], row["seeds"]) for row in over_seeds(jobs)]
    assert means == [("dcgan", "fd_grey 2", "1"), ("dcgan", "fd_colour 7.5", "1"), ("sngan", "fd_grey 4.5", "2")]
    assert not reached(jobs) and not best(jobs)


def test_pages_in_one_folder_have_flat_names_of_their_own(tmp_path):
    folders = [make(tmp_path / "runs" / name) for name in ("x/same", "y/same", "index")]
    for folder, name in zip(folders, ("../a/b?", "../A/B?", "index"), strict=True):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "name": name}))
    *pages, index = report([str(tmp_path / "runs")], output=str(tmp_path / "out"))
    assert sorted(page.name for page in pages) == ["_A_B_same-2.html", "_a_b_same.html", "index-2.html"]
    assert {path.parent for path in (*pages, index)} == {tmp_path / "out"} and all(page.is_file() for page in pages)


def test_runs_that_were_moved_with_their_sweep_are_found(sweep, tmp_path):
    moved = tmp_path / "elsewhere" / "kept"
    moved.parent.mkdir()
    shutil.move(tmp_path / "runs", moved)
    *pages, _ = report([str(moved / "sweeps" / "first")])
    assert [page.parent.parent.parent for page in pages] == [moved] * 4


def test_a_run_beside_another(run, tmp_path):
    other = make(tmp_path / "mine", seed=5)
    text = report([str(run / "last.ckpt")], against=str(other))[0].read_text()
    assert "<tr><td>seed</td><td>0</td><td>5</td></tr>" in text and "<th>dcgan-digits mine</th>" in text


@pytest.mark.parametrize("against", [None, "empty"])
def test_a_path_without_a_run_is_said_in_a_sentence(run, tmp_path, against):
    (tmp_path / "empty").mkdir()
    given = str(run) if against else str(tmp_path / "empty")
    with pytest.raises(UserError, match="empty holds no run: give"):
        report([given], against=str(tmp_path / "empty") if against else None)


def test_what_cannot_be_written_is_said_in_a_sentence(run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="give another output="):
        report([str(run)], output=str(tmp_path / "file"))


def test_the_command(run, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["report", str(run.parent), "output=" + str(run / "out")])
    entry.main()
    assert capsys.readouterr().out == f"Wrote {run}/out/index.html and 1 page of a run\n"
    assert (run / "out" / "index.html").is_file()


def test_titles_tell_method_and_data(run, tmp_path):
    assert title(run) == "dcgan-digits 2026-11-22_08-00-00"
    assert title(make(tmp_path / "mine")) == "dcgan-digits mine"
    (run / "config.json").unlink()
    assert title(run) == "dcgan-digits 2026-11-22_08-00-00"
    assert title(tmp_path / "weights") == "weights"


def test_heavy_pictures_are_made_lighter_and_many_are_chosen_evenly(run):
    for images in range(1, 40):
        Image.new("L", (8, 8)).save(run / "samples" / f"{images * 1000:09d}.png")
    Image.effect_noise((1024, 512), 80).save(run / "samples" / "000039000.png")
    page = report([str(run)])[0]
    (grids,) = scripts(page.read_text(), ' id="grids"')
    assert len(grids) == 24 and grids[0]["images"] == 0 and grids[-1]["images"] == 39_000
    assert grids[-1]["source"].startswith("data:image/webp") and len(grids[-1]["source"]) < 4 / 3 * 160_000 + 40
    assert (run / "samples" / "000039000.png").stat().st_size > 400_000
    assert evenly(range(5), 3) == [0, 2, 4]


def test_long_curves_keep_their_spikes_and_their_end():
    points = [(x, 1000.0 if x == 4321 else float(x % 7)) for x in range(10_000)]
    thin = thinned(points)
    assert len(thin) <= 400 and (4321, 1000.0) in thin and thin[-1] == points[-1] and thin == sorted(thin)
    assert thinned(points[:400]) == points[:400]
    assert smoothed([(0, 1.0), (1, 2.0), (2, 6.0)], 0.01) == [(0, 1.5), (1, 3.0), (2, 4.0)]
    assert lines("c", {"a": points, "b": points[:5]}, "x", "y").count("<polyline") == 3


@pytest.mark.parametrize(
    ("value", "name"),
    [(0, "0"), (0.5, "0.5"), (999, "999"), (1500, "1.5k"), (10_000, "10k"), (-2e6, "-2M"), (1e9, "1G")],
)
def test_ticks_are_short(value, name):
    assert short(value) == name


def test_a_logarithmic_axis():
    assert powers(0.5, 20) == [0.5, 1, 2, 5, 10, 20] and powers(1, 1e5) == [10**n for n in range(6)]
    axes = Axes((0, 1), (1, 100), "", "", log=True)
    heights = [axes.place(0, y)[1] for y in (1, 10, 100)]
    assert heights[0] - heights[1] == pytest.approx(heights[1] - heights[2])


def test_durations():
    assert [duration(seconds) for seconds in (5.4, 61, 3600 * 2 + 60 * 3)] == ["5 s", "1 min 1 s", "2 h 3 min"]


def test_runs_that_differ_in_more_than_seeds_have_no_mean(tmp_path):
    def job(number, model, seed, rate, value):
        told = {"state": "finished", "figures": {"fd_grey": value}}
        run = History(tmp_path, {"seed": seed, "data": {"seed": seed}, "rate": rate}, told, {}, {}, [])
        return Job(number, {"model": model, "seed": str(seed)}, "finished", "", "", run)

    alike = [job(0, "dcgan", 1, 0.1, 2.0), job(1, "dcgan", 2, 0.1, 3.0)]
    others = [job(2, "sngan", 1, 0.1, 4.0), job(3, "sngan", 2, 0.2, 5.0)]
    assert by_setting([*alike, *others]) == {(("dcgan",), "fd_grey"): [2.0, 3.0]}
