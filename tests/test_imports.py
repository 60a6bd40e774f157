"""Which room may import which: one row a room."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "gan_lab"
ROOMS = {
    "common": set(),
    "networks": {"common"},
    "losses": {"common"},
    "data": {"common"},
    "inference": {"common", "networks", "data"},
    "evaluation": {"common", "networks", "data", "inference"},
    "training": {"common", "data", "inference", "evaluation"},
    "models": {"common", "networks", "losses", "training"},
    "cli": {"common", "networks", "losses", "data", "inference", "evaluation", "training"},
}
ENGINE = (
    *("alternating", "augment", "budget", "checkpoint", "collectives", "ema", "image_pool", "noise", "options"),
    *("schedules", "turns"),
)
"""Modules of training that depend on common alone: all that models may import of it."""
FILES = sorted(PACKAGE.rglob("*.py"))


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(path):
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else ""


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_imports_only_what_it_may(name):
    wrong = []
    for path in (path for path in FILES if room(path) == name):
        engine = name == "training" and path.parent.name == "training" and path.stem in ENGINE
        allowed = {"common"} if engine else ROOMS[name]
        for each in imports(path):
            package, _, rest = each.partition(".")
            other, _, module = rest.partition(".")
            if package == "gan_lab" and other != name and other not in allowed:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {each}")
            if (
                package == "gan_lab"
                and other == "training"
                and (engine or name == "models")
                and module.split(".")[0] not in ENGINE
            ):
                wrong.append(f"{path.relative_to(PACKAGE)} imports {each}")
            if package in ("hydra", "omegaconf") and name != "cli":
                wrong.append(f"{path.relative_to(PACKAGE)} imports {each}")
    assert wrong == []
