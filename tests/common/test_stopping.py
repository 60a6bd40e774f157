"""Signals: long steps end at once, the rest at its own time, and commands end with the signal's status."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

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


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory):
    """What two processes tell, and the times at which the second one got a signal in each of three long steps."""
    folder = tmp_path_factory.mktemp("ranks")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    worker = Path(__file__).parents[1] / "two_ranks.py"
    command = [sys.executable, str(worker), str(folder)]
    both = [subprocess.Popen([*command, str(rank), str(port)], stdout=subprocess.PIPE, text=True) for rank in range(2)]
    sent = []
    for number in range(3):
        while len(list(folder.glob(f"{number}-*"))) < 2 and all(each.poll() is None for each in both):
            time.sleep(0.05)
        time.sleep(0.7)
        sent.append(time.time())
        both[1].send_signal(signal.SIGTERM)
    told = [json.loads(each.communicate(timeout=60)[0]) for each in both]
    return told, sent


def test_a_signal_to_one_rank_interrupts_a_long_computation_of_any_within_seconds(two_ranks):
    told, sent = two_ranks
    for each in told:
        assert all(0 < end - begin < 5 for begin, end in zip(sent, each["ends"], strict=True))


def test_a_metric_that_fails_on_one_rank_is_missing_on_both(two_ranks):
    (first, second), _ = two_ranks
    assert first["failing"] == second["failing"] | {"failed": {"failing": "ValueError: too few"}}
    assert second["failing"] == {"found": {"counted": 8.0}, "failed": {"failing": "too few"}}
    assert (first["raised"], second["raised"]) == (
        "ZeroDivisionError('division by zero')",
        "RankError('ZeroDivisionError: division by zero')",
    )


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
