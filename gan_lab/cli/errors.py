"""Errors of the user's making, in one sentence."""

import functools
import os
import select
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn


def report_user_errors(work: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps ``work`` so that a ``UserError``, or a disk that is full or read-only, prints one sentence and exits with
    status 2, and Ctrl-C exits with 130.
    """

    @functools.wraps(work)
    def reported(*arguments: Any) -> Any:
        from gan_lab.common.errors import DISK_ERRORS, UserError, disk_sentence

        try:
            return work(*arguments)
        except UserError as error:
            _refuse(str(error))
        except OSError as error:
            if error.errno not in DISK_ERRORS:
                raise
            _refuse(disk_sentence(error))
        except KeyboardInterrupt:
            sys.exit(130)

    return reported


@contextmanager
def quiet_without_reader() -> Iterator[None]:
    """Exits with status 141, as programs do that SIGPIPE ends, if the reader of the standard output is gone:
    ``… --help | head``.
    """
    try:
        yield
        if sys.stdout is not None:  # as it is where a shell closed it
            sys.stdout.flush()
    except BrokenPipeError:
        if not _reader_left():
            raise
        _leave_quietly()


def _leave_quietly() -> NoReturn:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more when it ends
    sys.exit(141)


def _reader_left() -> bool:
    """Says whether a broken pipe is that of the standard output: of others, the traceback is of use."""
    with suppress(OSError, ValueError, AttributeError):  # there is no output, or this system cannot say
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return any(event & select.POLLERR for _, event in poll.poll(0))
    return False


def _refuse(sentence: str) -> NoReturn:
    print(f"gan_lab: {sentence}", file=sys.stderr)
    sys.exit(2)


def report_all_errors(work: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps ``work`` as ``report_user_errors`` does, and so that any other error prints its traceback and exits with
    status 1: the authors of a method need it, and not the frames of what called it.
    """
    reported = report_user_errors(work)

    @functools.wraps(work)
    def all_reported(*arguments: Any) -> Any:
        try:
            return reported(*arguments)
        except Exception as error:
            if isinstance(error, BrokenPipeError) and _reader_left():
                _leave_quietly()
            traceback.print_exception(error.with_traceback(_below(error)))
            sys.exit(1)

    return all_reported


def _below(error: BaseException) -> Any:
    """The traceback below the frames of this module."""
    entry = error.__traceback__
    while entry is not None and entry.tb_next is not None and entry.tb_frame.f_code.co_filename == __file__:
        entry = entry.tb_next
    return entry
