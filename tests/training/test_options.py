"""Options of the engine."""

from torch import nn

from gan_lab.common.types import Losses, Phase
from gan_lab.training.options import EngineOptions
from gan_lab.training.schedules import Constant, Cosine


def test_schedules_of_single_quantities_take_precedence_over_that_of_all_learning_rates():
    every, one = Cosine(), Constant()
    options = EngineOptions(lr_schedule=every, schedules={"generator.lr": one, "beta": one, "ema.half_life": None})
    assert options.schedules_of(["discriminator", "generator"]) == {
        "discriminator.lr": every,
        "generator.lr": one,
        "beta": one,
    }
    assert EngineOptions(lr_schedule=every, schedules={"generator.lr": None}).schedules_of(["generator"]) == {}
    assert EngineOptions().schedules_of(["generator"]) == {}


def test_an_average_needs_networks_and_a_half_life():
    networks = {"generator": nn.Linear(1, 1)}
    average = EngineOptions(ema_half_life=7, ema_ramp=None).average(networks)
    assert (average.half_life, average.ramp) == (7, None) and list(average.networks) == ["generator"]
    assert EngineOptions(ema_half_life=None).average(networks) is None and EngineOptions().average({}) is None


def test_a_renamed_phase_keeps_the_key_of_its_random_numbers():
    losses = lambda *_: Losses({})  # noqa: E731
    assert Phase("discriminator", losses).key == "discriminator"
    assert Phase("discriminator", losses, stream="critic").key == "critic"
