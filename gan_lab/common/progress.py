"""One live display on the terminal, shared by whoever has progress to show; nothing where there is no terminal."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Column

T = TypeVar("T")

console = Console(stderr=True)
_shown: list[Progress] = []


@contextmanager
def display() -> Iterator[Progress]:
    """The display that is live, or a new one that lives as long as the context: rich allows one at a time."""
    if _shown:
        yield _shown[-1]
        return
    text = TextColumn("{task.fields[text]}", table_column=Column(no_wrap=True, overflow="ellipsis"))
    columns = [TextColumn("{task.description}"), BarColumn(20), TaskProgressColumn(), TimeRemainingColumn(), text]
    with Progress(*columns, console=console) as progress:
        _shown.append(progress)
        try:
            yield progress
        finally:
            _shown.pop()


def track(
    iterable: Iterable[T],
    description: str,
    total: float | None = None,
    show: bool = True,
    size: Callable[[T], int] = lambda _: 1,
) -> Iterator[T]:
    """Yields from ``iterable``, with a bar below any that is live. Without a terminal, or where ``show`` is false
    (ranks other than zero), it yields alone.

    Args:
        total: of the sizes, for the time left.
        size: by how much an item brings it nearer.
    """
    if not (show and console.is_terminal):
        yield from iterable
        return
    with display() as progress:
        task = progress.add_task(description, total=total, text="")
        try:
            for item in iterable:
                yield item
                progress.advance(task, size(item))
        finally:
            progress.remove_task(task)
