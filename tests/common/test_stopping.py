"""Signals: long steps end at once, the rest at its own time, and commands end with the signal's status."""

import os
import signal
import subprocess
import sys

import pytest

from gan_lab.common import stopping
from gan_lab.common.progress import track
from gan_lab.common.stopping import Interrupted, exits_on_signals, in_rounds, interruptible


@pytest.fixture(autouse=True)
def nothing_asked():
    yield
    stopping.clear()


def test_a_long_step_is_interrupted_at_once_and_nothing_else_is():
    stopping.request(15)
    assert stopping.received() == 15
    stopping.clear()
    passed = []
    with pytest.raises(Interrupted) as raised, interruptible():
        stopping.request(1)
        passed.append(1)
    assert raised.value.number == 1 and not passed
    stopping.poll()  # outside of the step again


def test_a_step_after_the_request_does_not_begin():
    stopping.request(15)
    passed = []
    with pytest.raises(Interrupted), interruptible():
        passed.append(1)
    assert not passed


@pytest.mark.parametrize("loop", [lambda items: track(items, "items"), in_rounds])
def test_loops_of_a_long_step_end_where_a_handler_could_not_raise(loop):
    def taken():
        with interruptible():
            for item in loop(range(9)):
                yield item
                stopping._state.received = 15  # as a handler does whose exception is lost in a destructor

    found = []
    with pytest.raises(Interrupted):
        found.extend(taken())
    assert len(found) <= 1


def test_ranks_meet_equally_often_whatever_their_share(monkeypatch):
    met = []
    monkeypatch.setattr(stopping, "agree", lambda: met.append(1))
    for share, size, rounds in ((range(3), 1, 4), (range(4), 1, 4), (range(8), 2, 0)):
        met.clear()
        assert list(in_rounds(share, size, rounds)) == list(share)
        assert len(met) == 4


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_command_ends_with_the_status_of_its_signal(number, status):
    with pytest.raises(SystemExit) as ended, exits_on_signals():
        os.kill(os.getpid(), number)
    assert ended.value.code == status
    assert signal.getsignal(number) == signal.SIG_DFL


def test_a_signal_that_is_ignored_stays_so(monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with exits_on_signals():
            os.kill(os.getpid(), signal.SIGHUP)
        assert stopping.is_ignored(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_output_to_a_closed_terminal_is_discarded(monkeypatch):
    master, slave = os.openpty()
    with os.fdopen(slave, "w", buffering=1) as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        os.close(master)
        with pytest.raises(OSError, match="Input/output"):
            os.write(terminal.fileno(), b"lost")
        stopping.silence_closed_terminal()
        print("discarded", file=sys.stderr)


@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_command_that_is_still_importing_exits_with_the_status_of_the_signal(name, status):
    as_command = "import sys; sys.argv, sys.orig_argv = ['-m'], ['python', '-m', 'gan_lab.train']; "
    library = f"import os, signal, gan_lab; os.kill(os.getpid(), signal.{name})"
    assert subprocess.run([sys.executable, "-c", as_command + library]).returncode == status
    assert subprocess.run([sys.executable, "-c", library]).returncode == -getattr(signal, name)
