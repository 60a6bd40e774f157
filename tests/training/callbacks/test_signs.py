"""Health of translators, upsampling and stuck players: models made to fail, and healthy ones that say nothing."""

import re
import warnings
from types import SimpleNamespace

import pytest
import torch
from domains import Carrier, Side, TwoSides
from patterns import pattern, pictures
from torch import nn

from gan_lab.common.domains import Domain
from gan_lab.common.images import to_uint8
from gan_lab.train import train
from gan_lab.training.callbacks.discriminators import Window
from gan_lab.training.callbacks.health import Health
from gan_lab.training.callbacks.signs import Shown, signs

STEP = {"generator": {"adversarial": torch.tensor(0.7)}}


class Logger:
    def __init__(self):
        self.values = {}

    def log_metrics(self, metrics, step):
        self.values.update(metrics)


def a_trainer(data=None):
    return SimpleNamespace(
        precision="32-true", world_size=1, is_global_zero=True, loggers=[Logger()], datamodule=data
    )  # fmt: skip


def watched(a2b, a, b, paired=False, domains=None, checks=3, **facts):
    """Checks a translator of test images; returns the warnings and the logged values."""
    model = Carrier(a2b, lambda x: x, **({"domains": domains} if domains else {}))
    vars(model).update(facts, images_seen=0, iteration=0)
    model.directions = ("a2b",)
    data = TwoSides(Side(test=a), Side(test=b), paired, *([domains] if domains else []))
    health, trainer = Health(every=16), a_trainer(data)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(checks):
            model.images_seen += 16
            health.on_train_batch_end(trainer, model, STEP, {"a": None}, 0)
    return [str(each.message) for each in caught], trainer.loggers[0].values


A, B = to_uint8(pictures() / 2 + 0.3), to_uint8(pictures(seed=1) / 2 + 0.2)
BOARD = pattern(32, True, True)
LATTICE = BOARD.repeat_interleave(2, -1).repeat_interleave(2, -2)[..., :32, :32]
"""The pattern of the layer before the last."""


def grey(images):
    return images.mean(1, keepdim=True).expand(-1, 3, -1, -1)


@pytest.mark.parametrize(
    "healthy",
    [
        lambda x: x,
        lambda x: 0.7 * x - 0.1,
        lambda x: x.flip(1),  # other colours
        lambda x: (x + 0.3 * torch.sin(torch.arange(32) / 2)).clamp(-1, 1),  # striped
        lambda x: x + 0.002 * BOARD,  # too faint to be seen
        lambda x: x + 0.01 * LATTICE,
        lambda x: x + 0.1 * torch.randn_like(x),
    ],
)
def test_healthy_translations_say_nothing(healthy):
    said, values = watched(healthy, A, B)
    assert said == []
    names = ("spread", "checkerboard", "likeness", "colour", "structure")
    assert {f"health/{name}_translations_to_b" for name in names} <= values.keys()


@pytest.mark.parametrize(
    ("broken", "said", "facts"),
    [
        (lambda x: -x, "negatives of their inputs .*seed=…\\.$", {}),
        (lambda x: -x, "negatives .*seed=… or a larger model.identity", {"cycle": 10.0, "identity": 0.5}),
        (
            lambda x: x.mean(1, keepdim=True).expand(-1, 3, -1, -1),
            "turned grey: .* of the colour .*model.adversarial",
            {},
        ),
        (lambda x: x / 30 + 0.3 * torch.randn(16, 3, 1, 1), "turned grey: .* of the contrast", {}),
        (lambda x: pictures(seed=7), "ignore their inputs: .*larger model.cycle", {"cycle": 10.0}),
        (lambda x: pictures(seed=7), "ignore their inputs .*smaller model.adversarial", {}),
        (lambda x: x + 0.1 * BOARD, "checkerboard: .* every 2 pixels .* times as much .*lower learning rates", {}),
        (lambda x: x + 0.2 * LATTICE, "checkerboard: .* every 4 pixels .* times as much .*lower learning rates", {}),
    ],
    ids=[
        "negative",
        "negative cyclegan",
        "grey",
        "flat",
        "unrelated",
        "unrelated without a key",
        "checkerboard",
        "lattice",
    ],
)
def test_what_is_broken_is_said_once(broken, said, facts):
    found, _ = watched(broken, A, B, checks=5, **facts)
    assert len(found) == 1 and re.search(said, found[0]), found


def test_one_check_says_nothing_and_a_collapse_is_said_alone():
    assert watched(lambda x: -x, A, B, checks=1)[0] == []
    (said,) = watched(lambda x: 0 * x, A, B)[0]
    assert "have collapsed" in said


def test_domains_that_are_negatives_of_each_other_may_be_inverted():
    assert watched(lambda x: -x, A, 255 - A.flip(0))[0] == []
    balanced = to_uint8(pictures())
    assert len(watched(lambda x: -x, balanced, to_uint8(pictures(seed=1)))[0]) == 1
    assert watched(lambda x: -x, balanced, 255 - balanced, paired=True)[0] == []


def test_grey_targets_and_label_maps_are_not_judged_by_colours():
    assert watched(grey, A, B.float().mean(1, keepdim=True).byte().expand(-1, 3, -1, -1))[0] == []
    domains = {"a": Domain(labels=2), "b": Domain()}
    ids = (A[:, :1] > 150).byte()
    assert watched(lambda x: (1 - 2 * x[:, :1]).expand(-1, 3, -1, -1), ids, B, domains=domains)[0] == []


class Upsampled(nn.Module):
    def __init__(self, decoder=False):
        super().__init__()
        setattr(self, "decoder" if decoder else "generator", nn.ConvTranspose2d(3, 3, 4, 2, 1))


