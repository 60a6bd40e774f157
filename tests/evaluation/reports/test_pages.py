"""Pages as a browser sees them: whole, in peace with its console, and without a request to anyone."""

import json
import re

import pytest
import torch

from gan_lab.evaluation.gallery import Gallery, Sheet
from gan_lab.evaluation.reports.charts import bars, curves, ticks
from gan_lab.evaluation.reports.pages import judged, wilson, write_page, write_trial
from gan_lab.evaluation.reports.report import write_report


def test_the_browser_here_sees_requests_and_errors(browser, tmp_path):
    """Or the tests below would prove nothing."""
    page = tmp_path / "page.html"
    page.write_text('<img src="http://127.0.0.1:54321/a.png"><script>console.error("b")</script>')
    browser.open(page)
    assert browser.outside == ["http://127.0.0.1:54321/a.png"] and len(browser.console) >= 1


def pictures(*shape, seed=0):
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def record():
    figures = {"fd_grey": 2.5, "fd_grey_error": 0.1, "fd_grey_gaussian": 18.9, "precision_grey": 0.7, "spectrum": 1.2}
    figures |= {f"fd_grey_class_{k}": 1.0 + k for k in range(10)} | {"fd_grey_classes": 5.5}
    shown = {"spectrum_real": [20.0, 10.0, 5.0], "spectrum_fake": [21.0, 9.0, 2.0], "shares_grey": [0.1] * 10}
    protocol = {"samples": 100, "real": 60_000, "extractors": {"grey": {"dim": 128}}, "note": "</pre><script>bad()"}
    return {"figures": figures, "curves": shown, "protocol": protocol}


def exhibits():
    each = torch.arange(3), pictures(3, 3, 28, 28), torch.tensor([1.5, 1.2, 1.1])
    neighbours = pictures(2, 4, 3, 28, 28, seed=1), torch.rand(2, 4)
    return Gallery(each, each, pictures(2, 3, 28, 28), neighbours)


def test_a_report_shows_everything_and_asks_nobody(browser, tmp_path):
    plate = Sheet(pictures(3, 64, 64), "The first 16, not chosen.")
    told = "A <b>run</b>", "100 samples against 60,000", record(), plate, exhibits()
    path = write_report(tmp_path / "report.html", *told)
    picture = browser.open(path)
    assert not browser.console and not browser.outside
    assert "A &lt;b&gt;run&lt;/b&gt;" in browser.document and "<script>bad" not in browser.document
    for part in (
        "fd_grey",
        "18.9",
        "Power spectrum",
        "within each class",
        "Nearest real pictures",
        "least real",
        plate.told,
    ):
        assert part in browser.document
    assert browser.document.count("<svg") == 3
    assert len(picture.getcolors(1 << 24)) > 500  # the pictures are there


def test_a_report_without_pictures_is_whole(browser, tmp_path):
    browser.open(write_report(tmp_path / "report.html", "A run", "against", {**record(), "curves": {}}))
    assert not browser.console and "fd_grey" in browser.document and "Nearest" not in browser.document


def test_errors_over_time_stand_beside_those_of_the_baselines(browser, tmp_path):
    shown = {"psnr_by_frame": [20.0, 18.0, 15.0], "psnr_by_frame_repeat": [19.0, 14.0, 11.0], "ssim_by_frame": [0.9]}
    browser.open(write_report(tmp_path / "report.html", "A run", "against", {**record(), "curves": shown}))
    assert "psnr over time" in browser.document and "ssim over time" not in browser.document  # of a single frame
    chart = re.search(r"<svg.*?psnr.*?</svg>", browser.document, re.DOTALL)[0]
    assert "predicted" in chart and "last frame again" in chart and "black" not in chart


