"""Model cards: a page for people about one model, in Markdown, as hubs show it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gan_lab.common.runs import read_json
from gan_lab.evaluation.reports.tables import metric_rows

USE = """    import gan_lab

    model = gan_lab.load("{place}")
"""


def card(model: Any, contents: Mapping[str, Any], checkpoint: Path, place: str = "this folder") -> str:
    """Returns the card of a model: its data, how it was trained, figures as recorded, and how to load it.

    Args:
        model: the model.
        contents: the key ``gan_lab`` of its checkpoint.
        checkpoint: the file, beside which are the records of its run.
        place: where readers of the card find the model.
    """
    run = read_json(checkpoint.parent / "run.json")
    name, data = type(model).__name__, contents.get("data") or {}
    lines = ["---", "library_name: gan_lab", "tags:", "- image-generation", f"- {name.lower()}", "---", ""]
    lines += [f"# {name} of {data.get('name', 'images')}", "", *_facts(model, contents), "", "## Use", ""]
    lines += [USE.format(place=place), *_figures(model, checkpoint, run)]
    if command := run.get("command"):
        lines += ["## Training", "", f"    {command}", "", *_conditions(run)]
    lines += [
        "## Licence",
        "",
        "Not stated: write here, and as `license:` at the top, under which terms the weights may ",
    ]
    lines[-1] += "be used; those of the data count too."
    return "\n".join(lines) + "\n"


def _facts(model: Any, contents: Mapping[str, Any]) -> Iterator[str]:
    data, versions = contents.get("data") or {}, contents.get("versions") or {}
    size = data.get("size")
    sides = f"{size}×{size}" if isinstance(size, int) else "×".join(map(str, size or ()))
    if sides:
        yield f"- Images: {sides} px, {'grey' if data.get('channels') == 1 else 'in colour'}."
    if names := contents.get("class_names"):
        yield f"- Classes: {', '.join(names)}."
    yield f"- Images seen in training: {model.images_seen:,}."
    counts = {split: each.get("count") for split, each in (contents.get("identities") or {}).items()}
    if counts:
        yield f"- Images of the data: {', '.join(f'{count:,} ({split})' for split, count in counts.items() if count)}."
    yield f"- Weights: {'averaged' if model.uses_ema else 'as trained'}, float32."
    if versions:
        yield f"- Versions: {', '.join(f'{name} {version}' for name, version in versions.items())}."


def _figures(model: Any, checkpoint: Path, run: Mapping[str, Any]) -> Iterator[str]:
    """Yields a table of the figures of the checkpoint's evaluation, or of its run."""
    record = read_json(checkpoint.with_name(f"{checkpoint.stem}-evaluation.json"))
    protocol, source = record.get("protocol") or {}, "its evaluation"
    of_these = record.get("images_seen") == model.images_seen and protocol.get("ema") == model.uses_ema
    if not of_these or not record.get("figures"):
        ended = run.get("images_seen") == model.images_seen and model.uses_ema == (model.ema is not None)
        record, protocol, source = {"figures": run.get("figures") if ended else None}, {}, "the end of its run"
    if not record["figures"]:
        return
    yield from ("## Figures", "", f"As recorded at {source}.", "", "| metric | value |", "|---|---|")
    for row in metric_rows(record["figures"], protocol=protocol):
        spread = "" if row.spread is None else f" ± {row.spread:.2g}"
        yield f"| {row.name}{row.mark} | {row.value:.4g}{spread} |"
    kept = ("samples", "real", "split", "seed", "truncation", "precision", "ema")
    stated = [f"{name} {protocol[name]}" for name in kept if protocol.get(name) is not None]
    extractors = [
        f"{name} (sha256 {str(each.get('sha256'))[:12]}, {each.get('resizer')})"
        for name, each in (protocol.get("extractors") or {}).items()
    ]
    if stated:
        yield from ("", f"Protocol: {', '.join(stated)}.")
    if extractors:
        yield f"Extractors: {', '.join(extractors)}."
    yield ""


def _conditions(run: Mapping[str, Any]) -> Iterator[str]:
    if hardware := run.get("hardware"):
        yield f"On {hardware}."
        yield ""
