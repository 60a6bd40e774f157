"""SPADE, its styles, and pix2pixHD's stages: losses, phases, and what each is a function of."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from cases import limited, plain
from fitting import fit
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gan_lab.common.capabilities import Translates, TranslatesInStyles
from gan_lab.common.errors import UserError
from gan_lab.common.instantiate import instantiate
from gan_lab.losses.adversarial import Hinge, LeastSquares
from gan_lab.losses.matching import perceptual_l1
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.models.pix2pixhd import Pix2PixHD
from gan_lab.models.spade import SPADE, GauGAN
from gan_lab.networks import pix2pixhd, spade
from gan_lab.networks.patchgan import MultiscaleDiscriminator, halved
from gan_lab.training.budget import Budget
from gan_lab.training.noise import KeyedStream
from gan_lab.training.options import EngineOptions

DOMAINS = {"a": {"labels": 4}, "b": {"channels": 3}}


def batch(n=2, side=32):
    random = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 4, (n, side // 4, side // 4), generator=random)
    source = F.one_hot(ids, 4).permute(0, 3, 1, 2).float().repeat_interleave(4, 2).repeat_interleave(4, 3)
    return {"source": source, "target": torch.rand(n, 3, side, side, generator=random) * 2 - 1}


def make(cls=SPADE, loss=Hinge, scales=2, **options):
    torch.manual_seed(0)
    style = 3 if cls is GauGAN else 0
    objective, adam = AdversarialObjective(loss(), one_pass=True), partial(torch.optim.Adam, lr=1e-3)
    options = {"engine": EngineOptions(ema_half_life=None), **options}
    generator = (
        pix2pixhd.Generator(4, 3, 4, 1, 1, 1)
        if issubclass(cls, Pix2PixHD)
        else spade.Generator(4, 3, 4, 3, 4, "instance", style, 32)
    )
    discriminator = MultiscaleDiscriminator(7, 4, 1, scales)
    return cls(generator, discriminator, DOMAINS, objective, adam, adam, **options)


def losses_of(model, data):
    shared = model.shared_forward(data, KeyedStream(0, "draw"))
    return shared, model.g_losses(data, shared, KeyedStream(0)), model.d_losses(data, shared, KeyedStream(0))


def judged(model, data, shared, scale):
    real, fake = (torch.cat([data["source"], images], 1) for images in (data["target"], shared["fake"]))
    return model.discriminator.maps(real, scale), model.discriminator.maps(fake, scale)


class ReadBack(TorchDispatchMode):
    """Keeps the names of operations that take tensors of a GPU and return one of the host."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, arguments=(), named=None):
        result = function(*arguments, **(named or {}))
        taken, made = ({each.device.type for each in tree_leaves(part) if isinstance(each, torch.Tensor)}
                       for part in ((arguments, named), result))  # fmt: skip
        self.found += [str(function)] if "cuda" in taken and "cpu" in made else []
        return result


@pytest.mark.parametrize("cls", [SPADE, GauGAN, Pix2PixHD])
def test_losses_of_label_maps_read_nothing_back_from_a_gpu(cls, monkeypatch):
    """Class ids are made one-hot there. Its tensors are fake, without values: reading one raises."""
    model, cuda = make(cls), torch.device("cuda")
    monkeypatch.setattr(torch.__future__, "_overwrite_module_params_on_conversion", True)
    with FakeTensorMode(allow_non_fake_inputs=True), ReadBack() as back:
        model = model.to(cuda)
        ids = torch.zeros(2, 1, 32, 32, dtype=torch.uint8, device=cuda)
        data = {"source": model.domains["a"].encode(ids), "target": torch.zeros(2, 3, 32, 32, device=cuda)}
        draw, g, d = (KeyedStream(0, key, device=cuda) for key in ("draw", "g", "d"))
        shared = model.shared_forward(data, draw)
        found = model.g_losses(data, shared, g), model.d_losses(data, shared, d)
    losses = [loss for each in found for loss in each.terms.values()]
    assert back.found == [] and {loss.device.type for loss in losses} == {"cuda"}


