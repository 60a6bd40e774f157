"""The current folder on Python's import path: last, and only where modules of the user's own are meant.

``python -m`` puts the current folder first. A file in it, such as one that came with a stranger's checkpoint, would
then take the place of an installed module that is imported later. ``import gan_lab`` runs this module first, so it
imports nothing that is not loaded yet.
"""

import os
import sys


def remove_current_folder() -> None:
    """Takes the current folder, which ``python -m gan_lab.…`` puts first, off the path.

    The folder of this package goes to the end instead, because further processes must be able to import it.
    """
    if not is_started_by_module() or sys.flags.safe_path:
        return
    first = sys.path.pop(0)
    if os.path.realpath(first) == _home() and first not in sys.path:
        sys.path.append(first)


def is_started_by_module() -> bool:
    """Returns True while ``python -m gan_lab.…`` imports this package to run a command."""
    started = zip(sys.orig_argv, [*sys.orig_argv[1:], ""], strict=True)
    return sys.argv[:1] == ["-m"] and any(a == "-m" and name.split(".")[0] == "gan_lab" for a, name in started)


def is_command() -> bool:
    """Returns True while this package is imported to run one of its commands."""
    return is_started_by_module() or os.path.basename(sys.argv[0] if sys.argv else "") == "gan-lab"  # noqa: PTH119


def add_current_folder(modules: list[str] | tuple[str, ...] | None) -> None:
    """Puts the current folder at the end of the path, if it holds one of these modules; None stands for any."""
    folder = os.getcwd()  # noqa: PTH109
    if folder not in sys.path and (modules is None or any(_holds(folder, each) for each in modules)):
        sys.path.append(folder)


def _holds(folder: str, module: str) -> bool:
    path = os.path.join(folder, module.split(".")[0])  # noqa: PTH118
    return os.path.isfile(f"{path}.py") or os.path.isdir(path)  # noqa: PTH112, PTH113


def _home() -> str:
    """The folder that this package lies in."""
    return os.path.realpath(__file__).rsplit(os.sep, 3)[0]
