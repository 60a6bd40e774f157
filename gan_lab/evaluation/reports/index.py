"""The page over several runs: a line of each, what they reached and how, their last pictures, in what they differ."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from gan_lab.common.runs import differing_keys, flatten
from gan_lab.evaluation.reports import compare
from gan_lab.evaluation.reports.charts import COLOURS, bars
from gan_lab.evaluation.reports.history import History
from gan_lab.evaluation.reports.jobs import Job, by_setting, columns, common, lines, over_seeds, short, shown, swept
from gan_lab.evaluation.reports.pages import picture, write_page
from gan_lab.evaluation.reports.plots import chart
from gan_lab.evaluation.reports.run import last_record, link, text
from gan_lab.evaluation.reports.tables import Row, rows

THUMBNAIL = 416
"""Pixels across a run's last sheet."""

REPORT = "report.html"
"""A run's page, in its folder."""


def write_index(
    path: Path, title: str, jobs: Sequence[Job], pages: Mapping[Path, Path] | None = None, kind: str = "job"
) -> Path:
    """Writes the page over several jobs or runs; returns its path.

    Args:
        kind: what they are called.
        pages: those of single runs, by the folders of these; None for any that an earlier report left there.
    """
    links = [_page(path, job, pages) for job in jobs]
    head, body = shown(lines(jobs))
    names, winners = called(jobs), best(jobs)
    told = [job.history for job in jobs if job.history]
    sources = [picture(job.history.folder / "samples.png", THUMBNAIL) if job.history else None for job in jobs]
    gallery = zip(names, sources, links, strict=True)
    return write_page(
        path,
        "index.html.j2",
        title=title,
        head=[kind, *head[1:]],
        jobs=[
            {
                "cells": [{"text": c, "best": n in winners.get(k, ())} for k, c in zip(head, cells, strict=True)],
                "page": page,
            }
            for n, (cells, page) in enumerate(zip(body, links, strict=True))
        ],
        bold=any(winners.values()),
        seeds=over_seeds(jobs),
        warnings=_incomparable(told),
        chart=reached(jobs),
        charts=_ways(dict(zip(names, jobs, strict=True))),
        pictures=[{"name": name, "source": source, "page": page} for name, source, page in gallery if source],
        names=[name for name, job in zip(names, jobs, strict=True) if job.history],
        differing=differences(told),
    )


def best(jobs: Sequence[Job]) -> dict[str, set[int]]:
    """By the head of a column of figures the places of the best, as ``compare`` finds them; none where all are."""
    found = {}
    for which, head in zip(("best", "last"), columns(jobs), strict=True):
        figures = {place: getattr(job, which) for place, job in enumerate(jobs)}
        name = common(figures.values())
        runs = {}
        for place, figure in figures.items():
            told = rows(jobs[place].told.get("figures", {})) if which == "last" else []  # with its error
            if figure:
                row = next((row for row in told if row.name == name), Row(*figure))
                runs[compare.Run("", {name: row}, {}, "", Path())] = place
        ties = compare.ties(list(runs), name) if name else set()
        if 0 < len(ties) < len(runs):
            found[head] = {runs[run] for run in ties}
    return found


def _incomparable(runs: Sequence[History]) -> list[str]:
    """In what the protocols of the last figures differ, in a sentence each."""
    records = {run.folder: last_record(run) for run in runs}
    return compare.differences([compare.Run("", {}, r["protocol"], "", each) for each, r in records.items() if r])


def _page(index: Path, job: Job, pages: Mapping[Path, Path] | None) -> dict[str, str] | None:
    if job.history is None:
        return None
    page = job.history.folder / REPORT if pages is None else pages[job.history.folder]
    return link(index, page) if pages or page.is_file() else None


def differences(runs: Sequence[History]) -> list[tuple[str, list[str]]]:
    """The settings in which runs differ, the outermost first, with the value of each; empty where it has none."""
    keys = {key for run in runs[1:] for key in differing_keys(runs[0].config, run.config)}
    settings = [dict(flatten(run.config)) for run in runs]
    ordered = sorted(keys, key=lambda key: (key.count("."), key))
    return [(key, [text(each[key]) if key in each else "" for each in settings]) for key in ordered]


def _ways(jobs: Mapping[str, Job]) -> list[dict[str, Any]]:
    """Over images seen, the figure that the best goes by, or the first; of no more runs than can be told apart."""
    series: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for name, job in jobs.items():
        records = [record for record in job.history.records if record["figures"]] if job.history else []
        figure = job.best[0] if job.best else next((next(iter(record["figures"])) for record in records), "")
        points = [(r["images_seen"], r["figures"][figure]) for r in records if figure in r["figures"]]
        if points:
            series.setdefault(figure, {})[name] = points
    shown = {name: each for name, each in series.items() if len(each) <= 2 * COLOURS}
    return [chart(name, each) for name, each in shown.items() if any(len(points) > 1 for points in each.values())]


def called(jobs: Sequence[Job]) -> list[str]:
    """Of each its number and what it was told to be; of runs that are no jobs this alone, if it tells them apart."""
    keys = swept(jobs)
    settings = [" ".join(short(job.overrides[key]) for key in keys if key in job.overrides) for job in jobs]
    titles = [job.title for job in jobs]
    brief = all(len(setting) <= 32 for setting in settings)
    choices = [settings, titles] if brief else [titles]
    apart = (names for names in choices if all(names) and len(set(names)) == len(names))
    numbered = [f"{job.number} {setting}".strip() for job, setting in zip(jobs, settings, strict=True)]
    return next(apart, numbered) if all(titles) else numbered


def telling(table: Sequence[tuple[str, list[str]]], most: int) -> list[str]:
    """Of ``differences`` the first keys that tell in few letters what was trained, and each runs apart in a new way."""
    ways: dict[tuple[int, ...], str] = {}
    for key, values in table:
        long = any(len(value) > 40 or "/" in value for value in values)
        if not long and key != "name" and key.partition(".")[0] not in ("logger", "callbacks"):
            ways.setdefault(tuple(values.index(value) for value in values), key)
    return list(ways.values())[:most]


def reached(jobs: Sequence[Job]) -> str:
    """The last figures as bars, where all have the same: over seeds their means and deviations; else nothing."""
    name = common(job.last for job in jobs)
    groups = {" ".join(filter(None, setting)): values for (setting, _), values in by_setting(jobs).items()}
    if name and any(len(values) > 1 for values in groups.values()):
        means = {setting: mean(values) for setting, values in groups.items()}
        spreads = {setting: stdev(values) for setting, values in groups.items() if len(values) > 1}
        return bars("What was reached: means over seeds, and deviations", means, name, spreads=spreads)
    figures = {told: job.last[1] for told, job in zip(called(jobs), jobs, strict=True) if job.last}
    return bars("What the jobs reached", figures, name) if figures and name else ""
