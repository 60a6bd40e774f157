import os

from gan_lab.data.reading.threads import map_in_threads


def test_results_come_in_order_and_do_not_pile_up():
    taken = []

    def items():
        for number in range(1000):
            taken.append(number)
            yield number

    results = map_in_threads(lambda number: number * number, items())
    assert [next(results) for _ in range(10)] == [number * number for number in range(10)]
    assert len(taken) < 20 + 4 * (os.cpu_count() or 1)
    assert list(results)[-1] == 999 * 999
