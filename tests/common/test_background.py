import threading
from functools import partial

import pytest

from gan_lab.common import background
from gan_lab.common.background import Background, read_ahead

SECONDS = 20
"""More than enough for what must happen."""


def test_results_come_in_order_whichever_is_done_first():
    second_done, found = threading.Event(), []

    def first():
        assert second_done.wait(SECONDS)
        return 1

    def second():
        second_done.set()
        return 2

    with Background(threads=2) as work:
        work.add(first, found.append)
        work.add(second, found.append)
    assert found == [1, 2]


@pytest.mark.parametrize(("waiting", "size"), [(3, 0), (None, background.MAX_BYTES // 3)])
def test_few_wait_at_once_by_number_and_by_memory(waiting, size):
    held, most = set(), []

    def begin(number):
        held.add(number)
        most.append(len(held))

    with Background(threads=1, waiting=waiting) as work:
        for number in range(12):
            work.add(partial(int, number), held.discard, size)
            begin(number)
    assert max(most) == 3 and not held


def test_what_is_larger_than_the_limit_is_done_alone():
    found = []
    with Background(threads=2) as work:
        for number in range(3):
            work.add(partial(int, number), found.append, 2 * background.MAX_BYTES)
            assert len(work.pending) == 1
    assert found == [0, 1, 2]


def test_an_error_is_raised_where_the_caller_waits_and_the_rest_is_dropped():
    begun, go_on, done = threading.Event(), threading.Event(), []

    def slow():
        begun.set()
        assert go_on.wait(SECONDS)
        done.append("begun")

    with pytest.raises(ZeroDivisionError), Background(threads=1) as work:
        work.add(lambda: 1 / 0)
        work.add(slow)
        work.add(lambda: done.append("dropped"))
        assert begun.wait(SECONDS)
        threading.Timer(0.05, go_on.set).start()
        work.wait()
    assert done in (["begun"], ["begun", "dropped"])  # it may begin before the error is seen


def test_an_exception_of_the_caller_completes_what_has_begun():
    begun, done = threading.Event(), []

    def slow():
        begun.set()
        threading.Event().wait(0.05)
        done.append("begun")

    with pytest.raises(KeyboardInterrupt), Background(threads=1) as work:
        work.add(slow)
        for _ in range(3):
            work.add(lambda: done.append("dropped"))
        assert begun.wait(SECONDS)
        raise KeyboardInterrupt
    assert done == ["begun"]


def test_items_are_read_while_the_caller_works():
    read = [threading.Event() for _ in range(5)]

    def at(number):
        read[number].set()
        return 10 * number

    found = []
    for number, value in read_ahead(at, range(5), lambda _: 1, threads=1):
        assert number == 4 or read[number + 1].wait(SECONDS)
        found.append(value)
    assert found == [0, 10, 20, 30, 40]


@pytest.mark.parametrize(("size", "most"), [(background.MAX_BYTES, 1), (background.MAX_BYTES // 2, 2), (1, 4)])
def test_large_images_are_read_one_at_a_time(size, most):
    begun, ahead = [], []
    for number, _ in read_ahead(lambda n: begun.append(n) or n, range(20), lambda _: size, threads=2):
        threading.Event().wait(0.01)
        ahead.append(len(begun) - number - 1)
    assert max(ahead) == most and begun == [*range(20)]


def test_reading_ends_when_the_caller_stops():
    begun = []
    for number, _ in read_ahead(lambda n: begun.append(n) or n, range(100), lambda _: 1, threads=1):
        if number == 3:
            break
    assert len(begun) < 10


def test_errors_of_reading_are_raised_in_their_turn():
    found = []
    with pytest.raises(ZeroDivisionError):
        for number, _ in read_ahead(lambda n: 1 / (n - 2), range(5), lambda _: 1, threads=2):
            found.append(number)
    assert found == [0, 1]
