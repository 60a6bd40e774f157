"""Where Hydra 1.3 with OmegaConf 2.3 and Hydra 1.4 with OmegaConf 2.4 differ; all other code works with both."""

from collections.abc import Callable
from inspect import signature
from typing import Any

from omegaconf import OmegaConf


def main_arguments() -> dict[str, Any]:
    """Returns the arguments of ``hydra.main`` with which both versions do the same.

    Hydra 1.4 wants to know which targets it may instantiate. These are nodes of the user's own command line, such as
    ``hydra.callbacks``, which is trusted as a whole. Checkpoints never reach Hydra.
    """
    from hydra import utils

    unchecked = getattr(utils, "UNSAFE_DISABLE_EXECUTION_CHECKS", None)
    return version_arguments() if unchecked is None else {"execution_whitelist": unchecked}


def version_arguments() -> dict[str, Any]:
    """Returns the arguments of ``hydra.initialize_config_dir``: Hydra 1.3 needs to know its own version."""
    from hydra import utils

    return {} if hasattr(utils, "UNSAFE_DISABLE_EXECUTION_CHECKS") else {"version_base": "1.3"}


def register_resolver(name: str, resolver: Callable[..., Any]) -> None:
    """Registers a function that interpolations call; it replaces another of the same name."""
    register: Any = OmegaConf.register_resolver  # in OmegaConf 2.3 another function has this name
    if "replace" not in signature(register).parameters:
        register = OmegaConf.register_new_resolver
    register(name, resolver, replace=True)
