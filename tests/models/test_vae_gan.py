"""VAE-GAN: which losses reach which network."""

import pytest
import torch
from cases import limited, plain

from gan_lab.common.instantiate import instantiate
from gan_lab.training.noise import KeyedStream


@pytest.fixture
def model(tmp_path):
    return instantiate(plain(["model=vae_gan"], tmp_path, *limited(8), "model.gamma=0.1", "model.beta=0.5")["model"])


@pytest.fixture
def batch():
    return {"image": torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1}


def test_gamma_weights_the_likeness_loss_of_the_decoder_only(model, batch):
    model.eval()  # the same batch norm in both phases
    shared = model.shared_forward(batch, KeyedStream(0, "a"))
    encoder, decoder = (
        model.e_losses(batch, shared, KeyedStream(0, "b")),
        model.g_losses(batch, shared, KeyedStream(0, "b")),
    )
    torch.testing.assert_close(decoder.terms["likeness"], 0.1 * encoder.terms["likeness"])
    torch.testing.assert_close(encoder.terms["kl"], 0.5 * encoder.logs["kl_nats"])
    features = [model.discriminator.features(x) for x in (batch["image"], model.decoder(shared["z"]))]
    expected = (features[0] - features[1]).square().flatten(1).sum(1).mean() / 2
    torch.testing.assert_close(encoder.terms["likeness"], expected)


def test_the_encoder_gets_no_gradient_from_the_adversarial_loss(model, batch):
    shared = model.shared_forward(batch, KeyedStream(0, "a"))
    model.g_losses(
        batch, {name: value.detach() for name, value in shared.items()}, KeyedStream(0, "b")
    ).total.backward()
    assert all(p.grad is None for p in model.encoder.parameters())
    assert any(p.grad is not None and p.grad.any() for p in model.decoder.parameters())


def test_half_of_the_discriminators_fakes_are_reconstructions(model):
    batch = {"image": torch.zeros(400, 3, 16, 16)}
    shared = model.shared_forward(batch, KeyedStream(0, "a"))
    share = (shared["half"] == shared["z"]).all(1).float().mean().item()
    assert share == pytest.approx(0.5, abs=0.1)
