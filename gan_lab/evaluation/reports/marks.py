"""Marks of metrics that are no evidence: their features were trained on, or do not know such images."""

from collections.abc import Iterable

from gan_lab.evaluation.reports.records import Protocol

TRAINED_ON, UNKNOWN = "†", "‡"
NOTES = {
    TRAINED_ON: "The features of this metric were part of the training loss, so it is no independent witness.",
    UNKNOWN: "The network of this metric does not know such images, so do not compare models by it.",
}
"""What the marks mean, in the order in which they are shown."""


def metric_mark(metric: str, protocol: Protocol | None) -> str:
    """Returns the marks of a metric after a space; empty if its protocol says nothing against it."""
    told = protocol or {}
    named = {TRAINED_ON: told.get("trained_on") or (), UNKNOWN: told.get("unknown") or ()}
    marks = "".join(mark for mark, names in named.items() if any(_uses(metric, name, told) for name in names))
    return f" {marks}" if marks else ""


def _uses(metric: str, name: str, protocol: Protocol) -> bool:
    description = (protocol.get("extractors") or {}).get(name) or {}
    names = (name, *(description.get(kind) for kind in ("distance", "kernel", "score")))
    return any(each and f"_{each}_" in f"_{metric}_" for each in names)


def mark_notes(texts: Iterable[str]) -> list[str]:
    """Returns a sentence for each mark that ends any of the texts."""
    found = set().union(*(text.rpartition(" ")[2] for text in texts))
    return [f"{mark} {note}" for mark, note in NOTES.items() if mark in found]
