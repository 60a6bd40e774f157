"""Pages in a browser: complete, without console messages and without requests to the network."""

import json
import re

import pytest
import torch

from gan_lab.evaluation.gallery import Gallery, Sheet
from gan_lab.evaluation.reports.charts import bar_chart, sequence_chart, ticks
from gan_lab.evaluation.reports.evaluation_page import write_evaluation_page
from gan_lab.evaluation.reports.human_test import error_rate, wilson_interval, write_human_test
from gan_lab.evaluation.reports.pages import write_page
from gan_lab.evaluation.reports.tables import baselines_of, metric_rows


def test_the_browser_here_sees_requests_and_errors(browser, tmp_path):
    """Otherwise the tests below would prove nothing."""
    page = tmp_path / "page.html"
    page.write_text('<img src="http://127.0.0.1:54321/a.png"><script>console.error("b")</script>')
    browser.open(page)
    assert browser.outside == ["http://127.0.0.1:54321/a.png"] and len(browser.console) >= 1


def random_images(*shape, seed=0):
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def record(curves=None, **protocol):
    figures = {"fd_grey": 2.5, "fd_grey_error": 0.1, "fd_grey_gaussian": 18.9, "precision_grey": 0.7, "spectrum": 1.2}
    figures |= {f"fd_grey_class_{k}": 1.0 + k for k in range(10)} | {"fd_grey_classes": 5.5}
    shown = {"spectrum_real": [20.0, 10.0, 5.0], "spectrum_fake": [21.0, 9.0, 2.0], "shares_grey": [0.1] * 10}
    stated = {"samples": 100, "real": 60_000, "extractors": {"grey": {"dim": 128}}, "note": "</pre><script>bad()"}
    return {"figures": figures, "curves": shown if curves is None else curves, "protocol": stated | protocol}


def gallery():
    each = torch.arange(3), random_images(3, 3, 28, 28), torch.tensor([1.5, 1.2, 1.1])
    neighbours = random_images(2, 4, 3, 28, 28, seed=1), torch.rand(2, 4)
    return Gallery(each, each, random_images(2, 3, 28, 28), neighbours)


def test_an_evaluation_page_shows_everything_without_requests(browser, tmp_path):
    sheet = Sheet(random_images(3, 64, 64), "The first 16, not chosen.")
    content = "A <b>run</b>", "100 samples against 60,000", record(), sheet, gallery()
    path = write_evaluation_page(tmp_path / "report.html", *content)
    screenshot = browser.open(path)
    assert not browser.console and not browser.outside
    assert "A &lt;b&gt;run&lt;/b&gt;" in browser.document and "<script>bad" not in browser.document
    for part in (
        "fd_grey",
        "18.9",
        "Power spectrum",
        "within each class",
        "Nearest real images",
        "least realistic",
        sheet.caption,
    ):
        assert part in browser.document
    assert browser.document.count("<svg") == 3
    assert len(screenshot.getcolors(1 << 24)) > 500  # the images are shown


def test_an_evaluation_page_without_images_is_complete(browser, tmp_path):
    browser.open(write_evaluation_page(tmp_path / "report.html", "A run", "against", record(curves={})))
    assert not browser.console and "fd_grey" in browser.document and "Nearest" not in browser.document


def test_metrics_over_time_are_shown_with_their_baselines(browser, tmp_path):
    shown = {"psnr_by_frame": [20.0, 18.0, 15.0], "psnr_by_frame_repeat": [19.0, 14.0, 11.0], "ssim_by_frame": [0.9]}
    browser.open(write_evaluation_page(tmp_path / "report.html", "A run", "against", record(curves=shown)))
    assert "psnr over time" in browser.document and "ssim over time" not in browser.document  # of a single frame
    chart = re.search(r"<svg.*?psnr.*?</svg>", browser.document, re.DOTALL)[0]
    assert "predicted" in chart and "last frame repeated" in chart and "black" not in chart


@pytest.mark.parametrize(
    ("split", "text"),
    [
        (
            "train",
            "the 60,000 real images of the training split, in grey features. A copy would be shown next to",
        ),
        ("whole", "images of the training split, in"),
        (
            "test",
            "images of the test split, in grey features. The model was not trained on these: only the training split",
        ),
    ],
)
def test_the_text_says_whether_copies_could_be_found(tmp_path, split, text):
    page = write_evaluation_page(tmp_path / "report.html", "A run", "against", record(split=split), gallery=gallery())
    assert text in page.read_text()