def test_losses_of_spade_are_means_over_the_scales():
    """Hinge (section 3, after pix2pixHD), and feature matching with a weight of 10."""
    model, data = make(), batch()
    shared, g, d = losses_of(model, data)
    pairs = [judged(model, data, shared, scale) for scale in range(2)]
    maps = [(real, fake) for each in pairs for real, fake in zip(*(maps[:-1] for maps in each), strict=True)]
    matching = sum((real - fake).abs().mean() for real, fake in maps)
    torch.testing.assert_close(g.terms["feature_matching"], 10 * matching / 2)
    torch.testing.assert_close(g.terms["adversarial"], -sum(fake[-1].mean() for _, fake in pairs) / 2)
    hinges = [F.relu(1 - real[-1]).mean() + F.relu(1 + fake[-1]).mean() for real, fake in pairs]
    torch.testing.assert_close(d.total, sum(hinges) / 2)


def test_adversarial_losses_of_pix2pixhd_are_sums_over_the_scales():
    model, data = make(Pix2PixHD, LeastSquares, enhance_begin=0.0, fixed=0.0), batch()
    model.stage = pix2pixhd.WHOLE
    shared, g, d = losses_of(model, data)
    pairs = [judged(model, data, shared, scale) for scale in range(2)]
    expected = sum((fake[-1] - 1).square().mean() / 2 for _, fake in pairs)
    torch.testing.assert_close(g.terms["adversarial"], expected)
    squares = [((real[-1] - 1).square().mean() + fake[-1].square().mean()) / 2 for real, fake in pairs]
    torch.testing.assert_close(d.total, sum(squares))


def test_small_images_are_for_the_coarse_discriminators():
    model, data = make(Pix2PixHD, LeastSquares), batch()
    shared, g, d = losses_of(model, data)
    assert shared["fake"].shape == shared["target"].shape == (2, 3, 16, 16)
    assert torch.equal(shared["target"], halved(data["target"]))
    (g.total + d.total).backward()
    fine, coarse = model.discriminator.scales
    assert all(value.grad is None for value in fine.parameters())
    assert all(value.grad is not None for value in coarse.parameters())


class Maps(nn.Module):
    """Stands in for a perceptual network: the images, and their halves."""

    def forward(self, images):
        return [images, halved(images)]


def test_the_perceptual_loss_compares_maps_of_a_fixed_network():
    model, data = make(features=Maps, feature_weights=[0.5, 1.0]), batch()
    shared, g, _ = losses_of(model, data)
    difference = shared["fake"] - data["target"]
    expected = 0.5 * difference.abs().mean() + halved(difference).abs().mean()
    torch.testing.assert_close(g.terms["perceptual"], 10 * expected)
    assert not any("features" in name for name in model.state_dict())


def test_without_weights_maps_of_any_magnitude_count_alike():
    random = torch.Generator().manual_seed(0)
    own, wanted = ([torch.randn(2, 3, 4, 4, generator=random) for _ in range(2)] for _ in range(2))
    scaled = [[maps[0] * 100, maps[1]] for maps in (own, wanted)]
    torch.testing.assert_close(perceptual_l1(own, wanted), perceptual_l1(*scaled))


def test_styles_are_posterior_samples_whose_divergence_costs():
    model, data = make(GauGAN).eval(), batch()
    shared = model.shared_forward(data, KeyedStream(0, "draw"))
    mean, log_variance = model.a2b.encoder(data["target"])
    style = mean + (log_variance / 2).exp() * KeyedStream(0, "draw").normal(2, 3)
    torch.testing.assert_close(shared["fake"], model.a2b(data["source"], style), atol=1e-5, rtol=1e-4)
    losses = model.g_losses(data, shared, KeyedStream(0))
    kl = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, (log_variance / 2).exp()), torch.distributions.Normal(0.0, 1.0)
    )
    torch.testing.assert_close(losses.terms["kl"], 0.05 * kl.sum(1).mean())


