"""gan_lab: train, sample, measure and edit images with GANs, VAEs and recurrent networks."""

from typing import Any

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def __getattr__(name: str) -> Any:
    """Makes ``gan_lab.load`` available without importing torch before it is needed (shell completion must be quick)."""
    if name == "load":
        from gan_lab.training.checkpoint import load

        return load
    raise AttributeError(f"module 'gan_lab' has no attribute {name!r}")