@pytest.mark.parametrize(("decoder", "key"), [(False, "model.generator.upsample"), (True, "model.decoder.upsample")])
def test_the_remedy_is_the_key_of_the_network_that_upsamples(decoder, key):
    shown = Shown("samples", pictures() + 0.1 * BOARD, pictures(seed=1))
    (sign,) = [each for each in signs(shown, Upsampled(decoder)) if each.bad]
    assert f"try {key}=resize in a new run." in sign.text


# Discriminators.


def play(health, steps, real, fake, accuracy=None):
    module = SimpleNamespace(device=torch.device("cpu"), iteration=0, images_seen=0)
    trainer = a_trainer()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for step in range(steps):
            module.iteration, module.images_seen = step + 1, 64 * (step + 1)
            logs = {"real": real(step), "fake": fake(step), **({} if accuracy is None else {"accuracy": accuracy})}
            outputs = {"discriminator": {name: torch.tensor(float(value)) for name, value in logs.items()}}
            health.on_train_batch_end(trainer, module, outputs, {}, 0)
    return [str(each.message) for each in caught], trainer.loggers[0].values


def noise(level, scale=0.1):
    generator = torch.Generator().manual_seed(int(100 * level))
    return lambda step: level + scale * torch.randn((), generator=generator)


@pytest.mark.parametrize("accuracy", [0.5, 0.49, None])
def test_a_discriminator_at_chance_is_said_once_after_two_windows(accuracy):
    health = Health(every=0, window=50)
    assert play(health, 50, noise(0.5), noise(0.5 + 1e-9), accuracy)[0] == []
    said, values = play(health, 200, noise(0.5), noise(0.5 + 1e-9), accuracy)
    assert len(said) == 1 and "over its last 100 steps" in said[0]
    assert "higher model.d_optimizer.lr or loss.n_critic=5" in said[0]
    assert abs(values["health/discriminator_lead"]) < 0.1
    assert ("health/discriminator_accuracy" in values) == (accuracy is not None)


def test_a_dead_discriminator_is_at_chance():
    assert len(play(Health(every=0, window=20), 60, lambda _: 0.2, lambda _: 0.2, 0.5)[0]) == 1


@pytest.mark.parametrize(
    ("real", "fake", "accuracy"),
    [
        (noise(0.6), noise(0.4), 0.62),  # of a game that is balanced
        (noise(0.55), noise(0.5), 0.51),  # little, but always
        (noise(0.5), noise(0.5, 0.2), 0.6),
        (noise(30.0, 3.0), noise(20.0, 3.0), None),  # Wasserstein
        (noise(0.001, 0.0001), noise(0.0, 0.0001), None),  # clipped weights
    ],
)
def test_a_discriminator_that_separates_is_not_at_chance(real, fake, accuracy):
    assert play(Health(every=0, window=50), 200, real, fake, accuracy)[0] == []


def test_windows_at_chance_survive_a_resume():
    first, second = Health(every=0, window=20), Health(every=0, window=20)
    play(first, 20, lambda _: 0.2, lambda _: 0.2, 0.5)
    second.load_state_dict(first.state_dict())
    assert len(play(second, 20, lambda _: 0.2, lambda _: 0.2, 0.5)[0]) == 1
    state = first.state_dict()
    del state["chance"]  # of an earlier version
    second.load_state_dict(state)


def test_no_values_are_no_judgement():
    assert not Window(float("nan"), float("nan"), float("nan"), False).is_at_chance


TINY = ["model=dcgan", "data=digits", "data.size=16", "trainer=cpu", "budget.images=2048", "batch_size=32",
        "model.generator.base=4", "model.discriminator.base=4", "logger=none", "callbacks.fidelity=null",
        "callbacks.samples=null", "callbacks.throughput=null", "+callbacks.health.window=16"]  # fmt: skip


def test_a_run_whose_discriminator_does_not_learn_says_so(tmp_path):
    with pytest.warns(UserWarning, match="discriminator is at chance"):
        train.run(*TINY, f"runs={tmp_path}", "model.d_optimizer.lr=1e-12", "model.g_optimizer.lr=1e-12",
                  "+model.augment.noise={_target_: gan_lab.training.augment.InstanceNoise, std: 100.0}")  # fmt: skip


def test_a_healthy_run_says_nothing(tmp_path):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*(discriminator|samples|checkerboard).*")
        train.run(*TINY, f"runs={tmp_path}", "callbacks.health.every=512", "model.generator.upsample=resize")


@pytest.mark.parametrize(
    ("how", "said"),
    [("negative", "to b are negatives"), ("grey", "to b have turned grey"), ("unrelated", "to b ignore their inputs")],
)
def test_runs_made_to_fail_say_so(tmp_path, how, said):
    generator = f"model.a2b={{_target_: failing.Failing, how: {how}}}"  # the untrained one of b2a leaves a checkerboard
    narrow = ("generator.filters=4", "generator.blocks=1", "discriminator.filters=4")
    little = ("batch_size=4", "budget.images=64", "callbacks.health.every=16", "model.g_optimizer.lr=1e-6")
    without = [f"callbacks.{name}=null" for name in ("samples", "fidelity", "confusion", "estimate")]
    places = (f"run_dir={tmp_path / 'run'}", "trainer=cpu", "logger=none")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train.run(
            "model=cyclegan", "data=plain2striped", "data.size=32", generator, *narrow, *little, *without, *places
        )
    found = [str(each.message) for each in caught if "translations" in str(each.message)]
    assert sum(said in each for each in found) == 1 == sum("to a show a checkerboard" in each for each in found)
