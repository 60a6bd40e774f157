"""StarGAN v2: an iteration as in the published code, the decaying diversity, and masks."""

import copy
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from cases import limited, plain
from fitting import fit
from lightning.pytorch import Callback
from torch import nn

from gan_lab.common.errors import UserError
from gan_lab.losses.adversarial import NonSaturating, Relativistic
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.losses.penalties import R1
from gan_lab.models.bases.latents import Normal
from gan_lab.models.starganv2 import StarGANv2
from gan_lab.networks.starganv2 import Discriminator, Generator, MappingNetwork, StyleEncoder
from gan_lab.training.budget import Budget
from gan_lab.training.noise import KeyedStream
from gan_lab.training.options import EngineOptions

NETWORKS = ("generator", "mapping_network", "style_encoder", "discriminator")


SGD = partial(torch.optim.SGD, lr=0.1, momentum=0.9, weight_decay=1e-2)


def make(side=32, domains=3, loss=None, high_pass=0.0, **options):
    torch.manual_seed(0)
    size, narrow = (3, side, side), {"base": 4 * side, "most": 16}
    return StarGANv2(
        Generator(*size, style=4, high_pass=high_pass, **narrow), MappingNetwork(5, domains, 4, width=8),
        StyleEncoder(*size, domains, 4, **narrow), Discriminator(*size, domains, **narrow), Normal(5), domains,
        AdversarialObjective(loss or NonSaturating(), {"r1": R1(1.0)}), SGD, SGD, **options,
    )  # fmt: skip


def make_batch(side=32, n=2):
    noise = torch.Generator().manual_seed(1)
    images = ("image", "reference", "second_reference")
    made = {name: torch.rand(n, 3, side, side, generator=noise) * 2 - 1 for name in images}
    return {**made, "label": torch.arange(n) % 3, "to": (torch.arange(n) + 1) % 3}


class Watch(Callback):
    """Keeps what went into each iteration and what came out of it."""

    def __init__(self, save_at=None, path=None):
        self.batches, self.before, self.weights, self.save_at, self.path = [], [], [], save_at, path

    def on_train_batch_start(self, trainer, module, batch, *_):
        self.batches.append({name: value.clone() for name, value in batch.items()})
        self.before.append({name: copy.deepcopy(getattr(module, name)) for name in NETWORKS})

    def on_train_batch_end(self, trainer, module, outputs, *_):
        self.weights.append(float(outputs["generator"]["diversity_weight"]))
        if module.iteration == self.save_at:
            trainer.save_checkpoint(self.path)
            trainer.should_stop = True


def published_iteration(nets, batch, first, second, weight):
    """The four steps of the published code, each with all of its forwards, by an optimizer for each network."""
    generator, mapping, encoder, discriminator = (nets[name] for name in NETWORKS)
    rates = dict(zip(NETWORKS, (0.1, 0.03, 0.1, 0.1), strict=True))
    optimizers = {name: SGD(nets[name].parameters(), lr=lr) for name, lr in rates.items()}
    image, label, to = batch["image"], batch["label"], batch["to"]

    def step(loss, *names):
        for optimizer in optimizers.values():
            optimizer.zero_grad()
        loss.backward()
        for name in names:
            optimizers[name].step()

    def d_loss(style):
        real = image.clone().requires_grad_()
        logits = discriminator(real, label)
        (slope,) = torch.autograd.grad(logits.sum(), real, create_graph=True)
        with torch.no_grad():
            fake = generator(image, style)
        penalty = slope.square().sum((1, 2, 3)).mean() / 2
        return F.softplus(-logits).mean() + F.softplus(discriminator(fake, to)).mean() + penalty

    def g_loss(style, other):
        fake = generator(image, style)
        back = generator(fake, encoder(image, label))
        diverse = (fake - generator(image, other).detach()).abs().mean()
        rest = (encoder(fake, to) - style).abs().mean() + (back - image).abs().mean()
        return F.softplus(-discriminator(fake, to)).mean() + rest - weight * diverse

    step(d_loss(mapping(first, to)), "discriminator")
    step(d_loss(encoder(batch["reference"], to)), "discriminator")
    step(g_loss(mapping(first, to), mapping(second, to)), "generator", "mapping_network", "style_encoder")
    step(g_loss(encoder(batch["reference"], to), encoder(batch["second_reference"], to)), "generator")


