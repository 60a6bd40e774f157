"""Progress bars in one live display on the terminal; nothing is shown without a terminal."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Column

from gan_lab.common.stopping import poll

T = TypeVar("T")

console = Console(stderr=True)
_displays: list[Progress] = []


@contextmanager
def display() -> Iterator[Progress]:
    """Yields the live display, or a new one for the time of the context: rich allows one display at a time."""
    if _displays:
        yield _displays[-1]
        return
    text = TextColumn("{task.fields[text]}", table_column=Column(no_wrap=True, overflow="ellipsis"))
    columns = [TextColumn("{task.description}"), BarColumn(20), TaskProgressColumn(), TimeRemainingColumn(), text]
    with Progress(*columns, console=console) as progress:
        _displays.append(progress)
        try:
            yield progress
        finally:
            _displays.pop()


def track(
    iterable: Iterable[T],
    description: str,
    total: float | None = None,
    show: bool = True,
    size: Callable[[T], int] = lambda _: 1,
) -> Iterator[T]:
    """Yields the items of ``iterable`` and shows a progress bar, below those that are live.

    Args:
        iterable: the items.
        description: text to the left of the bar.
        total: sum of the items' sizes, for the estimate of the time left.
        show: show the bar; false for ranks other than 0.
        size: size of an item, its share of ``total``.
    """
    if not (show and console.is_terminal):
        for item in iterable:
            yield item
            poll()
        return
    with display() as progress:
        task = progress.add_task(description, total=total, text="")
        try:
            for item in iterable:
                yield item
                poll()
                progress.advance(task, size(item))
        finally:
            progress.remove_task(task)


@contextmanager
def bar(description: str, show: bool = True) -> Iterator[Callable[[float], None]]:
    """Yields a function that sets a progress bar, below those that are live, to a share of the work.

    Args:
        description: text to the left of the bar.
        show: show the bar; false for ranks other than 0.
    """
    if not (show and console.is_terminal):
        yield lambda _: poll()
        return
    with display() as progress:
        task = progress.add_task(description, total=1.0, text="")

        def move(share: float) -> None:
            poll()
            progress.update(task, completed=share)

        try:
            yield move
        finally:
            progress.remove_task(task)
