"""gan_lab: train, sample, measure and edit images with GANs, VAEs and recurrent networks."""

from gan_lab.common.import_path import is_command, remove_current_folder

remove_current_folder()  # before any other import, which could find a file there

from gan_lab.common.lean_imports import put_off_imports  # noqa: E402
from gan_lab.common.stopping import exit_on_signals  # noqa: E402

if is_command():
    exit_on_signals()  # a signal may come while the rest is imported
    put_off_imports()

import importlib  # noqa: E402
from typing import Any  # noqa: E402

from gan_lab.common import old_modules  # noqa: E402
from gan_lab.common.version import __version__  # noqa: E402

__all__ = ["__version__", "compose", "load"]

old_modules.register()

_LAZY = {"compose": "gan_lab.cli.composition", "load": "gan_lab.training.checkpoint"}
"""Functions, and the modules that define them."""


def __getattr__(name: str) -> Any:
    """Imports a function when it is first used: shell completion must be quick, and torch is slow to import."""
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'gan_lab' has no attribute {name!r}")
