"""Work in threads beside the caller's: images are read and written while the network computes others."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")
R = TypeVar("R")

MOST_THREADS = 8
"""More would wait for the network in any case, and each holds an image."""
MAX_BYTES = 1 << 28
"""Bytes that may wait to be written, and that may be read ahead; a single image may have more."""


def num_threads() -> int:
    """Returns the number of processors that this process may use, at most ``MOST_THREADS``."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, MOST_THREADS)


def _nothing(_: object) -> None:
    """Does nothing with a result."""


class Background:
    """Runs functions in threads in the order in which they are added; few wait at a time, so that memory stays small.

    At the end of the ``with`` block everything is done. After an exception in the block, what has begun is completed,
    and what still waits is dropped.

    Example: ``with Background() as background: background.add(partial(save_png, path, image))``

    Args:
        threads: number of threads; None takes ``num_threads()``.
        waiting: functions that may run or wait at once; None takes four for each thread.
    """

    def __init__(self, threads: int | None = None, waiting: int | None = None) -> None:
        from concurrent.futures import ThreadPoolExecutor  # commands that only print help need none

        threads = threads or num_threads()
        self.pool, self.most = ThreadPoolExecutor(threads), waiting or 4 * threads
        self.pending: deque[tuple[Future[Any], Callable[[Any], object], int]] = deque()

    def add(self, work: Callable[[], R], then: Callable[[R], object] = _nothing, size: int = 0) -> None:
        """Adds a function; waits first if too many are pending, or hold too much memory.

        Args:
            work: the function, called in a thread.
            then: called with its result, in the caller's thread and in the order of the functions.
            size: bytes that it holds until it is done.

        Raises:
            Exception: what an earlier function raised.
        """
        while len(self.pending) >= self.most or (self.pending and self._held() + size > MAX_BYTES):
            self._finish_first()
        self.pending.append((self.pool.submit(work), then, size))

    def wait(self) -> None:
        """Waits until everything is done.

        Raises:
            Exception: the first that a function raised.
        """
        while self.pending:
            self._finish_first()

    def _held(self) -> int:
        return sum(size for _, _, size in self.pending)

    def _finish_first(self) -> None:
        future, then, _ = self.pending.popleft()
        then(future.result())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: TracebackType | None) -> None:
        try:
            if kind is None:
                self.wait()
        finally:
            self.pool.shutdown(wait=True, cancel_futures=True)


def read_ahead(
    read: Callable[[T], R], items: Iterable[T], size: Callable[[R], int], threads: int | None = None
) -> Iterator[tuple[T, R]]:
    """Yields items, each with what was read of it in threads while the caller worked on those before.

    Two for each thread are read ahead, or as many of the largest so far as ``MAX_BYTES`` hold, but at least one.

    Args:
        read: reads an item, in a thread.
        items: the items, in order.
        size: the bytes of what was read.
        threads: number of threads; None takes ``num_threads()``.
    """
    from concurrent.futures import ThreadPoolExecutor  # commands that only print help need none

    threads = threads or num_threads()
    rest, pending, largest = iter(items), deque[tuple[T, "Future[R]"]](), MAX_BYTES
    known = 0
    pool = ThreadPoolExecutor(threads)

    def fill() -> None:
        while len(pending) < max(1, min(2 * threads, MAX_BYTES // max(largest, 1))):
            for item in rest:
                pending.append((item, pool.submit(read, item)))
                break
            else:
                return

    try:
        fill()
        while pending:
            item, future = pending.popleft()
            found = future.result()
            known = largest = max(known, size(found))
            fill()
            yield item, found
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
