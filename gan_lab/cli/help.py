"""Help: the command's own text, its choices, and its YAML file with all comments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import MISSING
from inspect import cleandoc
from textwrap import fill
from typing import TYPE_CHECKING

from gan_lab.cli.config.paths import choices
from gan_lab.cli.requests import words_field

if TYPE_CHECKING:
    from gan_lab.cli.command import Command

GROUP = re.compile(r"^  - (?P<group>[\w/]+)(?:@(?P<package>\w+))?: (?P<choice>\S+)(?:\s+# (?P<comment>.*))?")
"""A line of a defaults list, such as ``- metrics@quick: quick   # while a model trains``."""


def help_text(command: Command) -> str:
    """The text of ``--help``: what the command does, the choices of its groups, its keys with defaults and comments."""
    text = command.config.read_text()
    parts = [cleandoc(command.__doc__ or ""), f"usage: {program(command)} key=value …"]
    if listed := list(described_groups(text)):
        parts += ["\n".join(["Choices (group=choice):", "", *listed])]
    parts += ["Keys, with their defaults:\n\n" + indented(body(text))]
    parts += [
        "Further flags are Hydra's: --cfg job shows the whole configuration, -m runs a sweep, --hydra-help lists all."
    ]
    return "\n\n".join(parts)


def described_groups(text: str) -> Iterator[str]:
    """Yields the groups of a YAML file's defaults list: default, comment, choices."""
    for line in text.splitlines():
        found = GROUP.match(line)
        names = choices(found["group"]) if found else []
        if found is None or not names:
            continue
        key = found["group"] + (f"@{found['package']}" if found["package"] else "")
        yield f"  {key}={found['choice']}" + (f"   # {found['comment']}" if found["comment"] else "")
        yield fill(", ".join(names), 110, initial_indent="      ", subsequent_indent="      ", break_long_words=False)


def group_names(text: str) -> list[str]:
    """The config groups of a YAML file's defaults list."""
    return list(dict.fromkeys(found["group"] for line in text.splitlines() if (found := GROUP.match(line))))


def key_names(text: str) -> list[str]:
    """The keys of a YAML file at its top."""
    return re.findall(r"^(\w+):", text, re.MULTILINE)


def program(command: Command) -> str:
    """The words that start the command."""
    return f"python -m {command.module}" if "." in command.module else f"python {command.name}.py"


def body(text: str) -> str:
    """A YAML file's keys without its opening comment, its defaults list and Hydra's own block."""
    blocks = re.split(r"\n(?=\S)", text)
    kept = [block for block in blocks if not block.startswith(("defaults:", "hydra:", "# @package"))]
    while kept and kept[0].startswith("#"):
        kept.pop(0)
    return "\n".join(kept).strip("\n")


def indented(text: str) -> str:
    """The text, two spaces to the right."""
    return "\n".join(f"  {line}".rstrip() for line in text.splitlines())


def usage(command: Command) -> str:
    """The usage of a command that takes words and a few keys."""
    field = words_field(command.request)
    assert field is not None
    optional = [(name, each) for name, each in command.request.__dataclass_fields__.items() if name != field[0]]
    keys = " ".join(f"[{name}=…]" if each.default is not MISSING else f"{name}=…" for name, each in optional)
    line = " ".join(filter(None, [f"usage: {program(command)}", field[1].name, keys]))
    return f"{line}\n\n{cleandoc(command.__doc__ or '')}"
