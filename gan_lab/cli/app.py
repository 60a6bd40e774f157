"""The console script ``gan-lab <command> …``, which does what ``python -m gan_lab.<command> …`` does."""

import importlib
import os
import runpy
import sys
from collections.abc import Sequence

from gan_lab.cli.command import COMMANDS

USAGE = f"usage: gan-lab {{{','.join(COMMANDS)}}} [key=value …]\n       gan-lab <command> --help"


def main() -> None:
    """Runs the command that the first word names, or answers the shell's completion."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["-sc"]:
        _complete(arguments[1:])
    elif arguments and arguments[0] in COMMANDS:
        sys.argv[1:] = arguments[1:]
        # As ``python -m`` does: Lightning starts processes for further devices by the command that this one shows.
        runpy.run_module(f"gan_lab.{arguments[0]}", run_name="__main__", alter_sys=True)
    else:
        print(USAGE, file=sys.stderr)
        sys.exit(0 if arguments[:1] in (["-h"], ["--help"]) else 2)


def _complete(arguments: Sequence[str]) -> None:
    """Answers the shell, which asks about the whole line: its second word is the command, the rest is the command's."""
    program, command, rest = _split_line(os.environ.get("COMP_LINE", ""))
    query = "query" in "".join(arguments)
    if query and command not in COMMANDS:
        print("\n".join(name for name in COMMANDS if name.startswith(command)))
        return
    os.environ["COMP_LINE"] = f"{program} {rest}"
    name = command if query else COMMANDS[0]
    getattr(importlib.import_module(f"gan_lab.{name}"), name)()


def _split_line(line: str) -> tuple[str, str, str]:
    words = [*line.split(maxsplit=2), "", "", ""]
    return words[0], words[1], words[2]
