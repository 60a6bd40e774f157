"""What only the data and the finished parts can tell, found before a run has a folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch

from gan_lab.common.capabilities import KnownAgain
from gan_lab.common.instantiate import instantiate
from gan_lab.common.launch import process_count
from gan_lab.training.run_config import RunConfig


@runtime_checkable
class Rehearses(Protocol):
    """A callback that can refuse a model and its data before the run begins."""

    def rehearse(self, model: Any, data: Any) -> None:
        """Raises UserError if the callback cannot work with them; writes nothing."""


@dataclass(frozen=True)
class _Asking:
    """Stands for the trainer that asks a data module for its loader."""

    lightning_module: Any
    world_size: int
    global_rank: int = 0
    max_epochs: int = -1


def rehearse(config: RunConfig, data: Any, model: Any) -> None:
    """Reads the data, and asks for the first loader and for what this program's callbacks need; writes nothing.

    Raises:
        UserError: if the data or a callback would refuse it when the run begins.
    """
    if isinstance(data, KnownAgain):  # others may need the trainer for it
        data.setup("fit")  # type: ignore[attr-defined]
        with _asked_by(_Asking(model, process_count(config.trainer)), data):
            data.train_dataloader()  # type: ignore[attr-defined]
    own = [node for node in config.callbacks.values() if node and str(node.get("_target_")).startswith("gan_lab.")]
    with torch.random.fork_rng(devices=[]):
        for callback in map(instantiate, own):
            if isinstance(callback, Rehearses) and isinstance(data, KnownAgain):
                callback.rehearse(model, data)


@contextmanager
def _asked_by(trainer: _Asking, data: Any) -> Iterator[None]:
    before, data.trainer = data.trainer, trainer
    try:
        yield
    finally:
        data.trainer = before
