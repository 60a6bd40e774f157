"""gan_lab: train, sample, measure and edit images with GANs, VAEs and recurrent networks."""

import importlib
from typing import Any

from gan_lab.common import old_modules
from gan_lab.common.version import __version__

__all__ = ["__version__", "compose", "load"]

old_modules.register()

_LAZY = {"compose": "gan_lab.cli.composition", "load": "gan_lab.training.checkpoint"}
"""Functions, and the modules that define them."""


def __getattr__(name: str) -> Any:
    """Imports a function when it is first used: shell completion must be quick, and torch is slow to import."""
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'gan_lab' has no attribute {name!r}")