def test_five_seeds_are_five_images_of_one_map_and_a_style_can_be_another_images():
    model, data = make(GauGAN).eval(), batch(1)
    for parameter in model.a2b.parameters():
        nn.init.normal_(parameter, 0, 0.3)
    assert isinstance(model, TranslatesInStyles)
    images = torch.cat([model.translate(data["source"], "b", seed=seed) for seed in range(5)])
    assert len(images.flatten(1).unique(dim=0)) == 5
    five = model.translate(data["source"].expand(5, -1, -1, -1), "b", seed=7)
    one = model.restyle(data["source"], "b", model.random_styles(1, "b", seed=7, start=3))
    torch.testing.assert_close(five[3:4], one, atol=1e-5, rtol=0)
    styles = model.styles_of(data["target"], "b")
    torch.testing.assert_close(model.restyle(data["source"], "b", styles), model.a2b(data["source"], styles))
    with pytest.raises(UserError, match="label maps have none"):
        model.styles_of(data["source"], "a")


def test_without_styles_a_map_has_one_image():
    model, data = make().eval(), batch(1)
    assert isinstance(model, Translates) and not isinstance(model, TranslatesInStyles)
    assert torch.equal(*(model.translate(data["source"], "b", seed=seed) for seed in (0, 1)))


def test_methods_refuse_networks_that_they_cannot_use():
    generator, rest = nn.Conv2d(4, 3, 1), (nn.Conv2d(7, 1, 1), DOMAINS, AdversarialObjective(Hinge()), None, None)
    with pytest.raises(UserError, match="MultiscaleDiscriminator"):
        SPADE(generator, *rest)
    with pytest.raises(UserError, match=r"generator\.style=256"):
        GauGAN(generator, *rest)
    with pytest.raises(UserError, match="generator=pix2pixhd"):
        Pix2PixHD(generator, *rest)


def test_a_perceptual_loss_of_label_maps_is_refused():
    with pytest.raises(UserError, match="perceptual=0"):
        SPADE.check_data({"domains": {"a": {}, "b": {"labels": 3}}}, features=Maps)


class Timed(Pix2PixHD):
    """Knows its share of the budget without a trainer."""

    @property
    def progress(self):
        return self.images_seen / self.budget.images


def test_stages_are_shares_of_the_budget_and_a_larger_budget_does_not_go_back():
    model = make(Timed, LeastSquares, enhance_begin=0.5, fixed=0.25, engine=EngineOptions(Budget(images=16)))
    stages = []
    for model.images_seen in range(0, 16, 2):
        model.prepare({})
        stages.append((model.stage, int(model.a2b.stage)))
    assert stages == [(stage, stage) for stage in (0, 0, 0, 0, 1, 1, 2, 2)]
    model.budget, model.images_seen = Budget(images=1600), 16
    model.prepare({})
    assert model.stage == pix2pixhd.WHOLE


@pytest.mark.parametrize("method", ["spade", "pix2pixhd"])
def test_a_step_at_256_px_with_all_layers(method, tmp_path):
    more = ["data.size=256", "data.count=2", "batch_size=2", "generator.filters=4", "discriminator.filters=4",
            "discriminator.layers=3", "data.domains.a.labels=5"]  # fmt: skip
    more += {"spade": ["generator.upsamplings=5"], "pix2pixhd": ["generator.halvings=4", "model.enhance_begin=0"]}[
        method
    ]
    configuration = plain([f"model={method}"], tmp_path, *more, *limited(2))
    _, model = fit(configuration)
    assert model.images_seen == 2
    assert all(value.isfinite().all() for value in model.state_dict().values())
    assert model.a2b.multiple == 32
    translated = instantiate(configuration["model"]).translate(torch.zeros(1, 5, 256, 256), "b")
    assert translated.shape == (1, 3, 256, 256)
