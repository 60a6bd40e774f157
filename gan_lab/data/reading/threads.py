"""Work spread over the processors in threads."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_threads(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """``map`` in as many threads as there are processors, ahead of its reader by no more than it takes to be busy."""
    workers, ahead = os.cpu_count() or 1, deque[Future[R]]()
    with ThreadPoolExecutor(workers) as pool:
        for item in items:
            ahead.append(pool.submit(function, item))
            if len(ahead) > 4 * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
