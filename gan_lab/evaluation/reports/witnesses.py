"""The mark of metrics in features that a model was trained on."""

from collections.abc import Iterable

from gan_lab.evaluation.reports.records import Protocol

MARK = "†"


def witness_mark(metric: str, protocol: Protocol | None) -> str:
    """Returns the mark of a metric whose features were part of the training loss; empty for others."""
    return f" {MARK}" if any(_uses(metric, name, protocol or {}) for name in _trained_on(protocol)) else ""


def _trained_on(protocol: Protocol | None) -> list[str]:
    return list((protocol or {}).get("trained_on") or ())


def _uses(metric: str, name: str, protocol: Protocol) -> bool:
    description = (protocol.get("extractors") or {}).get(name) or {}
    names = (name, *(description.get(kind) for kind in ("distance", "kernel", "score")))
    return any(each and f"_{each}_" in f"_{metric}_" for each in names)


def witness_note(marks: Iterable[str]) -> str:
    """Returns the sentence that explains the marks of metrics; empty if none has one."""
    if not any(marks):
        return ""
    return f"{MARK} The features of this metric were part of the training loss, so it is no independent witness."
