"""Who may import whom (the layers of the house)."""

import ast
from pathlib import Path

import pytest

from gan_lab.cli.app import COMMANDS

PACKAGE = Path(__file__).parent.parent / "gan_lab"
BASE = {"types", "capabilities", "atomic"}
ALLOWED = {
    "types": set(),
    "capabilities": {"types"},
    "atomic": set(),
    "precision": set(),
    "machine": BASE,
    "progress": set(),
    "ranks": set(),
    "launching": BASE | {"machine"},
    "build": BASE,
    "imaging": BASE,
    "networks": {"networks"},
    "losses": {"losses"},
    "augment": set(),
    "resolvers": set(),
    "core": BASE | {"core", "build", "precision", "losses", "networks", "augment"},
    "models": BASE | {"core", "losses", "networks", "augment", "models"},  # a method may extend another
    "data": BASE | {"data", "progress"},
    "loggers": BASE | {"loggers", "imaging", "online"},
    "online": set(),
    "runs": BASE,
    "metrics": BASE | {"metrics", "editing", "imaging", "networks", "precision", "progress", "ranks"},
    "presenting": set(),
    "trials": set(),
    "reports": BASE | {"reports", "imaging", "metrics", "presenting", "runs"},
    "workspace": BASE | {"online"},
    "photos": BASE | {"data", "imaging"},
    "outputs": BASE | {"data", "photos"},
    "editing": BASE | {"editing", "imaging", "precision", "progress", "networks"},
    "callbacks": BASE
    | {"callbacks", "metrics", "imaging", "loggers", "editing", "presenting", "progress", "ranks", "trials"},
}
FREE = {
    "configuration",
    "runtime",
    "inference",
    "predicting",
    "reconstructing",
    "translating",
    "evaluating",
    "comparing",
    "reporting",
    "search",
    "sweeps",
    "results",
    "cli",
    "train",
    "sample",
    "predict",
    "reconstruct",
    "translate",
    "evaluate",
    "compare",
    "report",
    "fetch",
    "dashboard",
    "__init__",
}
HYDRA = {
    "configuration",
    "resolvers",
    "runtime",
    "inference",
    "predicting",
    "reconstructing",
    "translating",
    "evaluating",
    "results",
    "cli",
    "search",
    "sweeps",
}
FILES = sorted(PACKAGE.rglob("*.py"))


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module == "gan_lab")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_layers(path):
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for name in imports(path):
        package, _, rest = name.partition(".")
        if package in ("hydra", "omegaconf"):
            assert part in HYDRA, f"{path} imports {name}"
        if package == "gan_lab" and rest and part not in FREE:
            assert rest.split(".")[0] in ALLOWED[part], f"{path} imports {name}"


def test_entry_points_are_short():
    for command in COMMANDS:
        assert len((PACKAGE / f"{command}.py").read_text().splitlines()) <= 40
