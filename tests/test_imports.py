"""The packages that each package of gan_lab may import, and that no imports form a circle."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "gan_lab"
ROOMS = {
    "common": set(),
    "networks": {"common"},
    "losses": {"common"},
    "data": {"common"},
    "inference": {"common", "networks", "losses", "data"},
    "evaluation": {"common", "networks", "losses", "data", "inference"},
    "training": {"common", "data", "inference", "evaluation"},
    "models": {"common", "networks", "losses", "training"},
    "cli": {"common", "networks", "losses", "data", "inference", "evaluation", "training"},
}
ENGINE = (
    "ada",
    "alternating",
    "augment",
    "budget",
    "checkpoint",
    "collectives",
    "ema",
    "growth",
    "image_pool",
    "model_folder",
    "noise",
    "optimizers",
    "options",
    "paths_left_out",
    "power_average",
    "schedules",
    "trainer_checks",
    "turns",
    "warping",
    "wavelets",
    "weights_file",
)
"""Modules of training that depend on common alone: all that models may import of it."""
FILES = sorted(PACKAGE.rglob("*.py"))


def imports(path, lazy=True):
    """Yields the dotted names that a file imports; without ``lazy`` those that importing the file itself imports."""
    nodes = [*ast.parse(path.read_text()).body]
    while nodes:
        node = nodes.pop()
        for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if lazy or not (for_types or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
            nodes.extend(ast.iter_child_nodes(node))
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


def test_no_imports_form_a_circle():
    names = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path for path in FILES}
    names = {name.removesuffix(".__init__"): path for name, path in names.items()}
    graph = {
        name: {
            module
            for each in imports(path, lazy=False)
            if (module := each if each in names else each.rpartition(".")[0]) in names
        }
        for name, path in names.items()
    }
    assert graph["gan_lab.training.checkpoint"] > {"gan_lab.common.atomic", "gan_lab.common.instantiate"}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))
