"""Overrides on the command line."""

import re
from collections.abc import Sequence
from pathlib import Path

from gan_lab.cli.config.deprecations import present_overrides
from gan_lab.cli.config.paths import choices

PATHS = {
    *("checkpoint", "data.root", "data.cache_dir", "data_dir", "init_from", "input", "output", "resume", "root"),
    *("run_dir", "runs", "record", "data.a", "data.b", "data.test_a", "data.test_b", "data.test_file"),
    *("real", "fake", "answers"),
    *(f"{place}weights.{name}" for place in ("", "callbacks.fidelity.") for name in ("alexnet", "vgg16")),
    *(f"extractor.{name}.weights" for name in ("inception", "inception_clean", "inception_none")),
    *("hydra.sweep.dir", "hydra.callbacks.sweep.record"),
    *(f"extractor.{name}.weights" for name in ("resnet50", "dinov2", "clip")),
}


WORDS = ("null", "auto", "false", "???")


def quote_paths(arguments: Sequence[str]) -> list[str]:
    """Quotes the values of the keys that take paths, so that Hydra's grammar reads ``a,b (1).jpg`` or 2024 as they are.

    In a multirun a list of paths stays a list, unless a file of that very name exists.
    """
    sweeps = any(argument in ("-m", "--multirun") for argument in arguments)
    return [_quote(argument, sweeps) for argument in present_overrides(arguments)]


def _quote(argument: str, sweeps: bool) -> str:
    key, equals, value = argument.partition("=")
    if not equals or key.lstrip("+") not in PATHS or value in WORDS or re.fullmatch(r"(['\"]).*\1", value):
        return argument
    path = str(Path(value).expanduser()) if value.startswith("~") else value
    if not value or (sweeps and "," in value and not Path(path).exists()):
        return argument
    # Hydra reads \\ as \ only where it stands before a quote.
    escaped = re.sub(r"(\\*)('|$)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), path)
    return f"{key}='{escaped}'"


def mistyped(arguments: Sequence[str]) -> str | None:
    """What is wrong with a list of choices, such as ``metrics=[fid,kdi]``, or with null for none: Hydra itself names
    the choices where one is chosen alone. With folders of the user's own nothing is known to be wrong.
    """
    if any(argument.startswith(("-cd", "--config-dir", "hydra.searchpath")) for argument in arguments):
        return None
    for argument in arguments:
        found = re.fullmatch(r"([\w/]+)(?:@[\w.]+)?=(?:\[([\w, ]+)\]|null)", argument)
        known = choices(found[1]) if found else []
        if not found or not known:
            continue
        if not found[2]:
            return f"{argument} does not serve: choose among {', '.join(known)}, or give [] for none."
        wrong = [name for name in re.split(r"[, ]+", found[2].strip()) if name not in known]
        if wrong:
            return f"There is no {found[1]}={wrong[0]}: choose among {', '.join(known)}."
    return None
