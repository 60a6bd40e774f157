"""Pages of runs that are complete, cut off or going on; their slider and legends."""

import json
import re
import shutil

import pytest
from PIL import Image
from run_folders import make, measured, told

from gan_lab import report as entry
from gan_lab.common.errors import UserError
from gan_lab.common.runs import run_title
from gan_lab.evaluation.reports.charts import Axes, line_chart, log_ticks, smoothed, thinned, tick_label
from gan_lab.evaluation.reports.collection import report
from gan_lab.evaluation.reports.history import read_run
from gan_lab.evaluation.reports.pages import evenly_spaced
from gan_lab.evaluation.reports.run_page import duration, facts


def scripts(page, what):
    return [json.loads(each) for each in re.findall(rf'<script type="application/json"{what}>(.*?)</script>', page)]


def test_a_slider_shows_the_grids_and_legends_show_values(run, browser):
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


def test_a_page_shows_facts_metrics_and_protocol(run):
    text = report([str(run)])[0].read_text()
    assert "<h1>dcgan-digits 2026-11-22_08-00-00</h1>" in text
    for part in ("1 min 1 s", "quick_fd_grey 3 after 250 images", "100 / 1,617", "bilinear; sha256 29dde5c99543",
                 "<td>2.5</td><td>0.125</td><td>18.5</td>", "train/generator/adversarial (1)", "Gradient norms",
                 "weights: EMA", "split: train", "gan_lab.sample checkpoint="):  # fmt: skip
        assert part in text, part
    spike = next(data for data in scripts(text, "") if 1e3 in data[-1][1])
    assert len(spike) == 2  # both players' norms in one chart
    values = next(data for data in scripts(text, "") if [250, 500] in data[0])
    assert values == [[[250, 500], [3, 4]], [[500], [2.5]]]


def test_the_machine_and_its_versions_are_shown(run):
    told(run, hardware="x86_64 CPU", versions={"torch": "2.15"})
    known = dict(facts(read_run(run)))
    assert (known["machine"], known["versions"]) == ("x86_64 CPU", "torch 2.15")


def test_runs_that_translate_and_points_of_the_plane(run):
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(
        json.dumps({**config, "data_kind": "unpaired", "data": {"name": "ring", "size": [1, 1]}})
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
    assert (
        "gan_lab.translate checkpoint=" in text
        and "trust=" not in text
        and "a2b 50 / 40" in text
        and "<dd>ring</dd>" in text
    )
    assert "<td>pd_a2b</td><td>0.5</td>" in text and "NaN" not in text


def test_incomplete_and_missing_files_are_left_out(run):
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


def test_runs_evaluated_differently_are_reported_as_not_comparable(run, tmp_path):
    other = make(tmp_path / "mine")
    assert "not comparable" not in report([str(run), str(other)])[-1].read_text()
    records = (other / "metrics.jsonl").read_text()
    (other / "metrics.jsonl").write_text(records.replace('"samples": 100', '"samples": 90'))
    assert "These runs differ in samples, so" in report([str(run), str(other)])[-1].read_text()


def test_pages_in_one_folder_have_unique_flat_names(tmp_path):
    folders = [make(tmp_path / "runs" / name) for name in ("x/same", "y/same", "index")]
    for folder, name in zip(folders, ("../a/b?", "../A/B?", "index"), strict=True):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "name": name}))
    *pages, index = report([str(tmp_path / "runs")], output=str(tmp_path / "out"))
    assert sorted(page.name for page in pages) == ["_A_B_same-2.html", "_a_b_same.html", "index-2.html"]
    assert {path.parent for path in (*pages, index)} == {tmp_path / "out"} and all(page.is_file() for page in pages)


def test_a_run_is_compared_with_another(run, tmp_path):
    other = make(tmp_path / "mine", seed=5)
    text = report([str(run / "last.ckpt")], against=str(other))[0].read_text()
    assert "<tr><td>seed</td><td>0</td><td>5</td></tr>" in text and "<th>dcgan-digits mine</th>" in text


