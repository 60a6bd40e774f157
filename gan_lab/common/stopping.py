"""Stopping by a signal: long steps, such as measuring, drawing and reading, end within seconds.

A handler of signals calls ``request``. In a long step of a single process, ``Interrupted`` is raised at once; in a step
that all ranks take together, at the next round that all of them begin. Elsewhere a request waits to be read.
"""

import os
import signal
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

T = TypeVar("T")

HANGUP = getattr(signal, "SIGHUP", None)
"""The signal of a terminal that closes, or of a connection that ends; None on Windows."""

ENDING = (signal.SIGTERM, *([HANGUP] if HANGUP else []))
"""Signals that end a process unless it handles them; Python handles Ctrl-C itself."""


class Interrupted(BaseException):
    """A signal ended a long step; no ``except Exception`` catches it.

    Attributes:
        number: the signal's number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _State:
    received: int | None = None
    steps: list[bool]
    """The long steps that run, innermost last: True for those that all ranks take together."""

    def __init__(self) -> None:
        self.steps = []


_state = _State()


def request(number: int) -> None:
    """Asks for a stop by a signal's number; called by its handler.

    Raises:
        Interrupted: in a long step that this process takes alone.
    """
    _state.received = number
    poll()


def received() -> int | None:
    """Returns the number of the signal that asked this process to stop; None before one came."""
    return _state.received


def clear() -> None:
    """Forgets a request: a new run begins."""
    _state.received = None


@contextmanager
def interruptible(together: bool = False) -> Iterator[None]:
    """Makes the block a long step.

    Args:
        together: all ranks run the block; else this process runs it alone.

    Raises:
        Interrupted: if a signal has asked for a stop, or does so in the block.
    """
    together = together and _several_ranks()
    try:
        _state.steps.append(together)
        poll()
        yield
    finally:
        _state.steps.pop()


def poll() -> None:
    """Ends a long step that this process takes alone, if a signal has asked for it.

    Raises:
        Interrupted: if so.
    """
    if _state.received is not None and _state.steps and not _state.steps[-1]:
        raise Interrupted(_state.received)


def agree() -> None:
    """Ends a long step of all ranks if a signal has asked any of them for it. Collective in such a step.

    Raises:
        Interrupted: on all ranks, if so.
    """
    poll()
    if not (_state.steps and _state.steps[-1]):
        return
    import torch  # here alone: a progress bar needs no torch
    import torch.distributed as dist

    device = f"cuda:{torch.cuda.current_device()}" if dist.get_backend() == "nccl" else "cpu"
    number = torch.tensor(_state.received or 0, device=device)
    dist.all_reduce(number, dist.ReduceOp.MAX)
    if number:
        raise Interrupted(int(number))


def _several_ranks() -> bool:
    from gan_lab.common.distributed import rank_and_world_size

    return rank_and_world_size()[1] > 1


def in_rounds(items: Iterable[T], size: int = 1, rounds: int = 0) -> Iterator[T]:
    """Yields the items of a long step; it may end before each round.

    Args:
        items: as many on every rank, unless ``rounds`` is given.
        size: items in a round.
        rounds: number of rounds, on a rank that may have fewer.

    Raises:
        Interrupted: if a signal has asked for a stop.
    """
    begun = 0
    for number, item in enumerate(items):
        if number % size == 0:
            agree()
            begun += 1
        yield item
    for _ in range(begun, rounds):
        agree()


def is_ignored(number: int) -> bool:
    """Returns True if the process was started with a signal ignored, as ``nohup`` does with SIGHUP."""
    return signal.getsignal(number) == signal.SIG_IGN


def silence_closed_terminal() -> None:
    """Discards further output to a terminal that has closed: writing to it would raise."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # a stream without a file
            number = stream.fileno()
            if stat.S_ISCHR(os.fstat(number).st_mode) and not os.isatty(number):
                os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def exit_on_signals() -> list[int]:
    """Makes SIGTERM and SIGHUP end the process as ``sys.exit(128 + number)`` does, wherever it is.

    What is open is closed then, and what is due at the end is done. Signals that are ignored, or handled by another
    part of the program, stay so.

    Returns:
        the signals that it handles now and did not before.
    """
    process = os.getpid()

    def end(number: int, _: object) -> None:
        if os.getpid() != process:  # a fork, such as a worker of a loader, ends as it would have without this
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        if number == HANGUP:
            silence_closed_terminal()
        sys.exit(128 + number)

    replaced = [number for number in ENDING if signal.getsignal(number) == signal.SIG_DFL]
    try:
        for number in replaced:
            signal.signal(number, end)
    except ValueError:  # not the main thread
        return []
    return replaced


@contextmanager
def exits_on_signals() -> Iterator[None]:
    """Does what ``exit_on_signals`` does, in the block."""
    replaced = exit_on_signals()
    handlers = {number: signal.getsignal(number) for number in replaced}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            if signal.getsignal(number) is handler:
                signal.signal(number, signal.SIG_DFL)
