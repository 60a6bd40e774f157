"""Modules of the last version can be imported for one version; what is taken from them comes from its present place.

The tables are in ``gan_lab.common.renames``. ``import gan_lab`` runs this module, so it imports nothing that is slow.
"""

import importlib
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

from gan_lab.common.deprecation import warn_renamed
from gan_lab.common.renames import MODULES, NAMES
from gan_lab.common.upgrade import renamed


def _parents(names: Iterable[str]) -> set[str]:
    return {".".join(parts[:n]) for parts in (name.split(".") for name in names) for n in range(1, len(parts))}


OLD_PACKAGES = _parents([*MODULES, *(name.rpartition(".")[0] for name in NAMES)])
OLD_PACKAGES -= _parents([*MODULES.values(), *NAMES.values()])
"""Packages of the last version that are gone, below ``gan_lab``."""

CHANGED = {name.rpartition(".")[0] for name in NAMES} - MODULES.keys()
"""Modules of the last version of which a name changed; those that are still in their place keep the other names."""


class OldModule(ModuleType):
    """Stands for a module of the last version; its attributes come from their present places when they are used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        rest = f"{self.__name__}.{name}".removeprefix("gan_lab.")
        if rest in MODULES or rest in OLD_PACKAGES or rest in CHANGED:
            return importlib.import_module(f"gan_lab.{rest}")
        return _present(self.__name__, name)


def _present(module: str, name: str) -> Any:
    """The class or function that the last version had in a module under a name.

    Raises:
        AttributeError: if it had none.
    """
    old = f"{module}.{name}"
    new = renamed(old)
    place, _, present = new.rpartition(".")
    if new == old:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(place), present)
    warn_renamed(old, new)
    return found


class OldModules:
    """Finds the modules of the last version, and gives those that kept their place the names that they lost."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, rest = fullname.partition(".")
        if package != "gan_lab":
            return None
        spec = PathFinder.find_spec(fullname, path) if rest in CHANGED else None
        if spec is not None and spec.loader is not None:
            spec.loader.exec_module = partial(_with_old_names, spec.loader.exec_module)  # type: ignore[method-assign]
        elif rest in MODULES or rest in OLD_PACKAGES or rest in CHANGED:
            spec = ModuleSpec(fullname, self, is_package=rest in OLD_PACKAGES)  # type: ignore[arg-type]
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return OldModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing to run."""

    def get_code(self, fullname: str) -> None:
        """Lets ``python -m`` say in one line that there is nothing to run."""


def _with_old_names(execute: Callable[[ModuleType], None], module: ModuleType) -> None:
    execute(module)
    module.__dict__.setdefault("__getattr__", lambda name: _present(module.__name__, name))


def register() -> None:
    """Lets Python find the modules of the last version."""
    if not any(isinstance(finder, OldModules) for finder in sys.meta_path):
        sys.meta_path.insert(0, OldModules())
