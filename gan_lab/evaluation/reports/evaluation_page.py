"""The page of one evaluation: its metrics, curves and images."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from gan_lab.evaluation.gallery import Gallery, Sheet
from gan_lab.evaluation.reports.charts import bar_chart, sequence_chart
from gan_lab.evaluation.reports.pages import embed_image, link, write_page
from gan_lab.evaluation.reports.records import EvaluationRecord
from gan_lab.evaluation.reports.tables import BASELINES, baselines_of, metric_rows

Values = Mapping[str, float]
Curves = Mapping[str, Sequence[float]]


def write_evaluation_page(
    path: Path,
    title: str,
    comparison: str,
    record: EvaluationRecord,
    sheet: Sheet | None = None,
    gallery: Gallery | None = None,
    human_test: Path | None = None,
) -> Path:
    """Writes a page with all metrics, charts of the curves, and images if there are any; returns its path.

    Example: ``write_evaluation_page(Path("page.html"), "My model", "1,000 samples against 60,000 images", record)``

    Args:
        path: path of the page.
        title: the page's title.
        comparison: which sets were compared.
        record: metrics, curves and protocol, such as ``evaluator.report(model).record()``.
        sheet: outputs of the model.
        gallery: single samples with their nearest real images.
        human_test: page of a test with people, in the same folder.
    """
    values, curves, protocol = record["figures"], record.get("curves", {}), record["protocol"]
    rows = metric_rows(values, protocol=protocol)
    return write_page(
        path,
        "evaluation.html.j2",
        title=title,
        comparison=comparison,
        rows=rows,
        baselines=baselines_of(rows, protocol),
        extractor=next(iter(protocol.get("extractors", {})), ""),
        nearest=_nearest(record),
        undefined=", ".join(record.get("undefined", [])),
        human_test=human_test and link(path, human_test),
        charts=_charts(values, curves, protocol.get("data", {}).get("class_names", [])),
        protocol=json.dumps(protocol, indent=1, default=str, ensure_ascii=False),
        **_images(sheet, gallery),
    )


@dataclass(frozen=True)
class _Figure:
    """An embedded image with its alternative text and its caption."""

    source: str
    alt: str
    text: str


def _images(sheet: Sheet | None, gallery: Gallery | None) -> dict[str, object]:
    return {
        "sheet": sheet and {"source": embed_image(sheet.image, min_side=1), "text": sheet.caption},
        "best": _ranked(gallery.best) if gallery else [],
        "worst": _ranked(gallery.worst) if gallery else [],
        "neighbours": _neighbours(gallery) if gallery else [],
    }


def _ranked(samples: tuple[Tensor, Tensor, Tensor]) -> list[_Figure]:
    """Returns samples with their realism, from numbers (n,), images (n, C, H, W) and values (n,)."""
    return [
        _Figure(embed_image(image), f"sample {int(number)}", f"{float(value):.4g}")
        for number, image, value in zip(*samples, strict=True)
    ]


def _neighbours(gallery: Gallery) -> list[list[_Figure]]:
    """Returns a row for each sample: the sample, and its nearest real images with their distances."""
    rows = []
    for number, (sample, images, distances) in enumerate(zip(gallery.samples, *gallery.neighbours, strict=True)):
        row = [_Figure(embed_image(sample), f"sample {number}", f"sample {number}")]
        for image, distance in zip(images, distances.tolist(), strict=True):
            row.append(_Figure(embed_image(image), "a real image", f"{distance:.3g}"))
        rows.append(row)
    return rows


@dataclass(frozen=True)
class _NearestText:
    """Sentences about the nearest neighbours: the images that were searched, and whether copies would be found."""

    among: str
    copies: str


def _nearest(record: EvaluationRecord) -> _NearestText:
    count, split = f"{record['protocol'].get('real', 0):,}", record["protocol"].get("split", "train")
    if "fake" in record:
        copies = "A copy would be shown next to its original if the model was trained on these images."
        return _NearestText(f"{count} images of the real folder", copies)
    if split == "test":
        copies = "The model was not trained on these: only the training split (split=train) can reveal copies."
    else:
        copies = "A copy would be shown next to its original."
    return _NearestText(f"{count} real images of the {'test' if split == 'test' else 'training'} split", copies)


@dataclass(frozen=True)
class _Chart:
    title: str
    text: str
    svg: str


def _charts(values: Values, curves: Curves, class_names: Sequence[str] = ()) -> list[_Chart]:
    by_class = _classes(values, class_names)
    return [*_spectrum(curves), *by_class, *_class_shares(curves), *_latents(curves), *_over_time(curves)]


def _spectrum(curves: Curves) -> Iterator[_Chart]:
    for name in (key.removesuffix("_real") for key in curves if key.startswith("spectrum") and key.endswith("_real")):
        if not curves[f"{name}_real"]:
            continue
        title = " ".join(["Power spectrum", *name.split("_")[1:]])  # a translator has one for each direction
        series = {"real": curves[f"{name}_real"], "generated": curves[f"{name}_fake"]}
        svg = sequence_chart(title, series, "cycles along the shorter side", "power, dB")
        text = (
            "Mean power of the luma by frequency. Where the curves differ, samples have too much or too little detail."
        )
        yield _Chart(title, text, svg)


LATENTS = {
    "kl_per_latent": ("Information in the latents", "latents, the most informative first", "nats",
                      "Mean KL divergence of each latent from its prior: those at 0 say nothing about the image."),
    "codebook_use": ("Use of the codebook", "entries, the most used first", "share of codes",
                     "How often each entry encodes a part of a test image."),
}  # fmt: skip
"""Title, names of the axes and explanation of each curve about latents."""


def _latents(curves: Curves) -> Iterator[_Chart]:
    for name, (title, x_name, y_name, text) in LATENTS.items():
        if len(curves.get(name, [])) > 1:
            yield _Chart(title, text, sequence_chart(title, {y_name: curves[name]}, x_name, y_name))


OVER_TIME = "_by_frame"
"""Ending of the names of curves over predicted frames."""


def _over_time(curves: Curves) -> Iterator[_Chart]:
    """Yields a chart for each metric of predictions, with its baselines, by frame."""
    for name, predicted in curves.items():
        if name.endswith(OVER_TIME) and len(predicted) > 1:
            baselines = {text: curves[f"{name}_{key}"] for key, text in BASELINES.items() if f"{name}_{key}" in curves}
            metric = name.removesuffix(OVER_TIME)
            title = f"{metric} over time"
            svg = sequence_chart(title, {"predicted": predicted, **baselines}, "frames after the context", metric)
            yield _Chart(title, "Mean over test clips.", svg)


def _classes(values: Values, class_names: Sequence[str]) -> Iterator[_Chart]:
    names = {str(number): name for number, name in enumerate(class_names)}
    for name, mean in values.items():
        if name.endswith("_classes"):
            prefix = name.removesuffix("es").removesuffix("class") + "class_"
            numbered = {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}
            by_class = {names.get(number, number): value for number, value in numbered.items()}
            metric = name.removesuffix("_classes")
            title = f"{metric} within each class"
            text = "The line is the mean. Each class has only a part of the samples, hence values above the whole's."
            yield _Chart(title, text, bar_chart(title, by_class, metric, mean))


def _class_shares(curves: Curves) -> Iterator[_Chart]:
    for name, shares in curves.items():
        if name.startswith("shares_") and 2 <= len(shares) <= 100:
            title = f"Classes found by the extractor {name.removeprefix('shares_')}"
            svg = bar_chart(title, {str(k): share for k, share in enumerate(shares)}, "share of samples")
            yield _Chart(title, "Share of each class among the samples.", svg)
