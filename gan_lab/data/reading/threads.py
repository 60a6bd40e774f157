"""Work distributed over the processors in threads."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def map_in_threads(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Maps a function over items in as many threads as there are processors, and yields results in order.

    Runs ahead of the consumer only as far as keeps the threads busy, so that results do not pile up.
    """
    workers, ahead = os.cpu_count() or 1, deque[Future[R]]()
    with ThreadPoolExecutor(workers) as pool:
        for item in items:
            ahead.append(pool.submit(function, item))
            if len(ahead) > 4 * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
