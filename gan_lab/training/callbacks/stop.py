"""Signals that end a run: between two iterations, where it can be saved, or in a long step such as measuring."""

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info

from gan_lab.common import stopping
from gan_lab.common.stopping import ENDING, HANGUP, is_ignored, silence_closed_terminal

TIME_LIMIT_SIGNALS = tuple(getattr(signal, name) for name in ("SIGUSR1", "SIGUSR2") if hasattr(signal, name))
"""Signals that SLURM can send to a job shortly before its time limit (``--signal=USR2@120``)."""

SIGNALS = (signal.SIGINT, *ENDING, *TIME_LIMIT_SIGNALS)

INTERRUPTED = "a signal ended the run first"
"""Why something is missing at the end of a run."""


class StopOnSignal(Callback):
    """Ends the run between two iterations, where it can be saved, on Ctrl-C, SIGTERM, SIGHUP or SLURM's time limit.

    A long step (see ``long_step``) is interrupted. A second signal ends the run at once, except SIGHUP, which shells
    and systems send beside another. SLURM sends USR1 or USR2 if the job asks for it (``--signal=USR2@120``).

    Attributes:
        received: the signal's number, equal on all ranks; None before one arrives.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.previous: dict[int, Any] = {}

    @property
    def cuts_short(self) -> bool:
        """True if the run ends before its budget is used up, or before its last metrics are known."""
        return self.received is not None

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        # Lightning has set its own handlers by now, which would stop the run between the steps of two phases.
        stopping.clear()
        heeded = [number for number in SIGNALS if number != HANGUP or not is_ignored(number)]
        self.previous = {number: signal.signal(number, self._handle) for number in heeded}

    def teardown(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        self.received = self.received or stopping.received()
        self._restore()

    def on_exception(self, trainer: Trainer, module: LightningModule, exception: BaseException) -> None:
        self._restore()

    def _restore(self) -> None:
        for number, handler in self.previous.items():
            if signal.getsignal(number) == self._handle:
                signal.signal(number, handler)
        self.previous = {}
        stopping.clear()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number == HANGUP:
            silence_closed_terminal()
        repeated = stopping.is_repeated(number)
        if repeated and number != HANGUP:
            raise KeyboardInterrupt
        if stopping.received() is None:
            rank_zero_info(f"{signal.Signals(number).name}: stopping; send it again to stop at once.")
            stopping.request(number)

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: object) -> None:
        self._agree(trainer, module)
        if self.received is not None:
            trainer.should_stop = True

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Makes all ranks agree on what is still to be done."""
        self._agree(trainer, module)

    def _agree(self, trainer: Trainer, module: LightningModule) -> None:
        self.received = self.received or stopping.received()
        if trainer.world_size > 1:
            received = torch.tensor(self.received or 0, device=module.device)
            torch.distributed.all_reduce(received, torch.distributed.ReduceOp.MAX)
            self.received = int(received) or None


def long_step(trainer: Trainer, work: Callable[[], object], together: bool = False) -> bool:
    """Runs a long step, which a signal may interrupt; the run then stops. Returns True if the step was completed.

    Args:
        trainer: the trainer.
        work: the step.
        together: all ranks take it; else the first does alone, and the others learn of a signal at the next iteration.
    """
    try:
        with stopping.interruptible(together):
            work()
    except stopping.Interrupted as signalled:
        if together or trainer.world_size == 1:
            trainer.should_stop = True
            for each in trainer.callbacks:  # type: ignore[attr-defined]
                if isinstance(each, StopOnSignal):
                    each.received = signalled.number
        return False
    return True


def is_cut_short(trainer: Trainer) -> bool:
    """Returns True if a signal or a pruner ends the run before its budget is used up."""
    return any(getattr(each, "cuts_short", False) for each in trainer.callbacks)  # type: ignore[attr-defined]


def is_stopped(trainer: Trainer) -> bool:
    """Returns True if a signal ends the run: little time may be left."""
    callbacks = getattr(trainer, "callbacks", [])
    return any(isinstance(each, StopOnSignal) and each.received is not None for each in callbacks)
