"""Real and generated images in one pass of the discriminator."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from gan_lab.common.types import Losses
from gan_lab.losses.adversarial import Hinge, NonSaturating, Relativistic, Wasserstein
from gan_lab.losses.objective import AdversarialObjective, OfImages
from gan_lab.losses.penalties import R1, GradientPenalty, LeCam
from gan_lab.losses.samples import is_per_sample
from gan_lab.networks import dcgan, mlp, patchgan, r3gan, sngan
from gan_lab.networks.layers import Dropout
from gan_lab.networks.minibatch_stddev import minibatch_stddev
from gan_lab.networks.spectral import spectral_norm
from gan_lab.training.noise import KeyedStream

ALONE: dict[str, Callable[[], nn.Module]] = {
    "mlp": lambda: mlp.Discriminator(1, 16, 16, widths=(32, 16)),
    "layer": lambda: dcgan.Discriminator(1, 16, 16, base=8, norm="layer"),
    "instance": lambda: dcgan.Discriminator(1, 16, 16, base=8, norm="instance"),
    "none": lambda: dcgan.Discriminator(1, 16, 16, base=8, norm="none"),
    "patches": lambda: patchgan.Discriminator(1, 8, layers=1),
    "r3gan": lambda: r3gan.Discriminator(1, 16, 16, 8),
}
MIXED: dict[str, Callable[[], nn.Module]] = {
    "batch": lambda: dcgan.Discriminator(1, 16, 16, base=8),
    "deviation": lambda: minibatch_stddev(mlp.Discriminator(1, 16, 16, widths=(32, 16))),
    "spectral": lambda: spectral_norm(mlp.Discriminator(1, 16, 16, widths=(32, 16))),
    "sngan": lambda: sngan.Discriminator(1, 16, 16, 8),
    "dropout": lambda: nn.Sequential(mlp.Discriminator(1, 16, 16), nn.Dropout(0.5)),
    "our dropout": lambda: nn.Sequential(Dropout(0.5)),
    "unknown": lambda: type("Mine", (mlp.Discriminator,), {})(1, 16, 16),
}


class Passes:
    """A discriminator that counts its passes."""

    def __init__(self, network: nn.Module) -> None:
        self.network, self.count = network, 0

    def __call__(self, images: Tensor) -> Tensor:
        self.count += 1
        logits: Tensor = self.network(images)
        return logits.float()


def losses(objective: AdversarialObjective, network: nn.Module, joinable: bool, **more: int) -> tuple[Losses, int]:
    torch.manual_seed(1)
    real, fake = torch.rand(2, 6, 1, 16, 16).mul(2).sub(1)
    objective.check({"discriminator": network})
    counted = Passes(network)
    return objective.d((OfImages if joinable else partial)(counted), real, fake, KeyedStream(0), **more), counted.count


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize(
    "objective",
    [
        lambda: AdversarialObjective(NonSaturating()),
        lambda: AdversarialObjective(Relativistic(), {"lecam": LeCam()}),
        lambda: AdversarialObjective(Wasserstein(), {"gp": GradientPenalty()}),
    ],
)
def test_equals_two_passes(name: str, bf16: bool, objective: Callable[[], AdversarialObjective]) -> None:
    torch.manual_seed(0)
    network = ALONE[name]()
    assert is_per_sample(network)
    gradients, terms = [], []
    for joinable in (False, True):
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            found, passes = losses(objective(), network, joinable)
        found.total.backward()
        assert passes == 2 - joinable + ("gp" in found.terms)
        terms.append(torch.stack([*found.terms.values(), *found.logs.values()]).detach())
        gradients.append(torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None]))
    torch.testing.assert_close(*terms, rtol=0.02 if bf16 else 1e-5, atol=0.01 if bf16 else 1e-5)
    assert (gradients[0] - gradients[1]).norm() <= (0.02 if bf16 else 1e-5) * gradients[0].norm()


@pytest.mark.parametrize("name", MIXED)
def test_layers_that_mix_samples_keep_two(name: str) -> None:
    assert not is_per_sample(MIXED[name]())


def test_two_passes_for_batch_norm_unless_asked_otherwise() -> None:
    network = MIXED["batch"]()
    for one_pass, expected in ((None, 2), (True, 1), (False, 2)):
        assert losses(AdversarialObjective(Hinge(), one_pass=one_pass), network, True)[1] == expected
    assert losses(AdversarialObjective(Hinge(), one_pass=False), ALONE["mlp"](), True)[1] == 2


def test_a_lazy_penalty_at_real_images_takes_two_passes_when_it_is_due() -> None:
    objective = AdversarialObjective(NonSaturating(), {"r1": R1(interval=4)})
    counts = [losses(objective, ALONE["mlp"](), True, iteration=i)[1] for i in range(5)]
    assert counts == [2, 1, 1, 1, 2]
