"""Small restorers that travel with the package; ``experiments/package_restorers.py`` writes them from training runs."""

from pathlib import Path
from typing import Literal

RestorerName = Literal["denoise", "deartifact", "superres"]
"""Noise of any level to σ = 55; JPEGs of quality 10 to 60; twice the size."""

FOLDER = Path(__file__).with_name("weights")


def packaged(name: RestorerName) -> Path:
    """Returns the file of a restorer, for ``gan_lab.load`` and wherever a checkpoint is given.

    Example: ``clean = PhotoRestorer(gan_lab.load(packaged("denoise")))(pixels)``
    """
    return FOLDER / f"{name}.safetensors"
