"""The structure of methods: short chains of classes, and plain arguments."""

import importlib
import inspect
import pkgutil

import pytest

import gan_lab.models
from gan_lab.training.alternating import AlternatingModule

MODULES = [name for _, name, _ in pkgutil.walk_packages(gan_lab.models.__path__, "gan_lab.models.")]
METHODS = [
    cls
    for name in MODULES
    for cls in vars(importlib.import_module(name)).values()
    if inspect.isclass(cls) and issubclass(cls, AlternatingModule) and cls.__module__ == name
]


@pytest.mark.parametrize("method", METHODS, ids=lambda cls: cls.__name__)
def test_at_most_five_classes_lie_between_a_method_and_lightning(method):
    assert len([cls for cls in method.__mro__ if cls.__module__.startswith("gan_lab.")]) <= 5


@pytest.mark.parametrize("method", METHODS, ids=lambda cls: cls.__name__)
def test_a_method_names_its_arguments(method):
    kinds = {parameter.kind for parameter in inspect.signature(method).parameters.values()}
    assert not kinds & {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}
