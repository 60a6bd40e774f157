import csv
import warnings
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gan_lab.common.errors import UserError
from gan_lab.common.images import to_uint8
from gan_lab.training.callbacks.health import Health, NonFiniteError
from gan_lab.training.ema import EMA
from gan_lab.training.loggers import CSV

NAN, INF = float("nan"), float("inf")


def trainer(precision="32-true"):
    return SimpleNamespace(precision=precision, world_size=1, is_global_zero=True, loggers=[])


def step(health, module, the_trainer=None, batch=None, **phases):
    module.iteration += 1
    module.images_seen += 64
    outputs = {name: {k: torch.tensor(v) for k, v in terms.items()} for name, terms in phases.items()}
    health.on_train_batch_end(the_trainer or trainer(), module, outputs, batch or {}, 0)


def a_module(device="cpu", **more):
    return SimpleNamespace(device=torch.device(device), iteration=0, images_seen=0, **more)


GOOD = {"adversarial": 0.7, "grad_norm": 1.0}


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_a_broken_loss_names_phase_term_iteration_and_remedy(bad):
    health, module = Health(), a_module()
    step(health, module, discriminator=GOOD, generator=GOOD)
    with pytest.raises(NonFiniteError, match=r"discriminator's loss 'r1' .* iteration 2 \(128 images") as caught:
        step(health, module, generator=GOOD, discriminator={"adversarial": 0.7, "r1": bad, "grad_norm": NAN})
    assert isinstance(caught.value, UserError)
    assert (
        "a lower model.d_optimizer.lr and model.g_optimizer.lr, model.engine.clip=1 or a smaller weight of r1."
        in str(caught.value)
    )


def test_remedies_fit_the_run():
    with pytest.raises(NonFiniteError, match=r"generator's gradient .*model\.engine\.clip=1 or precision=32-true\.$"):
        step(Health(), a_module(), trainer("bf16-mixed"), generator={"adversarial": 1.0, "grad_norm": INF})
    health, module = Health(), a_module(clip=5.0)
    health.on_train_start(trainer(), module)
    with pytest.raises(
        NonFiniteError, match=r"vae's loss 'kl' .*: try a lower learning rate of the vae or a smaller weight"
    ):
        step(health, module, vae={"kl": NAN})


def test_loss_scaling_makes_infinite_gradients_routine():
    health, module, fp16 = Health(), a_module(), trainer("16-mixed")
    step(health, module, fp16, generator={"adversarial": 1.0, "grad_norm": INF})
    with pytest.raises(NonFiniteError, match="loss 'adversarial'"):
        step(health, module, fp16, generator={"adversarial": NAN, "grad_norm": INF})


def test_a_device_is_read_at_intervals_and_the_first_break_is_reported():
    """The module claims to be on CUDA; its tensors may be anywhere."""
    health, module = Health(check_every=5), a_module("cuda")
    for i in range(1, 5):
        terms = {"adversarial": NAN if i >= 3 else 0.7, "grad_norm": NAN if i >= 3 else 1.0}
        step(health, module, **({"discriminator": terms, "generator": terms} if i != 2 else {"discriminator": terms}))
    with pytest.raises(NonFiniteError, match=r"discriminator's loss 'adversarial' .* iteration 3 \(192 images"):
        step(health, module, discriminator=GOOD)


@pytest.mark.parametrize("moment", ["save", "end"])
def test_nothing_is_saved_and_no_run_succeeds_after_a_break(moment):
    health, module = Health(), a_module("cuda")
    step(health, module, discriminator={"adversarial": NAN})
    with pytest.raises(NonFiniteError, match="iteration 1 "):
        if moment == "save":
            health.on_save_checkpoint(trainer(), module, {})
        else:
            health.on_train_end(trainer(), module)


def test_broken_weights_are_not_saved():
    health, module = Health(), a_module()
    state = {"generator.weight": torch.ones(3), "steps": torch.tensor(3), "note": "text"}
    health.on_save_checkpoint(trainer(), module, {"state_dict": state})
    state["generator.bias"] = torch.tensor([1.0, NAN])
    with pytest.raises(NonFiniteError, match=r"generator\.bias is not finite"):
        health.on_save_checkpoint(trainer(), module, {"state_dict": state})


