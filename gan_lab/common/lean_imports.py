"""Puts off what Lightning and torchmetrics import for parts that few programs use, until one of these is used.

torchmetrics imports torchvision's models for metrics such as DISTS, scipy.signal for a patch, and transformers, where
that is installed, for metrics of texts; Lightning imports torch._dynamo, and with it sympy, for a question about types.
They take two thirds of the time until a command begins.
Stand-ins take their place while Lightning is imported, and import the real ones when they are used. If a version of
Lightning does not work with them, it is imported as usual.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

USERS = ("lightning", "torchmetrics")
"""The packages that import what they may not need, the first with the second."""
PUT_OFF = {
    "torch": ("torch._dynamo",),
    "torchvision": ("torchvision", "torchvision.models", "torchvision.ops", "torchvision.transforms"),
    "scipy": ("scipy.signal",),
    "transformers": ("transformers",),
}
"""By package, the modules that are imported when they are used."""
BARE = "torch_fidelity"
"""A package whose modules torchmetrics derives a class from, without need of what the package itself imports."""


def put_off_imports() -> None:
    """Makes the import of Lightning put off others; without effect if it is imported already."""
    if not any(name in sys.modules for name in USERS):
        sys.meta_path.insert(0, _Finder())


class Later:
    """An attribute of a module that is imported when the attribute is called, or asked for another.

    Args:
        module: name of the module.
        name: of the attribute.
    """

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    def _found(self) -> Any:
        if isinstance(sys.modules.get(self._module), _StandIn):  # it is needed while Lightning is imported
            del sys.modules[self._module]
        return getattr(importlib.import_module(self._module), self._name)

    def __instancecheck__(self, instance: object) -> bool:
        """A module that is not imported has no instances of its classes."""
        real = sys.modules.get(self._module)
        return real is not None and not isinstance(real, _StandIn) and isinstance(instance, self._found())

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self._found()(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # asked for by what only looks at it, such as typing
            raise AttributeError(name)
        return getattr(self._found(), name)


class _StandIn(ModuleType):
    """A module without anything in it: every name is a ``Later``."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__ = []  # it may have modules of its own, which have stand-ins, too

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if (self.__name__, name) == ("torch._dynamo", "disable"):
            return _disable_when_called
        return Later(self.__name__, name)


def _disable_when_called(function: Any = None, recursive: bool = True, **_: Any) -> Any:
    """Does what ``torch._dynamo.disable`` does, with the first call: Lightning decorates a method with it."""
    import torch

    return torch._disable_dynamo(function, recursive)


class _Finder(MetaPathFinder):
    """Finds the first of the packages, with a loader that puts imports off."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in USERS:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(Loader):
    """Loads a module with stand-ins for what it need not import, or without if that fails."""

    def __init__(self, real: Loader) -> None:
        self.real = real

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.real.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self.real
        try:
            with _stand_ins():
                self.real.exec_module(module)
        except Exception:  # another version may do more with them than to import them
            begun = [name for name in sys.modules if name.split(".")[0] in USERS and sys.modules[name] is not module]
            for name in begun:
                del sys.modules[name]
            self.real.exec_module(module)


@contextmanager
def _stand_ins() -> Iterator[None]:
    """Puts stand-ins in the place of modules that are installed and not imported yet."""
    wanted = [name for package, names in PUT_OFF.items() if _spec(package) for name in names]
    made: dict[str, ModuleType] = {name: _StandIn(name) for name in wanted if name not in sys.modules}
    for name, stand_in in made.items():
        stand_in.__spec__ = ModuleSpec(name, None, is_package=True)
    if BARE not in sys.modules and (spec := _spec(BARE)) is not None:
        made[BARE] = module_from_spec(spec)
    sys.modules.update(made)
    try:
        yield
    finally:
        bare = [name for name in sys.modules if BARE in made and name.startswith(f"{BARE}.")]
        for name in [*made, *bare]:
            sys.modules.pop(name, None)


def _spec(package: str) -> ModuleSpec | None:
    found = sys.modules.get(package)
    return found.__spec__ if found is not None else find_spec(package)
