"""VQ-VAE and VQGAN: order of the phases, codes and images, the adaptive weight."""

import pytest
import torch
from cases import limited, plain
from test_models import fit
from torch import nn

from gan_lab.common.errors import UserError
from gan_lab.common.instantiate import instantiate
from gan_lab.inference.interpolation import interpolate, lerp
from gan_lab.training.noise import KeyedStream
from gan_lab.training.run_config import RunConfig
from gan_lab.training.trainer import make_trainer

LIVE = ["model.engine.ema_half_life=0"]  # averages equal the live networks


@pytest.fixture
def trained(tmp_path):
    return fit(plain(["model=vqvae", "conditional=true"], tmp_path, *limited(8), *LIVE))[1]


def test_the_codebook_is_fixed_while_the_prior_is_trained(tmp_path):
    configuration = plain(["model=vqvae"], tmp_path, *limited(16), "model.prior_begin=0.5")
    seen = []

    class Watched(type(instantiate(configuration["model"]))):
        def after_step(self, phase):
            seen.append((phase, self.quantizer.weight.clone(), next(self.prior.parameters()).detach().clone()))

    model = instantiate(configuration["model"])
    model.__class__ = Watched
    make_trainer(RunConfig.of(configuration))[0].fit(model, datamodule=instantiate(configuration["data"]))
    assert [phase for phase, *_ in seen] == ["autoencoder", "autoencoder", "prior", "prior"]
    assert not torch.equal(seen[0][1], seen[1][1]) and torch.equal(seen[1][1], seen[3][1])
    assert torch.equal(seen[0][2], seen[1][2]) and not torch.equal(seen[2][2], seen[3][2])


def test_codes_reconstruct_the_image(trained):
    images = torch.rand(3, 3, 16, 16) * 2 - 1
    codes = trained.codes(images)
    assert codes.shape == (3, 4, 4) and codes.max() < trained.entries
    torch.testing.assert_close(trained.decode(trained.embed(codes)), trained.reconstruct(images))
    latents = trained.latents(2, seed=1, label=2)
    torch.testing.assert_close(trained.decode(latents), trained.sample(2, seed=1, label=2))
    walked = interpolate(trained, seed=1, points=2, steps=1, label=2, between=lerp)
    torch.testing.assert_close(walked, trained.sample(2, seed=1, label=2))


def test_impossible_networks_are_refused():
    for wrong in ("model.encoder.num_downsamplings=0", "model.prior.kernel=4"):
        with pytest.raises(UserError, match="is not valid"):
            instantiate(plain(["model=vqvae"], "nowhere", *limited(4), wrong)["model"])


def test_only_codes_of_fully_known_places_are_kept(trained, monkeypatch):
    images, mask = torch.rand(1, 3, 16, 16) * 2 - 1, torch.ones(1, 1, 16, 16)
    mask[..., 9, 5] = 0  # one pixel of the place in row 2, column 1
    given = {}
    monkeypatch.setattr(
        "gan_lab.models.vqvae.ancestral_sampling", lambda *_, known, mask, **__: given.update(mask=mask) or known
    )
    trained.restore(images, mask)
    assert given["mask"].sum() == 15 and not given["mask"][0, 0, 2, 1]


def test_the_adaptive_weight_is_the_ratio_of_norms_at_the_last_layer(tmp_path):
    model = instantiate(plain(["model=vqgan"], tmp_path, *limited(8))["model"])
    features = torch.randn(2, model.decoder.last.in_channels, 4, 4)
    made = model.decoder.last(features)
    norms = [torch.autograd.grad(loss, model.decoder.last.weight, retain_graph=True)[0].norm()
             for loss in (made.square().mean(), made.mean())]  # fmt: skip
    weight = model._adaptive_weight(made.square().mean(), made.mean())
    torch.testing.assert_close(weight, norms[0] / (norms[1] + 1e-4))
    assert not weight.requires_grad


def test_the_discriminator_begins_late_and_the_perceptual_loss_is_no_part_of_the_model(tmp_path, monkeypatch):
    configuration = plain(
        ["model=vqgan"], tmp_path, *limited(16), "model.discriminator_begin=0.25", "model.prior_begin=0.75"
    )
    model = instantiate(configuration["model"])
    monkeypatch.setattr(type(model), "progress", 0.0)
    batch = {"image": torch.rand(4, 3, 16, 16) * 2 - 1}
    losses = model.losses(batch, model.shared_forward(batch, KeyedStream(0, "a")), KeyedStream(0, "b"))
    assert set(losses.terms) == {"reconstruction", "perceptual", "commitment"}
    monkeypatch.setattr(type(model), "progress", 0.25)
    losses = model.losses(batch, model.shared_forward(batch, KeyedStream(0, "a")), KeyedStream(0, "b"))
    assert "adversarial" in losses.terms and losses.terms["perceptual"].requires_grad
    perceptual_loss = model.perceptual_loss.network
    assert isinstance(perceptual_loss, nn.Module)
    assert not any(isinstance(part, type(perceptual_loss)) for part in model.modules())
