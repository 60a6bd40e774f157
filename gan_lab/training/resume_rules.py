"""What of a run's configuration may change when it is resumed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from gan_lab.common.errors import UserError
from gan_lab.common.runs import LAST, replace_non_finite
from gan_lab.common.start_folder import DATA_PATHS

MAY_CHANGE = ""
DATA = "its data are a part of what it is"
RULES = {
    "seed": "its random numbers and the order of its images depend on it",
    "batch_size": "the order of its images depends on it (model.engine.micro_batches saves memory)",
    "budget*": MAY_CHANGE,
    "scale.name": "its sizes, widths and batches were chosen by it",
    "precision": MAY_CHANGE,
    "trainer.*": MAY_CHANGE,
    "model.engine.seed": "its random numbers depend on it",
    "model.engine.ema_widths": "these averages are taken from the beginning of a run",
    "model.engine.*": MAY_CHANGE,
    "model.*optimizer*._target_": "the state of one optimizer is none of another",
    **{f"model.*optimizer*.{name}": MAY_CHANGE for name in ("lr", "betas*", "eps", "weight_decay", "alpha", "fused")},
    "model.*.penalties.*.weight": MAY_CHANGE,
    "model.*.penalties.*.interval": MAY_CHANGE,
    **{f"model.{name}.weights": MAY_CHANGE for name in ("features", "trained")},  # the file's own hash is checked
    "model.*": "the method, its networks and its losses are what it is",
    "data.batch_size": "the order of its images depends on it",
    "data.seed": "the order of its images depends on it",
    **{f"data.{name}": MAY_CHANGE for name in ("workers", "cache", "cache_dir", "name")},
    # The same data may lie elsewhere: their fingerprint is compared.
    **{f"data.{name}": MAY_CHANGE for name in (*DATA_PATHS, "archive")},
    "data.*": DATA,
    "init_from": "its weights are its own by now",
    "generator_from": "the generator is a part of it by now",
    "*": MAY_CHANGE,
}
"""Patterns of dotted keys, of which the first that matches counts → why the key cannot change, or ``MAY_CHANGE``.

Choices of groups, such as ``loss``, count by what they change in ``model`` and ``data``.
"""
UNSAID = {"resume", "run_dir", "record", "accept_changed_data", "init_share", "dry_run"}
"""Keys about resuming itself."""
NAMED = 3
"""Keys that are named of those that cannot change."""
LISTED = 24
"""Keys that are listed of those that changed."""
MISSING = "(none)"


class Change(NamedTuple):
    """A key of the configuration with its old and its new value."""

    key: str
    old: object
    new: object

    def __str__(self) -> str:
        return f"{self.key}: {_shown(self.old)} → {_shown(self.new)}"

    @property
    def reason(self) -> str:
        """Why the key cannot change; empty if it may."""
        return next(reason for pattern, reason in RULES.items() if fnmatchcase(self.key, pattern))


def changes(recorded: Mapping[str, Any], present: Mapping[str, Any]) -> list[Change]:
    """Returns the keys in which a configuration differs from a recorded one.

    Left out are top-level keys that are not recorded (an earlier version had none), and values with the run's folder.

    Args:
        recorded: the run's own configuration under its present names, or some of its sections.
        present: the whole configuration.
    """
    folders = [str(each.get("run_dir")) for each in (recorded, present)]
    sections = [(key, recorded[key], present[key]) for key in recorded if key in present and key not in UNSAID]
    found = [change for section in sections for change in _differences(*section)]
    return sorted((each for each in found if not _is_of_folder(each, folders)), key=lambda each: each.key)


def _differences(key: str, old: object, new: object) -> Iterator[Change]:
    """Yields the differences of two values; a number that is not finite equals null, as JSON keeps it."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in {**old, **new}:
            yield from _differences(f"{key}.{name}", old.get(name, MISSING), new.get(name, MISSING))
    elif replace_non_finite(old) != replace_non_finite(new):
        yield Change(key, old, new)


def check_changes(found: Sequence[Change], checkpoint: Path, cause: str = "") -> Sequence[Change]:
    """Checks that a run can go on with these changes; returns them.

    Args:
        found: the changes.
        checkpoint: of the run.
        cause: what was typed, such as "loss=hinge", if it is none of the keys that change by it.

    Raises:
        UserError: if one of the keys cannot change; it says why.
    """
    refused = without_copies([each for each in found if each.reason])
    if not refused:
        return found
    run = checkpoint.parent if checkpoint.name == LAST else checkpoint
    named = ", ".join(f"{each.key}={_shown(each.new)} instead of {_shown(each.old)}" for each in refused[:NAMED])
    more = f" and {len(refused) - NAMED} more" if len(refused) > NAMED else ""
    raise UserError(
        f"{run} cannot go on with {f'{cause}, which sets ' if cause else ''}{named}{more}, because "
        f"{refused[0].reason}: leave {cause or 'that'} out, or start a new run from its weights with init_from={run}."
    )


def told(found: Sequence[Change]) -> Iterator[str]:
    """Yields a line for each change, and one for those that are too many to list."""
    single = without_copies(found)
    yield from (f"  {each}" for each in single[:LISTED])
    if len(single) > LISTED:
        yield f"  and {len(single) - LISTED} more"


def without_copies(found: Sequence[Change]) -> list[Change]:
    """Returns the changes without those of keys that interpolate another: model.engine.seed beside seed."""
    return [each for each in found if not any(_copies(each, other) for other in found)]


def is_place(key: str) -> bool:
    """Says whether a dotted key tells where the data are."""
    return key.startswith("data.") and key.removeprefix("data.") in DATA_PATHS


def _is_of_folder(change: Change, folders: Sequence[str]) -> bool:
    """Says whether two texts differ by the run's folder alone."""
    texts = [change.old, change.new]
    if not all(isinstance(text, str) for text in texts):
        return False
    for place in sorted({*folders, *(Path(folder).name for folder in folders)} - {""}, key=len, reverse=True):
        texts = [str(text).replace(place, "") for text in texts]
    return texts[0] == texts[1]


def _copies(change: Change, other: Change) -> bool:
    """Says whether the change repeats another one, of a shorter key."""
    (*_, name), (*_, others) = change.key.split("."), other.key.split(".")
    shorter = other.key.count(".") < change.key.count(".")
    return shorter and name == others and (change.old, change.new) == (other.old, other.new)


def _shown(value: object) -> str:
    """A value as text; a part by its class."""
    value = value.get("_target_", value) if isinstance(value, Mapping) else value
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
