"""Stopping by a signal: long steps, such as measuring, drawing and reading, end within seconds.

A handler of signals calls ``request``. In a long step of a single process, ``Interrupted`` is raised at once. A step
that all ranks take together has parts in which they do not communicate (``separately``): there it is raised at once on
the rank that gets the signal, and within a second on the others. Elsewhere a request waits to be read.
"""

import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, TypeVar, cast

from gan_lab.common.errors import RankError, reason

T = TypeVar("T")

NEWS_SECONDS = 0.25
"""Time between two looks for the news of a signal that another rank got."""

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
    relayed: int | None = None
    """A signal that another rank got, and that is on its way to this process."""
    apart = False
    """Other ranks are not waiting for this one: it is in a part of the work that it does by itself."""
    steps: list[bool]
    """The long steps that run, innermost last: True for those that all ranks take together."""
    num_together = 0
    """The long steps so far that all ranks took together."""

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
    _state.received = _state.relayed = None


def is_repeated(number: int) -> bool:
    """Returns True for a further signal after the first; False, too, for one that came by way of another rank."""
    relayed, _state.relayed = _state.relayed == number, None
    return _state.received is not None and not relayed


@contextmanager
def interruptible(together: bool = False) -> Iterator[None]:
    """Makes the block a long step.

    Args:
        together: all ranks run the block; else this process runs it alone.

    Raises:
        Interrupted: if a signal has asked for a stop, or does so in the block.
    """
    together = together and _several_ranks()
    with _shared_news() if together else nullcontext():
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
    if _state.steps and _state.steps[-1] and not _state.apart:
        _meet(None)


def separately(work: Callable[[], T]) -> T:
    """Returns the result of a part of the work in which ranks do not communicate, once all have completed it.

    Collective, except within another such part. In a long step a signal to any rank ends it on all of them.

    Args:
        work: the part; its results may differ.

    Raises:
        Interrupted: on all ranks, if a signal has asked for a stop.
        RankError: if the part raised an error on another rank alone; its own error is raised where there is one.
    """
    if _state.apart or not _several_ranks():
        return work()
    depth, found, failure = len(_state.steps), None, None
    try:
        try:
            _state.apart = True
            if depth and _state.steps[-1]:
                _state.steps.append(False)
                poll()
            found = work()
        finally:
            del _state.steps[depth:]
    except Interrupted:
        del _state.steps[depth:]  # a signal may have come just before the line above
    except Exception as error:
        failure = error
    finally:
        _state.apart = False
    _meet(failure)
    return cast(T, found)


def attempt(work: Callable[[], T]) -> Callable[[], T]:
    """Does a collective part of the work, and returns a function that returns its result, or raises its error.

    Called in ``separately`` later, it makes an error on one rank an error on all.

    Raises:
        RuntimeError: if another rank has ended.
    """
    try:
        found = work()
    except Exception as error:
        from gan_lab.common.distributed import raise_lost_rank

        raise_lost_rank(error)
        failure = error
    else:
        return lambda: found

    def fail() -> T:
        raise failure

    return fail


def _meet(failure: Exception | None) -> None:
    """Waits for all ranks, and ends the work of all if one has got a signal or failed. Collective."""
    import torch  # here alone: a progress bar needs no torch
    import torch.distributed as dist

    from gan_lab.common.distributed import all_gather

    device = f"cuda:{torch.cuda.current_device()}" if dist.get_backend() == "nccl" else "cpu"
    asked = (_state.received or 0) if _state.steps and _state.steps[-1] else 0
    shared = torch.tensor([asked, failure is not None], device=device)
    waiting, pause = cast(Any, dist.all_reduce(shared, dist.ReduceOp.MAX, async_op=True)), 0.0002
    while not waiting.is_completed():  # in Python, so that a signal is handled meanwhile
        time.sleep(pause)
        pause = min(2 * pause, 0.05)
    waiting.wait()
    number, failed = shared.tolist()
    if number:
        raise Interrupted(number)
    if failed:
        reasons = all_gather(failure and reason(failure))
        raise failure or RankError(next(each for each in reasons if each))


@contextmanager
def _shared_news() -> Iterator[None]:
    """Lets ranks know within a second of a signal that one of them gets in the block. Collective at its beginning."""
    import torch.distributed as dist

    from gan_lab.common.distributed import broadcast

    _state.num_together = broadcast(_state.num_together) + 1
    store, done = dist.distributed_c10d._get_default_store(), threading.Event()
    thread = threading.Thread(target=_watch, args=(store, f"gan_lab/stop/{_state.num_together}", done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(NEWS_SECONDS)


def _watch(store: Any, key: str, done: threading.Event) -> None:
    """Puts this rank's signal into the store that all ranks share, or sends this process the one it finds there."""
    with suppress(RuntimeError):  # the rank that keeps the store has ended
        while not done.wait(NEWS_SECONDS):
            if _state.received is not None:
                store.set(key, str(_state.received))
                return
            if store.check([key]):
                _relay(int(store.get(key)))
                return


def _relay(number: int) -> None:
    if callable(signal.getsignal(number)) and hasattr(signal, "pthread_kill"):
        _state.relayed = number
        signal.pthread_kill(cast(int, threading.main_thread().ident), number)
    else:
        _state.received = number


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