@pytest.mark.parametrize("against", [None, "empty"])
def test_a_path_without_a_run_is_refused(run, tmp_path, against):
    (tmp_path / "empty").mkdir()
    given = str(run) if against else str(tmp_path / "empty")
    with pytest.raises(UserError, match="empty contains no run: give"):
        report([given], against=str(tmp_path / "empty") if against else None)


def test_a_page_that_cannot_be_written_is_refused(run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        report([str(run)], output=str(tmp_path / "file"))


def test_commands_over_a_method_of_ones_own_trust_it(run):
    config = json.loads((run / "config.json").read_text())
    model = {"_target_": "my_methods.MyGAN", "generator": {"_target_": "torch.nn.Linear"}}
    (run / "config.json").write_text(json.dumps({**config, "model": model}))
    assert "last.ckpt &#39;trust=[my_methods]&#39; n=64" in report([str(run)])[0].read_text()


def test_the_command(run, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["report", str(run.parent), "output=" + str(run / "out")])
    entry.report()
    assert capsys.readouterr().out == f"Wrote {run}/out/index.html and 1 page of a run\n"
    assert (run / "out" / "index.html").is_file()


def test_titles_name_method_and_data(run, tmp_path):
    assert run_title(run) == "dcgan-digits 2026-11-22_08-00-00"
    assert run_title(make(tmp_path / "mine")) == "dcgan-digits mine"
    (run / "config.json").unlink()
    assert run_title(run) == "dcgan-digits 2026-11-22_08-00-00"
    assert run_title(tmp_path / "weights") == "weights"


def test_large_images_are_reduced_and_grids_are_evenly_spaced(run):
    for images in range(1, 40):
        Image.new("L", (8, 8)).save(run / "samples" / f"{images * 1000:09d}.png")
    Image.effect_noise((1024, 512), 80).save(run / "samples" / "000039000.png")
    page = report([str(run)])[0]
    (grids,) = scripts(page.read_text(), ' id="grids"')
    assert len(grids) == 24 and grids[0]["images"] == 0 and grids[-1]["images"] == 39_000
    assert grids[-1]["source"].startswith("data:image/webp") and len(grids[-1]["source"]) < 4 / 3 * 160_000 + 40
    assert (run / "samples" / "000039000.png").stat().st_size > 400_000
    assert evenly_spaced(range(5), 3) == [0, 2, 4]


def test_long_curves_keep_their_spikes_and_their_end():
    points = [(x, 1000.0 if x == 4321 else float(x % 7)) for x in range(10_000)]
    thin = thinned(points)
    assert len(thin) <= 400 and (4321, 1000.0) in thin and thin[-1] == points[-1] and thin == sorted(thin)
    assert thinned(points[:400]) == points[:400]
    assert smoothed([(0, 1.0), (1, 2.0), (2, 6.0)], 0.01) == [(0, 1.5), (1, 3.0), (2, 4.0)]
    assert line_chart("c", {"a": points, "b": points[:5]}, "x", "y").count("<polyline") == 3


@pytest.mark.parametrize(
    ("value", "name"),
    [(0, "0"), (0.5, "0.5"), (999, "999"), (1500, "1.5k"), (10_000, "10k"), (-2e6, "-2M"), (1e9, "1G")],
)
def test_ticks_are_short(value, name):
    assert tick_label(value) == name


def test_a_logarithmic_axis():
    assert log_ticks(0.5, 20) == [0.5, 1, 2, 5, 10, 20] and log_ticks(1, 1e5) == [10**n for n in range(6)]
    axes = Axes((0, 1), (1, 100), "", "", log=True)
    heights = [axes.to_pixels(0, y)[1] for y in (1, 10, 100)]
    assert heights[0] - heights[1] == pytest.approx(heights[1] - heights[2])


def test_durations():
    assert [duration(seconds) for seconds in (5.4, 61, 3600 * 2 + 60 * 3)] == ["5 s", "1 min 1 s", "2 h 3 min"]