def test_another_process_stops_too():
    asked = []

    def decide(decision, all):
        asked.append(decision)
        return True

    ranks = SimpleNamespace(precision="32-true", world_size=2, strategy=SimpleNamespace(reduce_boolean_decision=decide))
    with pytest.raises(NonFiniteError, match="Another process"):
        step(Health(), a_module(), ranks, generator=GOOD)
    assert asked == [False]


def play(health, turns, accuracy=1.0, growth=0.01, **more):
    module = a_module()
    for i in range(turns):
        logs = {"adversarial": 0.1, "accuracy": accuracy, "real": 2 + growth * i, "fake": -2 - growth * i, **more}
        step(health, module, discriminator=logs)


def test_a_discriminator_that_has_won_gives_one_warning():
    with pytest.warns(UserWarning, match=r"discriminator has won.* 10 steps.*100\.0%.*loss=r1") as caught:
        play(Health(every=0, window=10), 40)
    assert len(caught) == 1


def test_both_of_two_discriminators_must_have_won():
    def play_both(lead_of_b):
        for i in range(20):
            of = {"a": i, "b": lead_of_b * i}
            logs = {
                f"{name}_{side}": sign * (2 + of[side]) for side in of for name, sign in (("real", 1), ("fake", -1))
            }
            step(health, module, discriminator={"adversarial_a": 0.1, "accuracy_a": 1.0, "accuracy_b": 1.0, **logs})

    health, module = Health(every=0, window=10), a_module()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        play_both(-2)
    with pytest.warns(UserWarning, match="discriminator has won"):
        play_both(1)


@pytest.mark.parametrize("game", [{"accuracy": 0.97}, {"growth": -0.01}, {"turns": 9}])
def test_a_discriminator_that_errs_or_is_caught_up_has_not_won(game, recwarn):
    play(Health(every=0, window=10), **{"turns": 40, **game})
    assert not recwarn.list


def check(health, spread, checks=4, real_type=torch.float32):
    samples = spread * torch.randn(16, 3, 8, 8)
    module = a_module(sample=lambda n, seed=0, start=0, label=None, truncation=1.0: samples)
    real = torch.randn(32, 3, 8, 8).clamp(-1, 1)
    batch = {"image": real if real_type == torch.float32 else to_uint8(real)}
    for _ in range(checks):
        step(health, module, batch=batch, generator=GOOD)


@pytest.mark.parametrize("real_type", [torch.float32, torch.uint8])
def test_collapsed_samples_give_one_warning(real_type):
    with pytest.warns(UserWarning, match="collapsed to one image") as caught:
        check(Health(every=64), spread=0.02, real_type=real_type)
    assert len(caught) == 1


def test_one_check_is_no_collapse_and_neither_are_narrow_samples(recwarn):
    check(Health(every=64), spread=0.02, checks=1)
    check(Health(every=64), spread=0.2)
    check(Health(every=0), spread=0.02)
    assert not recwarn.list


def test_state_survives_a_resume(recwarn):
    first, second = Health(every=64, window=10), Health(every=64, window=10)
    play(first, 20)
    second.load_state_dict(first.state_dict())
    recwarn.clear()
    play(second, 20)
    assert not recwarn.list and second.every.last == first.every.last


def test_spread_and_ema_distance_are_logged_at_checks_and_at_the_end(tmp_path):
    """An EMA of half the live weights is at half of their norm."""
    live = nn.Linear(3, 2)
    average = EMA({"generator": live}, half_life=1)
    for parameter in average.parameters():
        parameter.mul_(0.5)
    samples = torch.randn(16, 3, 8, 8)
    module = a_module(
        sample=lambda n, seed=0, start=0, label=None, truncation=1.0: samples, ema=average, generator=live
    )
    the_trainer, health = trainer(), Health(every=64)
    the_trainer.loggers = [CSV(tmp_path)]
    for _ in range(2):
        step(health, module, the_trainer, {"image": samples.clone()}, generator=GOOD)
    health.on_train_end(the_trainer, module)
    module.images_seen += 1
    health.on_train_end(the_trainer, module)
    the_trainer.loggers[0].save()
    with (tmp_path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["images"] for row in rows] == ["64", "128", "129"]
    assert [float(row["health/ema_distance_generator"]) for row in rows] == pytest.approx([0.5] * 3)
    assert [row["health/spread_samples"] for row in rows] == ["1", "1", ""]
