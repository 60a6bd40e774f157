"""What all entry points share: finding the configuration, paths on the command line, errors in one sentence."""

import functools
import importlib
import os
import re
import runpy
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

COMMANDS = (
    *("train", "sample", "reconstruct", "predict", "translate", "evaluate", "compare", "report", "fetch", "dashboard"),
)
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


def home(name: str) -> Path:
    """The folder ``name`` (conf, experiments) inside an installed package, else beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / name
    return inside if inside.is_dir() else package.parent / name


def entry(config: str) -> Callable[[Callable[[Any], Any]], Callable[[], Any]]:
    """Makes a function of the composed configuration an entry point over ``conf/<config>.yaml``."""

    def decorate(work: Callable[[Any], Any]) -> Callable[[], Any]:
        def main() -> Any:
            import hydra

            importlib.import_module("gan_lab.resolvers")  # for --cfg, which composes and does no work
            _make_importable(Path.cwd())
            add_searchpath(home("experiments"))
            importlib.import_module("gan_lab.search").register()
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


def spoken(work: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Errors of the user's making end with their sentence alone and status 2, Ctrl-C with 130; a sweep goes on."""

    @functools.wraps(work)
    def task(config: Any) -> Any:
        from gan_lab.types import UserError

        try:
            return work(config)
        except UserError as error:
            print(f"gan_lab: {error}", file=sys.stderr)
            sys.exit(2)
        except KeyboardInterrupt:
            sys.exit(130)

    return task


def quote_paths(arguments: Sequence[str]) -> list[str]:
    """Quotes the values of the keys that take paths, so that Hydra's grammar reads ``a,b (1).jpg`` or 2024 as they are.

    In a multirun a list of paths stays a list, unless a file of that very name exists.
    """
    sweeps = any(argument in ("-m", "--multirun") for argument in arguments)
    return [_quote(argument, sweeps) for argument in arguments]


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


def choices(group: str) -> list[str]:
    """Of a group of ours, by name; empty where there is none of that name."""
    return sorted({path.stem for place in ("conf", "experiments") for path in (home(place) / group).glob("*.yaml")})


def _make_importable(folder: Path) -> None:
    """A user's own methods lie in the folder they call from; a console script does not look there by itself."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def add_searchpath(folder: Path) -> None:
    """Recipes and sweeps, found however a user sets ``hydra.searchpath``."""
    from hydra.core.config_search_path import ConfigSearchPath
    from hydra.core.plugins import Plugins
    from hydra.plugins.search_path_plugin import SearchPathPlugin

    class Experiments(SearchPathPlugin):
        def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
            search_path.append("gan_lab-experiments", f"file://{folder}")

    Plugins.instance().register(Experiments)


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
