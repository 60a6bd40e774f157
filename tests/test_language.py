"""The language of docstrings and messages: shapes, errors raised, plain modern English.

``python tests/test_language.py gan_lab/data`` lists what is wrong below a folder.
"""

import ast
import re
import sys
import tokenize
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "gan_lab"
SHAPE = re.compile(
    r"\((?:[A-Zn…1-9][\w'′·×+/ -]*|[a-z](?=,))(?:, ?[\w'′·×+/ …-]+)*,?\)|\(\)|scalar|any shape|one value|of this shape"
    r"|same shape"
)
BANNED = re.compile(
    r"\b(is told|are told|does not serve|do not serve|so many|so manieth|cannot be had|hangs? on|nobody|whose turn)\b",
    re.I,
)
OPENINGS = ("Of ", "Whether ", "What ", "Those ", "The same", "As ", "Without ", "Where ", "That ", "Who ", "How ")
FILES = sorted(PACKAGE.rglob("*.py"))


def trees():
    return {path: parsed(path) for path in FILES}


@cache
def parsed(path):
    return ast.parse(path.read_text())


@cache
def documented():
    """Names of methods that are documented with shapes in some class, whose overriding methods need not repeat them."""
    found = set()
    for tree in trees().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                for each in node.body:
                    if isinstance(each, ast.FunctionDef) and shapes(each) >= max(1, len(tensors(each))):
                        found.add(each.name)
    return found


def tensors(function):
    """Parameters that are tensors."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *filter(None, [arguments.vararg])]
    named = [(a.arg, ast.unparse(a.annotation)) for a in every if a.annotation is not None]
    return [
        name for name, kind in named if re.search(r"(?<![\w.])Tensor\b", kind) and "[" not in kind.split("Tensor")[0]
    ]


def shapes(function, owner=None):
    text = (ast.get_docstring(function) or "") + ("\n" + (ast.get_docstring(owner) or "") if owner else "")
    return len(SHAPE.findall(text))


def functions(tree):
    """Public functions, and public methods with their class."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node, None
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for each in node.body:
                if isinstance(each, ast.FunctionDef) and (
                    not each.name.startswith("_") or each.name in ("__init__", "__call__")
                ):
                    yield each, node


def raised(function):
    """Names of the exceptions that the function itself raises."""
    stack, found = [*function.body], set()
    while stack:
        node = stack.pop()
        if isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            name = ast.unparse(node.exc.func).split(".")[-1]
            found |= {name} if name[:1].isupper() else set()
        stack.extend(ast.iter_child_nodes(node))
    return found


def without_shapes(path):
    for function, owner in functions(parsed(path)):
        wanted = tensors(function)
        inherited = owner is not None and owner.bases and function.name in documented()
        if (
            wanted
            and not inherited
            and shapes(function, owner if function.name in ("__init__", "forward", "__call__") else None) < len(wanted)
        ):
            place = f"{path.relative_to(ROOT)}:{function.lineno}"
            yield f"{place} {function.name}: no shape for each of {', '.join(wanted)}"


def without_raises(path):
    for function, owner in functions(parsed(path)):
        if any(ast.unparse(each).startswith("command(") for each in function.decorator_list):
            continue  # the docstring is the help of the command line, where errors are sentences
        text = (ast.get_docstring(function) or "") + ((ast.get_docstring(owner) or "") if owner else "")
        for name in raised(function) - {"NotImplementedError", "SystemExit"}:
            if not re.search(rf"Raises\b[\s\S]*{name}", text):
                yield f"{path.relative_to(ROOT)}:{function.lineno} {function.name}: does not say that it raises {name}"


def unclear(path):
    with tokenize.open(path) as file:
        for token in tokenize.generate_tokens(file.readline):
            if token.type in (tokenize.STRING, tokenize.COMMENT) and (found := BANNED.search(token.string)):
                yield f"{path.relative_to(ROOT)}:{token.start[0]} says {found[0]!r}"
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
            text = ast.get_docstring(node) or ""
            if text.startswith(OPENINGS):
                line = getattr(node, "lineno", 1)
                yield f"{path.relative_to(ROOT)}:{line} opens with {text.split()[0]!r}: {text.splitlines()[0][:60]}"


CHECKS = (without_shapes, without_raises, unclear)


TO_DO = ("cli", "training", "")
"""Rooms that are still being rewritten; "" stands for the package's root."""

DONE = ("training/callbacks", "training/loggers")
"""Folders of such rooms that are finished."""

FOLDERS = sorted({path.parent.relative_to(PACKAGE).as_posix().removeprefix(".") for path in FILES})
HELD = [name for name in FOLDERS if name in DONE or name.split("/")[0] not in TO_DO]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", HELD)
def test_a_folder_is_plain(name, check):
    assert [line for path in FILES if path.parent == PACKAGE / name for line in check(path)] == []


if __name__ == "__main__":
    wanted = [Path(each).resolve() for each in sys.argv[1:]] or [PACKAGE]
    lines = [
        line
        for path in FILES
        if any(path.is_relative_to(each) for each in wanted)
        for check in CHECKS
        for line in check(path)
    ]
    print("\n".join(lines))
    print(f"{len(lines)} in all")
