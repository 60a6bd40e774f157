"""Hyperparameters of optimizers after a resume."""

import pytest
import torch
from torch import nn

from gan_lab.training.schedules import Linear, Scheduled


def make(**options):
    """An optimizer as a run makes it, and what remembers it."""
    scheduled = Scheduled({"generator.lr": Linear(0)} if options.pop("decay", False) else {})
    weight = nn.Parameter(torch.ones(1))
    return scheduled, scheduled.remember("generator", torch.optim.Adam([weight], **{"lr": 1.0, **options}))


class Wrapped:
    """Lightning's wrapper of an optimizer."""

    def __init__(self, optimizer):
        self.optimizer = optimizer


def resumed(first, then, progress=0.5):
    """The group of a resumed run's optimizer: its state is the first run's at some progress."""
    scheduled, optimizer = make(**first)
    scheduled.apply(nn.Module(), {"generator": Wrapped(optimizer)}, progress)
    state, kept = optimizer.state_dict(), scheduled.state_dict()
    scheduled, optimizer = make(**then)
    optimizer.load_state_dict(state)
    scheduled.load_state_dict(kept)
    scheduled.resume({"generator": Wrapped(optimizer)})
    restored = dict(optimizer.param_groups[0])
    scheduled.apply(nn.Module(), {"generator": Wrapped(optimizer)}, progress)
    return restored, optimizer.param_groups[0]


def test_an_unchanged_run_goes_on_where_its_schedule_was():
    restored, group = resumed({"decay": True}, {"decay": True})
    assert restored["lr"] == 0.5 and group["lr"] == 0.5 and group["initial_lr"] == 1.0


@pytest.mark.parametrize(
    ("first", "then", "rate"),
    [
        ({}, {"lr": 0.1}, 0.1),
        ({"decay": True}, {"lr": 0.1, "decay": True}, 0.05),
        ({"decay": True}, {}, 1.0),
        ({"decay": True}, {"lr": 0.1}, 0.1),
        ({}, {"decay": True}, 0.5),
    ],
)
def test_the_present_rate_and_schedule_count(first, then, rate):
    _, group = resumed(first, then)
    assert group["lr"] == pytest.approx(rate)


def test_other_hyperparameters_count_too():
    _, group = resumed({}, {"betas": [0.1, 0.2], "eps": 1e-3, "weight_decay": 0.5})
    assert [*group["betas"]] == [0.1, 0.2] and group["eps"] == 1e-3 and group["weight_decay"] == 0.5


def test_a_rate_that_a_callback_of_the_users_changed_stays():
    scheduled, optimizer = make()
    optimizer.param_groups[0]["lr"] = 0.25
    state = optimizer.state_dict()
    scheduled, optimizer = make()
    optimizer.load_state_dict(state)
    scheduled.resume({"generator": Wrapped(optimizer)})
    assert optimizer.param_groups[0]["lr"] == 0.25
