"""What all entry points share: finding the configuration, paths on the command line, errors in one sentence."""

import functools
import importlib
import os
import runpy
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gan_lab.cli.config.deprecations import print_warnings
from gan_lab.cli.config.overrides import mistyped, quote_paths
from gan_lab.cli.config.paths import add_searchpath, home
from gan_lab.cli.errors import spoken

COMMANDS = (
    *("train", "sample", "reconstruct", "predict", "translate", "evaluate", "compare", "report", "fetch", "dashboard"),
)


def entry(config: str) -> Callable[[Callable[[Any], Any]], Callable[[], Any]]:
    """Makes a function of the composed configuration an entry point over ``conf/<config>.yaml``."""

    def decorate(work: Callable[[Any], Any]) -> Callable[[], Any]:
        def main() -> Any:
            import hydra

            importlib.import_module("gan_lab.cli.config.resolvers")  # for --cfg, which composes and does no work
            _make_importable(Path.cwd())
            add_searchpath(home("experiments"))
            importlib.import_module("gan_lab.cli.sweeps.search").register()
            print_warnings()
            sys.argv[1:] = quote_paths(sys.argv[1:])
            if wrong := mistyped(sys.argv[1:]):
                print(f"gan_lab: {wrong}", file=sys.stderr)
                sys.exit(2)
            try:
                return hydra.main(version_base="1.3", config_path=str(home("conf")), config_name=config)(spoken(work))()
            except KeyboardInterrupt:  # between the jobs of a sweep, or while a launcher waits for them
                sys.exit(130)

        return functools.wraps(work, assigned=("__module__", "__doc__"))(main)

    return decorate


def plain_entry(words: str, **keys: str | None) -> Callable[[Callable[..., Any]], Callable[[], Any]]:
    """Makes a function of words and a few keys an entry point that needs no configuration.

    Args:
        words: what the words are, for the usage; empty where there need be none.
        keys: that may be given as ``key=value``, with their defaults.
    """

    def decorate(work: Callable[..., Any]) -> Callable[[], Any]:
        def main() -> Any:
            if sys.argv[1:2] == ["-sc"]:  # the shell asks how to go on: without an answer it completes names of files
                return None
            given = dict(keys)
            rest = []
            for argument in sys.argv[1:]:
                key, equals, value = argument.partition("=")
                if equals and key in keys:
                    given[key] = value
                else:
                    rest.append(argument)
            if not sys.argv[1:] or rest[:1] in (["-h"], ["--help"]) or (words and not rest):
                usage = " ".join(f"[{key}=…]" for key in keys)
                print(
                    f"usage: python -m gan_lab.{Path(sys.argv[0]).stem} {words} {usage}".replace("  ", " "),
                    file=sys.stderr,
                )
                sys.exit(0 if rest else 2)
            return spoken(lambda given: work(rest, **given))(given)

        return functools.wraps(work, assigned=("__module__", "__doc__"))(main)

    return decorate


def _make_importable(folder: Path) -> None:
    """A user's own methods lie in the folder they call from; a console script does not look there by itself."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def main() -> None:
    """The console script ``gan-lab <command> …``, which does what ``python -m gan_lab.<command> …`` does."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["-sc"]:
        _complete(arguments[1:])
    elif arguments and arguments[0] in COMMANDS:
        sys.argv[1:] = arguments[1:]
        # As ``python -m`` does, for Lightning starts further devices by the command that this process shows.
        runpy.run_module(f"gan_lab.{arguments[0]}", run_name="__main__", alter_sys=True)
    else:
        print(
            f"usage: gan-lab {{{','.join(COMMANDS)}}} [key=value …]\n       gan-lab <command> --help", file=sys.stderr
        )
        sys.exit(0 if arguments[:1] in (["-h"], ["--help"]) else 2)


def _complete(arguments: Sequence[str]) -> None:
    """Answers the shell, which asks about the whole line: its second word is the command, the rest is the command's."""
    program, command, rest = _split_line(os.environ.get("COMP_LINE", ""))
    query = "query" in "".join(arguments)
    if query and command not in COMMANDS:
        print("\n".join(name for name in COMMANDS if name.startswith(command)))
        return
    os.environ["COMP_LINE"] = f"{program} {rest}"
    importlib.import_module(f"gan_lab.{command if query else COMMANDS[0]}").main()


def _split_line(line: str) -> tuple[str, str, str]:
    words = [*line.split(maxsplit=2), "", "", ""]
    return words[0], words[1], words[2]
