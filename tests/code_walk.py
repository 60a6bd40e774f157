"""A walk through the code of functions and classes, which finds what imports, opens, loads or evaluates."""

import builtins
import dis
import importlib
import sys
from functools import partial
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType

FOLLOWED = ("gan_lab", "torch.nn", "torch.optim", "torchvision")
"""Packages whose functions are walked through, too, where a part calls them."""

BASES = ("torch.nn.modules.module", "torch.optim.optimizer", "lightning.")
"""Modules with base classes that have methods for everything: of these the constructor alone is walked through."""

FORBIDDEN = (
    *("PIL.Image.open", "_io", "builtins.__import__", "builtins.breakpoint", "builtins.compile", "builtins.eval"),
    *("builtins.exec", "builtins.globals", "builtins.input", "builtins.open", "codecs", "ctypes", "fsspec", "glob"),
    *("http", "huggingface_hub", "importlib", "io", "joblib", "marshal", "multiprocessing", "numpy.fromfile"),
    *("numpy.genfromtxt", "numpy.load", "numpy.loadtxt", "numpy.memmap", "numpy.save", "os", "pathlib", "pickle"),
    *("pkgutil", "posix", "requests", "runpy", "safetensors", "shutil", "socket", "subprocess", "sys._getframe"),
    *("sys.meta_path", "sys.modules", "sys.path", "tempfile", "torch._C.import_ir_module", "torch.classes"),
    *("torch.from_file", "torch.hub", "torch.jit.load", "torch.load", "torch.ops", "torch.package", "torch.save"),
    *("torch.serialization", "torch.utils.cpp_extension", "torch.utils.model_zoo", "torchvision.datasets"),
    *("torchvision.io", "urllib", "zipfile", "zipimport"),
)
"""Functions and modules that import, open, load or evaluate."""

KNOWN = {
    "gan_lab.common.deprecation.warn_renamed": "sys._getframe",  # names the caller's line in a warning
    "gan_lab.common.old_arguments._group_old_arguments": "importlib.import_module",  # of a table of ours
}
"""What is found, and takes nothing from its arguments."""


def name_of(value):
    if isinstance(value, ModuleType):
        return value.__name__
    return f"{getattr(value, '__module__', None) or 'builtins'}.{getattr(value, '__qualname__', '')}"


def within(name, packages):
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def contents(cell):
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


class Walk:
    """Follows calls from functions and classes, and collects what is forbidden, each with the way to it."""

    def __init__(self):
        self.seen, self.found = set(), []

    def visit(self, value, way=()):
        """Walks through a function, a class's methods, or the function that an object holds."""
        if isinstance(value, partial | classmethod | staticmethod | property):
            value = next(getattr(value, name) for name in ("func", "__func__", "fget") if hasattr(value, name))
        if not isinstance(value, type | FunctionType) or id(value) in self.seen:
            return
        self.seen.add(id(value))
        way = (*way, name_of(value))
        if isinstance(value, type):
            for cls in value.__mro__:
                self.visit_class(cls, way)
            return
        for held in (getattr(value, "__wrapped__", None), *map(contents, value.__closure__ or ())):
            self.visit(held, way)
        self.visit_code(value.__code__, value.__globals__, way)

    def visit_class(self, cls, way):
        base = cls.__module__.startswith(BASES)
        if base or within(cls.__module__, FOLLOWED):
            for name, member in vars(cls).items():
                if not base or name in ("__init__", "__new__", "__init_subclass__"):
                    self.visit(member, way)

    def visit_code(self, code, scope, way):
        steps = [step for step in dis.get_instructions(code) if step.opname not in ("CACHE", "PUSH_NULL", "RESUME")]
        value = previous = None
        for step, after in zip(steps, [*steps[1:], None], strict=True):
            before, previous = previous, None
            if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                value = scope.get(step.argval, getattr(builtins, step.argval, None))
            elif step.opname == "IMPORT_NAME":
                value = sys.modules.get(step.argval)
                self.forbid(step.argval, way)
            elif step.opname in ("LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM") and isinstance(value, ModuleType | type):
                holder, value = value, getattr(value, step.argval, None)
                if not callable(value):  # functions and classes are judged by where they are defined
                    self.forbid(f"{holder.__name__}.{step.argval}", way)
            else:
                value = None
                continue
            if before is getattr and isinstance(value, ModuleType):
                self.found.append((*way, f"getattr of {value.__name__}"))
            previous = value
            constant = after is not None and after.opname == "LOAD_CONST" and value is importlib.import_module
            if callable(value) or (isinstance(value, ModuleType) and value is not importlib):
                self.reach(value, way, constant)
        for each in code.co_consts:
            if isinstance(each, CodeType):
                self.visit_code(each, scope, way)

    def reach(self, value, way, constant):
        """Notes what a code refers to; a module that is imported by a constant name is like an import statement."""
        if isinstance(value, ModuleType | type | FunctionType | BuiltinFunctionType):
            self.forbid(name_of(value), way, constant)
            if within(getattr(value, "__module__", None) or "", FOLLOWED):
                self.visit(value, way)

    def forbid(self, name, way, constant=False):
        if within(name, FORBIDDEN) and not constant and KNOWN.get(way[-1]) != name:
            self.found.append((*way, name))