@pytest.mark.parametrize(
    ("split", "told"),
    [
        ("train", "the 60,000 real pictures of the training split, in grey features. A copy would stand beside itself"),
        ("whole", "pictures of the training split, in"),
        (
            "test",
            "pictures of the test split, in grey features. The model did not learn from these: copies can be seen",
        ),
    ],
)
def test_neighbours_say_whether_copies_could_be_among_them(tmp_path, split, told):
    given = record()
    given["protocol"]["split"] = split
    page = write_report(tmp_path / "report.html", "A run", "against", given, shown=exhibits())
    assert told in page.read_text()


@pytest.mark.parametrize("pairs", [True, False], ids=["pairs", "single"])
def test_people_are_counted(browser, tmp_path, pairs):
    """Someone who always chooses the left one, or always says that it is real, is right where that is the truth."""
    path = write_trial(tmp_path / "trial.html", pictures(9, 3, 16, 16), pictures(9, 3, 16, 16, seed=1), "m", pairs)
    browser.open(path)
    assert not browser.console and not browser.outside and f"1 of {9 if pairs else 18}" in browser.document
    page = path.read_text()
    trial = json.loads(re.search(r"const trial = (\{.*\});", page)[1])
    wrong = sum(question["truth"] != 0 for question in trial["questions"])
    key = "ArrowLeft" if pairs else "r"
    press = (
        f'for (const _ of trial.questions) document.dispatchEvent(new KeyboardEvent("keydown", {{ key: "{key}" }}));'
    )
    (tmp_path / "pressed.html").write_text(page.replace("show();\n</script>", f"show();\n{press}\n</script>"))
    browser.open(tmp_path / "pressed.html")
    n = len(trial["questions"])
    low, high = wilson(wrong, n)
    told = f"{wrong} of {n} wrong: an error rate of {wrong / n:.1%}".replace("%", " %")
    assert told in browser.document and f"between {low:.1%} and {high:.1%}".replace("%", " %") in browser.document
    assert not browser.console


def test_answers_become_a_rate_with_its_interval():
    answers = {"answers": [{"right": number % 4 != 0} for number in range(40)]}
    found = judged(answers)
    assert (found["n"], found["wrong"], found["error_rate"]) == (40, 10, 0.25)
    # Wilson 1927, as printed by statsmodels' proportion_confint(10, 40, method="wilson")
    assert (found["low"], found["high"]) == pytest.approx((0.141871, 0.401937), abs=1e-5)
    assert wilson(0, 20)[0] == 0 and wilson(20, 20)[1] == 1


def test_a_page_is_whole_or_not_there(tmp_path):
    with pytest.raises(Exception, match="undefined"):
        write_page(tmp_path / "x.html", "report.html.j2", title="x")
    assert not list(tmp_path.iterdir())


def test_charts_hold_their_values():
    assert ticks(0, 10) == [0, 2, 4, 6, 8, 10] and ticks(0.13, 0.52) == [0.2, 0.3, 0.4, 0.5]
    assert curves("c", {"a": [1.0, 2.0], "b": [3.0, 1.0]}, "x", "y").count("<polyline") == 2
    assert bars("b", {"0": 1.0, "<1>": 2.0}, "y", mean=1.5).count("<rect") == 2
    assert "&lt;1&gt;" in bars("b", {"<1>": 2.0}, "y")


def test_bars_of_negative_figures_hang_from_zero():
    svg = bars("b", {"up": 2.0, "down": -1.0}, "y", spreads={"up": 0.5})
    boxes = re.findall(r'<rect .*? y="([\d.-]+)" width="[\d.]+" height="([\d.-]+)"', svg)
    (up, high), (down, low) = ([float(number) for number in box] for box in boxes)
    assert up + high == pytest.approx(down, abs=0.2)
    assert high == pytest.approx(2 * low, abs=0.2) and low > 0
    (ends,) = re.findall(r'class="spread" .*? y1="([\d.]+)" y2="([\d.]+)"', svg)
    assert float(ends[0]) - up == pytest.approx(up - float(ends[1]), abs=0.2) == pytest.approx(high / 4, abs=0.2)
    assert "nan" not in bars("b", {"none": 0.0}, "y")