def test_an_iteration_is_the_published_one(tmp_path):
    """Momentum tells that both phases of a player step one optimizer."""
    how = ["precision=32-true", "data.size=32"]
    configuration, watch = plain(["model=starganv2"], tmp_path, *limited(8), *how), Watch()
    fit(configuration, watch, model=make(mapping_lr=0.03, engine=EngineOptions(Budget(images=8))))
    nets, batch = watch.before[0], watch.batches[0]
    latents = KeyedStream(0, 0, "draw").normal(8, 5).view(4, 2, 5)
    published_iteration(nets, batch, *latents.unbind(1), weight=1.0)
    for name in NETWORKS:
        moved = watch.before[1][name].state_dict()
        for key, value in nets[name].state_dict().items():
            torch.testing.assert_close(moved[key], value, atol=1e-5, rtol=1e-4, msg=f"{name}.{key}")


def test_the_diversity_weight_falls_linearly_to_0_whether_resumed_or_not(tmp_path):
    configuration = plain(["model=starganv2", "model.diversity=2"], tmp_path, *limited(4 * 6))
    first, second = Watch(4, tmp_path / "part.ckpt"), Watch()
    fit(configuration, first)
    fit(configuration, second, resume=tmp_path / "part.ckpt")
    assert first.weights + second.weights == pytest.approx([2 * (1 - i / 6) for i in range(6)])


def test_a_step_at_256_px(tmp_path):
    size = ["data.size=256", "batch_size=2", "model.generator.base=1024", "model.generator.most=32"]
    _, model = fit(plain(["model=starganv2"], tmp_path, *limited(2), *size))
    assert model.iteration == 1 and [block.halves for block in model.generator.encoding] == [True] * 4 + [False] * 2
    assert all(p.grad.isfinite().all() for p in model.generator.parameters())


@pytest.mark.parametrize("mixed", [False, True])
def test_all_parts_of_the_generators_step_get_gradients(mixed):
    """Under autocast too, whose cache may hold a cast of the weights without a graph."""
    model, batch = make(), make_batch(n=3)
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        shared = model.shared_forward(batch, KeyedStream(0))
        model.g_losses(batch, shared, KeyedStream(0)).total.backward()
    for part in (model.mapping_network, model.style_encoder, model.generator):
        for name, parameter in part.named_parameters():
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_the_mapping_network_has_a_rate_of_its_own_and_all_but_the_discriminator_an_average():
    assert [*make().ema.networks] == [*NETWORKS[:3]]
    d_optimizer, g_optimizer = make(mapping_lr=1e-6).configure_optimizers()
    assert [group["lr"] for group in g_optimizer.param_groups] == [0.1, 1e-6]
    assert [group["lr"] for group in d_optimizer.param_groups] == [0.1]


class HalfMasks(nn.Module):
    """Masks of halves, which keep the images that they are of."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, images):
        self.seen.append(images)
        half = images.new_full((len(images), 1, 8, 8), 0.5)
        return half, half


def test_masks_are_those_of_the_source_and_of_the_generated_image():
    masks = HalfMasks()
    model, batch = make(high_pass=1.0, masks=lambda: masks), make_batch()
    shared = model.shared_forward(batch, KeyedStream(0))
    model.g_losses(batch, shared, KeyedStream(0))
    assert torch.equal(masks.seen[0], batch["image"]) and torch.equal(masks.seen[1], shared["fake"])
    half = torch.full((2, 1, 4, 4), 0.5)
    expected = model.generator(batch["image"], shared["style"], (half, half))
    torch.testing.assert_close(shared["fake"], expected)
    assert not torch.allclose(model.generator(batch["image"], shared["style"]), expected)


def test_one_domain_and_a_relativistic_loss_are_refused():
    with pytest.raises(UserError, match="at least 2"):
        make(domains=1)
    with pytest.raises(UserError, match="loss=r1"):
        make(loss=Relativistic())