@pytest.mark.parametrize("pairs", [True, False], ids=["pairs", "single"])
def test_wrong_answers_are_counted(browser, tmp_path, pairs):
    """A person who always chooses the left image, or always answers "real", is right if that is the truth."""
    path = write_human_test(
        tmp_path / "test.html", random_images(9, 3, 16, 16), random_images(9, 3, 16, 16, seed=1), "m", pairs
    )
    browser.open(path)
    assert not browser.console and not browser.outside and f"1 of {9 if pairs else 18}" in browser.document
    page = path.read_text()
    test = json.loads(re.search(r"const test = (\{.*\});", page)[1])
    wrong = sum(question["truth"] != 0 for question in test["questions"])
    key = "ArrowLeft" if pairs else "r"
    press = f'for (const _ of test.questions) document.dispatchEvent(new KeyboardEvent("keydown", {{ key: "{key}" }}));'
    (tmp_path / "pressed.html").write_text(page.replace("show();\n</script>", f"show();\n{press}\n</script>"))
    browser.open(tmp_path / "pressed.html")
    n = len(test["questions"])
    low, high = wilson_interval(wrong, n)
    summary = f"{wrong} of {n} wrong: an error rate of {wrong / n:.1%}".replace("%", " %")
    assert summary in browser.document and f"between {low:.1%} and {high:.1%}".replace("%", " %") in browser.document
    assert not browser.console


def test_answers_give_an_error_rate_with_its_interval():
    found = error_rate([{"right": number % 4 != 0} for number in range(40)])
    assert (found["n"], found["wrong"], found["error_rate"]) == (40, 10, 0.25)
    # Wilson 1927, as printed by statsmodels' proportion_confint(10, 40, method="wilson")
    assert (found["low"], found["high"]) == pytest.approx((0.141871, 0.401937), abs=1e-5)
    assert wilson_interval(0, 20)[0] == 0 and wilson_interval(20, 20)[1] == 1


def test_a_page_is_complete_or_absent(tmp_path):
    with pytest.raises(Exception, match="undefined"):
        write_page(tmp_path / "x.html", "evaluation.html.j2", title="x")
    assert not list(tmp_path.iterdir())


def test_charts_hold_their_values():
    assert ticks(0, 10) == [0, 2, 4, 6, 8, 10] and ticks(0.13, 0.52) == [0.2, 0.3, 0.4, 0.5]
    assert sequence_chart("c", {"a": [1.0, 2.0], "b": [3.0, 1.0]}, "x", "y").count("<polyline") == 2
    assert bar_chart("b", {"0": 1.0, "<1>": 2.0}, "y", mean=1.5).count("<rect") == 2
    assert "&lt;1&gt;" in bar_chart("b", {"<1>": 2.0}, "y")


def test_bars_of_negative_values_go_down_from_zero():
    svg = bar_chart("b", {"up": 2.0, "down": -1.0}, "y", deviations={"up": 0.5})
    boxes = re.findall(r'<rect .*? y="([\d.-]+)" width="[\d.]+" height="([\d.-]+)"', svg)
    (up, high), (down, low) = ([float(number) for number in box] for box in boxes)
    assert up + high == pytest.approx(down, abs=0.2)
    assert high == pytest.approx(2 * low, abs=0.2) and low > 0
    (ends,) = re.findall(r'class="spread" .*? y1="([\d.]+)" y2="([\d.]+)"', svg)
    assert float(ends[0]) - up == pytest.approx(up - float(ends[1]), abs=0.2) == pytest.approx(high / 4, abs=0.2)
    assert "nan" not in bar_chart("b", {"none": 0.0}, "y")


def test_charts_by_class_have_the_names_of_the_classes(tmp_path):
    names = [f"mood {k} <i>" for k in range(10)]
    stated = record(curves={}, data={"class_names": names})
    text = write_evaluation_page(tmp_path / "report.html", "A run", "against", stated).read_text()
    assert "mood 7 &lt;i&gt;" in text and "<i>" not in text


def test_held_out_images_are_counted_in_their_heading():
    rows = metric_rows({"fd_x": 3.0, "fd_x_gaussian": 9.0, "fd_x_real": 2.0})
    assert baselines_of(rows, {"held_out": {"n": 1044}}) == {"real": "1,044 real images", "gaussian": "pixel Gaussian"}
    assert baselines_of(rows, {"samples": 5}) == {"real": "real images", "gaussian": "pixel Gaussian"}
