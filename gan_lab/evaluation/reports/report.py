"""The page of one evaluation."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gan_lab.evaluation.gallery import Gallery, Sheet
from gan_lab.evaluation.reports.charts import bars, curves
from gan_lab.evaluation.reports.pages import embedded, write_page
from gan_lab.evaluation.reports.tables import BESIDE, HEADINGS, rows


def write_report(
    path: Path,
    title: str,
    against: str,
    record: Mapping[str, Any],
    plate: Sheet | None = None,
    shown: Gallery | None = None,
    trial: Path | None = None,
) -> Path:
    """Writes a page with every figure, charts of the curves, and the pictures where there are any.

    Args:
        path: of the page.
        against: what was measured against what.
        record: what ``Report.record`` gives; with ``fake`` where made pictures came from a folder, and the names
            ``undefined`` of figures without a finite value.
        plate: of what the model makes.
        shown: single samples.
        trial: the page of the test with people, in the same folder.
    """
    found = rows(record["figures"])
    return write_page(
        path,
        "report.html.j2",
        title=title,
        against=against,
        rows=found,
        beside=[end for end in BESIDE if any(end in row.beside for row in found)],
        headings=HEADINGS,
        extractor=next(iter(record["protocol"].get("extractors", {})), ""),
        nearest=_nearest(record),
        undefined=", ".join(record.get("undefined", [])),
        plate=plate and {"source": embedded(plate.picture, least=1), "told": plate.told},
        trial=trial and {"address": quote(trial.name), "name": trial.name},
        charts=[*_spectrum(record), *_classes(record), *_shares(record), *_latents(record), *_over_time(record)],
        protocol=json.dumps(record["protocol"], indent=1, default=str, ensure_ascii=False),
        **_pictures(shown),
    )


def _pictures(shown: Gallery | None) -> dict[str, Any]:
    if shown is None:
        return {"best": [], "worst": [], "neighbours": []}
    ranked = {
        name: [
            {"source": embedded(picture), "number": int(number), "value": float(value)}
            for number, picture, value in zip(*part, strict=True)
        ]
        for name, part in (("best", shown.best), ("worst", shown.worst))
    }
    table = []
    for number, (sample, pictures, distances) in enumerate(zip(shown.samples, *shown.neighbours, strict=True)):
        row = [{"source": embedded(sample), "alt": f"sample {number}", "text": f"sample {number}"}]
        for picture, distance in zip(pictures, distances.tolist(), strict=True):
            row.append({"source": embedded(picture), "alt": "a real picture", "text": f"{distance:.3g}"})
        table.append(row)
    return {"neighbours": table, **ranked}


def _nearest(record: Mapping[str, Any]) -> dict[str, str]:
    """Among which real pictures neighbours were looked for, and whether a copy could be among them."""
    count, split = f"{record['protocol'].get('real', 0):,}", record["protocol"].get("split", "train")
    if "fake" in record:
        seen = "A copy would stand beside itself, if these are the pictures that the model learned from."
        return {"among": f"{count} pictures of the real folder", "copies": seen}
    if split == "test":
        seen = "The model did not learn from these: copies can be seen against the training split alone (split=train)."
    else:
        seen = "A copy would stand beside itself."
    return {"among": f"{count} real pictures of the {'test' if split == 'test' else 'training'} split", "copies": seen}


def _spectrum(record: Mapping[str, Any]) -> list[dict[str, str]]:
    found = {name: record["curves"].get(f"spectrum_{name}") for name in ("real", "fake")}
    if not found["real"]:
        return []
    series = {"real": found["real"], "made": found["fake"]}
    svg = curves("Power spectrum", series, "cycles along the shorter side", "power, dB")
    text = (
        "Mean power of the luma by frequency. Where the curves part, samples have too much or too little such detail."
    )
    return [{"title": "Power spectrum", "text": text, "svg": svg}]


LATENTS = {
    "kl_per_latent": ("What latents carry", "latents, the most telling first", "nats",
                      "The mean divergence of each latent from its prior: those at 0 say nothing of the picture."),
    "codebook_use": ("Use of the codebook", "entries, the most used first", "share of codes",
                     "How often each entry stands for a part of a test picture."),
}  # fmt: skip


def _latents(record: Mapping[str, Any]) -> list[dict[str, str]]:
    found = [
        (record["curves"][name], *words) for name, words in LATENTS.items() if len(record["curves"].get(name, [])) > 1
    ]
    return [{"title": title, "text": text, "svg": curves(title, {y: each}, x, y)} for each, title, x, y, text in found]


OVER_TIME = "_by_frame"
"""Ends the names of curves of what is predicted."""


def _over_time(record: Mapping[str, Any]) -> list[dict[str, str]]:
    """Of each figure beside what it is compared with, frame after frame."""
    charts, found = [], record["curves"]
    for name, made in found.items():
        if name.endswith(OVER_TIME) and len(made) > 1:
            beside = {HEADINGS[end]: found[f"{name}_{end}"] for end in BESIDE if f"{name}_{end}" in found}
            figure = name.removesuffix(OVER_TIME)
            title = f"{figure} over time"
            svg = curves(title, {"predicted": made, **beside}, "frames after the last one given", figure)
            charts.append({"title": title, "text": "The mean over test clips.", "svg": svg})
    return charts


def _classes(record: Mapping[str, Any]) -> list[dict[str, str]]:
    charts = []
    for name, mean in record["figures"].items():
        if not name.endswith("_classes"):
            continue
        start = name.removesuffix("es").removesuffix("class") + "class_"
        each = {key.removeprefix(start): value for key, value in record["figures"].items() if key.startswith(start)}
        title = f"{name.removesuffix('_classes')} within each class"
        text = "The line is their mean. On a part of the samples each, so higher than the whole distance."
        charts.append({"title": title, "text": text, "svg": bars(title, each, name.removesuffix("_classes"), mean)})
    return charts


def _shares(record: Mapping[str, Any]) -> list[dict[str, str]]:
    charts = []
    for name, shares in record["curves"].items():
        if name.startswith("shares_") and 2 <= len(shares) <= 100:
            title = f"Classes that the extractor {name.removeprefix('shares_')} finds"
            svg = bars(title, {str(k): share for k, share in enumerate(shares)}, "share of samples")
            charts.append({"title": title, "text": "What kinds of pictures there are among the samples.", "svg": svg})
    return charts
