"""Marks of metrics that are no evidence: their features were trained on, or do not know such images."""

from collections.abc import Iterable, Mapping

from gan_lab.evaluation.features.inception import PUBLISHED_NAMES
from gan_lab.evaluation.reports.records import Protocol, Settings

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
    stated = protocol.get("extractors") or {}
    found = extractor_of(metric, {name: {}, **stated})
    return found is not None and _network(found) == _network(name)


def _network(extractor: str) -> str:
    """Returns one name for all extractors of Inception's features, which are one network."""
    return "inception" if extractor in PUBLISHED_NAMES else extractor


def extractor_of(metric: str, extractors: Mapping[str, Settings]) -> str | None:
    """Returns the name of the extractor of a metric's features; None for a metric of pixels.

    It is the one with the longest name in the metric's, its own or one from the literature: ``mind_general`` is not
    Inception's ``mind``.

    Args:
        metric: the metric's name.
        extractors: what a protocol states of the extractors, by name.
    """
    found = {
        each: extractor
        for extractor, description in extractors.items()
        for each in _names(extractor, description)
        if f"_{each}_" in f"_{metric}_"
    }
    return found[max(found, key=len)] if found else None


def _names(extractor: str, description: Settings) -> set[str]:
    """Returns the parts of metrics' names that an extractor is known by."""
    stated = {description[kind] for kind in ("distance", "kernel", "score") if description.get(kind)}
    return {extractor, *PUBLISHED_NAMES.get(extractor, {}).values(), *stated}


def mark_notes(texts: Iterable[str]) -> list[str]:
    """Returns a sentence for each mark that ends any of the texts."""
    found = set().union(*(text.rpartition(" ")[2] for text in texts))
    return [f"{mark} {note}" for mark, note in NOTES.items() if mark in found]
