import pytest

from gan_lab.common.errors import UserError
from gan_lab.training.budget import Budget
from gan_lab.training.schedules import Cosine, Linear, Steps


def test_progress_is_that_of_the_limit_reached_first():
    assert Budget(images=1000).progress(250, 100, 99) == 0.25
    assert Budget(epochs=2).progress(250, 100, 0) == 1.25
    assert Budget(minutes=10).progress(0, 1, 5) == 0.5
    assert Budget(images=1000, epochs=10, minutes=10).progress(250, 100, 5) == 0.5


@pytest.mark.parametrize("limits", [{}, {"images": 0}, {"epochs": -1}])
def test_a_run_needs_a_budget(limits):
    with pytest.raises(UserError, match=r"budget\.epochs"):
        Budget(**limits)


def test_schedules():
    assert [Steps(0.5, 4)(progress) for progress in (0, 0.24, 0.25, 0.99)] == [1, 1, 0.5, 0.125]
    assert [Linear(0.5)(p) for p in (0, 0.5, 0.75, 1.0, 1.1)] == [1, 1, 0.5, 0, 0]
    assert [round(Cosine()(p), 9) for p in (0, 0.5, 1.0)] == [1, 0.5, 0]
    rise = Cosine(start=0.0, end=2.0, until=0.1)
    assert [round(rise(p), 9) for p in (0, 0.05, 0.1, 1.0)] == [0, 1, 2, 2]
    assert Cosine(end=0.25, until=0.0)(0) == 0.25
